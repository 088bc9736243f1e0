import { describe, expect, test } from "vitest";
import type { StreamEvent } from "../../src/api/stream";
import {
  csvOfChart,
  formatLines,
  parseLines,
  rangeOfQuery,
  shifted,
  sideBySide,
  withGaps,
  zoomed,
} from "../../src/state/charts";
import { emptyFleet, NO_FILTER, shown, takeEvents } from "../../src/state/fleet";
import {
  byChannel,
  channelName,
  isAsked,
  listItem,
  type Newest,
  only,
  type Said,
  takeValues,
} from "../../src/state/values";
import { PLAIN } from "../../src/text/csv";
import { sparkPath } from "../../src/ui/spark";

const said = (
  device_id: string,
  channel: string,
  unit: string | null,
  value: number | string,
  recorded_at = "2026-01-01T00:00:00Z",
): StreamEvent => ({ type: "values", id: "1", device_id, values: [{ channel, unit, value, recorded_at }] });

describe("newest values", () => {
  test("are kept by device, name and unit, and found by the channel's name", () => {
    const newest: Newest = new Map();
    expect(takeValues(newest, [said("a", "t", "Cel", 21), said("a", "t", "degF", 70), said("b", "t", null, 3)])).toBe(
      true,
    );
    expect(takeValues(newest, [{ type: "heartbeat" }])).toBe(false);
    const channels = [
      { name: "t", unit: "Cel" },
      { name: "t [degF]", unit: "degF" },
    ];
    const found = byChannel(newest, "a", channels);
    expect([found.get("t")?.value, found.get("t [degF]")?.value]).toEqual([21, 70]);
    expect(only(newest, "b")?.value).toBe(3);
    expect(only(newest, "nobody")).toBeNull();
    // Without a unit it is the channel's own; the later of both counts.
    takeValues(newest, [said("a", "t", null, 22, "2026-01-01T00:00:01Z")]);
    expect(byChannel(newest, "a", channels).get("t")?.value).toBe(22);
    expect(channelName({ name: "t", unit: "K" }, null)).toBe("t");
  });

  test("are compared as people write numbers and words", () => {
    expect(isAsked(21.5, "over", "21,4")).toBe(true);
    expect(isAsked(21.5, "under", "21.4")).toBe(false);
    expect(isAsked("idle", "over", "1")).toBe(false);
    expect(isAsked("Idle", "is", " idle ")).toBe(true);
    expect(isAsked(true, "is", "on") && isAsked(false, "is", "não")).toBe(true);
    expect(isAsked(null, "is", "x")).toBe(false);
    expect(isAsked(null, "over", "")).toBe(true);
  });

  test("sort a list: the largest number first, texts by letter, what is not known last", () => {
    const fleet = emptyFleet();
    const said: Record<string, Said> = { a: 3, b: "idle", c: null, d: 21, e: "busy", f: true };
    for (const id of Object.keys(said))
      takeEvents(fleet, [{ type: "status", id, device_id: id, status: "online", at: "" }]);
    const column = { value: (id: string): Said => said[id] ?? null, isAsked: (id: string) => id !== "a" };
    expect(shown(fleet, NO_FILTER, "value", column).map(({ id }) => id)).toEqual(["d", "f", "e", "b", "c"]);
  });

  test("commas in a list of names are encoded", () => expect(listItem("cpu{a=1,b=5%}")).toBe("cpu{a=1%2Cb=5%25}"));
});

describe("the chart view", () => {
  test("its address names lines", () => {
    const lines = [
      { device: "host:web1", channel: "cpu,{core=0}/x" },
      { device: "0A3F73", channel: "t" },
    ];
    expect(parseLines(formatLines(lines))).toEqual(lines);
    expect(parseLines(`${formatLines(lines)},${formatLines(lines)},x,%/%,a/b/c`)).toEqual(lines);
    expect(parseLines(undefined)).toEqual([]);
  });

  test("its range moves with the time until it is chosen", () => {
    expect(rangeOfQuery({}, 1e12)).toEqual({ fromMs: 1e12 - 6 * 3_600_000, toMs: 1e12, moves: true });
    expect(rangeOfQuery({ from: "5", to: "9" }, 1e12)).toEqual({ fromMs: 5, toMs: 9, moves: false });
    expect(rangeOfQuery({ from: "9", to: "5", span: "60000" }, 1e12)).toEqual({
      fromMs: 1e12 - 60_000,
      toMs: 1e12,
      moves: true,
    });
    expect(zoomed({ fromMs: 0, toMs: 80_000 }, 0.5)).toEqual({ fromMs: 20_000, toMs: 60_000 });
    expect(zoomed({ fromMs: 0, toMs: 10 }, 0.5)).toEqual({ fromMs: -4995, toMs: 5005 });
    expect(shifted({ fromMs: 0, toMs: 100 }, -0.5)).toEqual({ fromMs: -50, toMs: 50 });
  });

  test("lines share an axis: gaps stay gaps, another line's moments are none", () => {
    const drawn = sideBySide([
      { t: [1000, 3000], values: [1, null] },
      { t: [2000, 3000], values: [true, false] },
    ]);
    expect(drawn).toEqual({
      times: [1, 2, 3],
      columns: [
        [1, undefined, null],
        [undefined, 1, 0],
      ],
    });
    expect(csvOfChart(["a [Cel]", "b"], drawn, PLAIN).split("\r\n")).toEqual([
      "time,a [Cel],b",
      "1970-01-01T00:00:01.000Z,1,",
      "1970-01-01T00:00:02.000Z,,1",
      "1970-01-01T00:00:03.000Z,,0",
      "",
    ]);
  });

  test("a long silence is a gap", () => {
    const minutes = [0, 1, 2, 3, 13, 14].map((minute) => minute * 60_000);
    expect(withGaps(minutes, [1, 2, 3, 4, 5, 6]).values).toEqual([1, 2, 3, 4, null, 5, 6]);
    expect(withGaps([0, 50_000], [1, 2]).values).toEqual([1, 2]);
    expect(withGaps([], [])).toEqual({ t: [], values: [] });
  });

  test("a small chart has gaps and dots", () => {
    expect(sparkPath([0, 1, 2, 3], [1, 2, null, 1])).toBe("M0.0 24.0L33.3 2.0M100.0 24.0h1");
    expect(sparkPath([], [])).toBe("");
    expect(sparkPath([5], [7])).toBe("M50.0 13.0h1");
  });
});
