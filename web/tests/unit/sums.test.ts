import { describe, expect, it } from "vitest";

import { type BookLine, perMinute, usualTop, workers } from "../../src/state/books";
import {
  dayOf,
  formatDay,
  formatMinute,
  parseDay,
  parseMinute,
  preset,
  rangeOf,
  shiftDay,
} from "../../src/state/ranges";
import { csvOf } from "../../src/text/csv";

function line(minute: string, worker: string, received: number): BookLine {
  return {
    minute,
    worker,
    received,
    stored: received,
    duplicates: 0,
    dead_letters: 1,
    pings: 0,
    balanced: true,
  };
}

describe("the books", () => {
  const lines = [
    line("2026-07-01T12:00:00Z", "b", 5),
    line("2026-07-01T12:02:00Z", "a", 7),
    line("2026-07-01T12:00:00Z", "a", 2),
  ];

  it("by minute have no holes", () => {
    expect(perMinute(lines).map(({ received, dead }) => [received, dead])).toEqual([
      [7, 2],
      [0, 0],
      [7, 1],
    ]);
    expect(perMinute([])).toEqual([]);
  });

  it("are drawn to what is usual where one minute towers over the rest", () => {
    const day = Array.from({ length: 200 }, (_, index) => 90 + (index % 20));
    expect(usualTop(day)).toBeNull();
    const top = usualTop([...day, 48_000])!;
    expect(top).toBeGreaterThan(109);
    expect(top).toBeLessThan(200);
    expect(usualTop([1, 2, 48_000])).toBeNull();
  });

  it("by worker say when each was last heard of", () => {
    expect(workers(lines).map(({ name, lastMs, sums }) => [name, lastMs, sums.received])).toEqual([
      ["a", Date.parse("2026-07-01T12:02:00Z"), 9],
      ["b", Date.parse("2026-07-01T12:00:00Z"), 5],
    ]);
  });
});

describe("ranges", () => {
  const now = new Date(2026, 6, 1, 15, 30).getTime();

  it("come back from the address", () => {
    expect(parseDay(formatDay(now))).toBe(new Date(2026, 6, 1).getTime());
    expect(parseMinute(formatMinute(now))).toBe(now);
    for (const text of ["", "2026-02-31", "2026-7-1", undefined]) expect(parseDay(text)).toBeNull();
    for (const text of ["", "2026-07-01", "x", undefined]) expect(parseMinute(text)).toBeNull();
  });

  it("of a day hold all of it and nothing of the next", () => {
    const day = dayOf(now);
    expect(formatMinute(day.fromMs)).toBe("2026-07-01T00:00");
    expect(formatMinute(day.toMs)).toBe("2026-07-01T23:59");
    expect(shiftDay(now, 1)).toBe(day.toMs + 1);
  });

  it("are today when the address makes no sense", () => {
    expect(rangeOf({}, now)).toEqual(dayOf(now));
    expect(rangeOf({ from: "2026-07-02T00:00", to: "2026-07-01T00:00" }, now)).toEqual(dayOf(now));
    expect(rangeOf({ from: "2026-06-30T08:00", to: "2026-06-30T09:00" }, now)).toEqual({
      fromMs: new Date(2026, 5, 30, 8).getTime(),
      toMs: new Date(2026, 5, 30, 9).getTime(),
    });
  });

  it("that people ask for most", () => {
    expect(preset("yesterday", now)).toEqual(dayOf(shiftDay(now, -1)));
    expect(preset("week", now).fromMs).toBe(shiftDay(now, -6));
    expect(preset("day", now)).toEqual({ fromMs: now - 86_400_000, toMs: now });
  });
});

describe("CSV", () => {
  it("quotes what needs it and hides formulas", () => {
    expect(
      csvOf([
        ["a", 'b"c', "d,e", null, 1.5],
        ["=1+1", "-19.9 -43.9", "-x", "@y"],
      ]),
    ).toBe('a,"b""c","d,e",,1.5\r\n\'=1+1,-19.9 -43.9,\'-x,\'@y\r\n');
  });
});
