import { describe, expect, it } from "vitest";

import { kept, mostOf, parsedBy, rate, sumOf, type Telling, total, type Worker } from "../../src/state/workers";

const T0 = Date.parse("2026-07-01T12:00:00Z");

function worker(name: string, atS: number, figures: Record<string, number>, startedS = -60): Worker {
  const time = (s: number): string => new Date(T0 + s * 1000).toISOString();
  return {
    name,
    role: "node",
    version: "0.1.0",
    host: "h",
    started_at: time(startedS),
    seen_at: time(atS),
    clock_ahead_ms: 0,
    figures,
  };
}

const telling = (atS: number, workers: Worker[]): Telling => ({ atMs: T0 + atS * 1000, workers });

describe("rates of workers", () => {
  it("are differences between the first and the newest telling", () => {
    const tellings = [
      telling(0, [worker("a", 0, { stored: 100, duplicates: 5 })]),
      telling(5, [worker("a", 5, { stored: 150, duplicates: 10 })]),
      telling(10, [worker("a", 10, { stored: 290, duplicates: 15 })]),
    ];
    expect(rate(tellings, "a", ["stored"])).toBe(19);
    expect(rate(tellings, "a", ["stored", "duplicates"])).toBe(20);
    expect(rate(tellings, "a", ["frames_parsed"])).toBeNull();
    expect(rate(tellings, "b", ["stored"])).toBeNull();
  });

  it("tell what a node has parsed by what became of it", () => {
    const tellings = [0, 10].map((atS) =>
      telling(atS, [
        worker("node", atS, {
          messages_taken: 2 * atS,
          stored: 3 * atS,
          duplicates: atS,
          pings: 2 * atS,
          dead_letters: 0,
        }),
        worker("parser", atS, { frames_parsed: 7 * atS }),
        worker("exporter", atS, { stored: 7 * atS }),
        worker("door", atS, { messages_taken: 7 * atS }),
      ]),
    );
    const parsed = (index: number): number | null => {
      const one = tellings[1]!.workers[index]!;
      return rate(tellings, one.name, parsedBy(one));
    };
    expect([0, 1, 2, 3].map(parsed)).toEqual([6, 7, null, null]);
  });

  it("begin again when a process was started again", () => {
    const tellings = [telling(0, [worker("a", 0, { stored: 1000 })]), telling(5, [worker("a", 5, { stored: 3 }, 4)])];
    expect(rate(tellings, "a", ["stored"])).toBeNull();
    tellings.push(telling(10, [worker("a", 10, { stored: 13 }, 4)]));
    expect(rate(tellings, "a", ["stored"])).toBe(2);
  });

  it("are not made of one telling that was read twice", () => {
    const same = [worker("a", 0, { stored: 7 })];
    expect(rate([telling(0, same), telling(3, same)], "a", ["stored"])).toBeNull();
  });

  it("add up over those that have them", () => {
    const now = [
      worker("a", 0, { queued_rows: 3, oldest: 1 }),
      worker("b", 0, { queued_rows: 4, oldest: 9 }),
      worker("c", 0, {}),
    ];
    expect(sumOf(now, "queued_rows")).toBe(7);
    expect(mostOf(now, "oldest")).toBe(9);
    expect(sumOf(now, "connections")).toBeNull();
    expect(total([telling(0, now)], (name) => (name === "c" ? null : 2))).toBe(4);
    expect(total([], () => 1)).toBeNull();
  });
});

describe("tellings", () => {
  it("are kept for a minute", () => {
    const first = telling(0, []);
    const many = [5, 30, 61].reduce((all, s) => kept(all, telling(s, [])), [first]);
    expect(many.map(({ atMs }) => (atMs - T0) / 1000)).toEqual([5, 30, 61]);
  });
});
