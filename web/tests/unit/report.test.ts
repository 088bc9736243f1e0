import { describe, expect, it } from "vitest";

import { nextOrder, orderOf, pageOf, sorted, totalOf, waysOf } from "../../src/state/report";
import { formatRoute } from "../../src/state/route";
import { csvOf, styleOf } from "../../src/text/csv";

const rows = [{ v: 10 }, { v: null }, { v: 9 }, { v: 100 }];
const value = (row: { v: number | null }): number | null => row.v;

describe("the rows of a report", () => {
  it("are sorted as numbers, the unknown last either way", () => {
    expect(sorted(rows, value, false).map(value)).toEqual([9, 10, 100, null]);
    expect(sorted(rows, value, true).map(value)).toEqual([100, 10, 9, null]);
    expect(sorted(["Van 12", "Van 7"], (name) => name, false)).toEqual(["Van 7", "Van 12"]);
  });

  it("are sorted by a column that there is, up, down, and as they came", () => {
    expect(orderOf("-distance_m", ["distance_m"])).toEqual({ column: "distance_m", descending: true });
    expect(orderOf("distance_m", ["start"])).toBeNull();
    expect(orderOf(undefined, ["start"])).toBeNull();
    expect(nextOrder(null, "start")).toBe("start");
    expect(nextOrder({ column: "start", descending: false }, "start")).toBe("-start");
    expect(nextOrder({ column: "start", descending: true }, "start")).toBeNull();
  });

  it("add up, or have a greatest", () => {
    expect(totalOf(rows, value, "sum")).toBe(119);
    expect(totalOf(rows, value, "most")).toBe(100);
    expect(totalOf([{ v: null }], value, "sum")).toBeNull();
  });

  it("are all on some page", () => {
    expect(pageOf(2368, 100, 0)).toEqual({ page: 0, pages: 24, first: 0, end: 100 });
    expect(pageOf(2368, 100, 23)).toEqual({ page: 23, pages: 24, first: 2300, end: 2368 });
    // The list became shorter under the reader.
    expect(pageOf(50, 100, 7)).toEqual({ page: 0, pages: 1, first: 0, end: 50 });
    expect(pageOf(0, 100, 0).pages).toBe(1);
  });

  it("lead to the device's day and to the replay of just this", () => {
    const fromMs = new Date(2026, 6, 1, 8, 30, 20).getTime();
    const ways = waysOf("0A3F73", { fromMs, toMs: fromMs + 600_000 });
    expect(formatRoute(ways.map)).toBe(`#/device/0A3F73?day=2026-07-01&at=${fromMs / 1000}`);
    expect(formatRoute(ways.replay)).toBe(
      `#/replay/0A3F73?from=2026-07-01T08:29&to=2026-07-01T08:42&at=${fromMs / 1000}`,
    );
  });
});

describe("CSV for spreadsheets", () => {
  it("is what those of the reader's language open", () => {
    const table = [
      ["a;b", 1.5],
      ["São João", 2],
    ] as const;
    expect(csvOf(table, styleOf("pt"))).toBe('"a;b";1,5\r\nSão João;2\r\n');
    expect(csvOf(table, styleOf("en"))).toBe('"a;b",1.5\r\nSão João,2\r\n');
  });
});
