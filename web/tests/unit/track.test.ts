import { describe, expect, it } from "vitest";

import type { Row } from "../../src/api/types";
import {
  advance,
  charted,
  indexAt,
  linesOf,
  momentAt,
  SILENT_MS,
  speedOf,
  splitAt,
  trackOf,
  turned,
} from "../../src/state/track";

const T0 = Date.parse("2026-07-01T12:00:00Z");

function row(afterS: number, longitude: number, more: Partial<Row> = {}): Row {
  const at = new Date(T0 + afterS * 1000).toISOString();
  return {
    device_id: "0A3F73",
    recorded_at: at,
    received_at: at,
    latitude: -19,
    longitude,
    speed_kmh: 40,
    direction_deg: 90,
    odometer_m: 0,
    hour_meter_min: 0,
    ignition: true,
    gps_fix: true,
    historical: false,
    ...more,
  };
}

describe("a track", () => {
  it("is made of rows with a fix", () => {
    const track = trackOf([row(0, -43), row(10, 0, { gps_fix: false }), row(20, -42)]);
    expect(track.map((point) => point.longitude)).toEqual([-43, -42]);
  });

  it("leaves out places that are in doubt, and speeds from the chart", () => {
    const doubtful = (afterS: number, longitude: number, doubt: string) =>
      ({ ...row(afterS, longitude), doubtful: doubt }) as Row;
    const rows = [row(0, -43), doubtful(10, 0, "zero_place"), doubtful(20, 12, "jump"), doubtful(30, -42, "speed")];
    expect(trackOf(rows).map(({ longitude }) => longitude)).toEqual([-43, -42]);
    expect(rows.map(speedOf)).toEqual([40, null, null, null]);
  });

  it("says where the device was, between fixes too", () => {
    const track = trackOf([row(0, -43), row(10, -42, { speed_kmh: 60 })]);
    expect(momentAt(track, T0 + 5000)).toMatchObject({ longitude: -42.5, speedKmh: 50, silent: false });
    expect(momentAt(track, T0 - 5000)).toMatchObject({ longitude: -43 });
    expect(momentAt(track, T0 + 60_000)).toMatchObject({ longitude: -42, silent: false });
    expect(momentAt([], T0)).toBeNull();
  });

  it("knows no speed where it was silent", () => {
    const track = trackOf([row(0, -43), row(SILENT_MS / 1000 + 1, -42)]);
    expect(momentAt(track, T0 + 60_000)).toMatchObject({ silent: true, speedKmh: null });
    expect(linesOf(track, "whole")).toEqual([
      {
        part: "silent",
        points: [
          [-43, -19],
          [-42, -19],
        ],
      },
    ]);
  });

  it("is cut where it is now", () => {
    const track = trackOf([row(0, -43), row(10, -42), row(20, -41)]);
    const lines = splitAt(track, T0 + 15_000);
    expect(lines.find((line) => line.part === "travelled")?.points).toEqual([
      [-43, -19],
      [-42, -19],
      [-41.5, -19],
    ]);
    expect(lines.find((line) => line.part === "ahead")?.points).toEqual([
      [-42, -19],
      [-41, -19],
    ]);
  });

  it("is found by time", () => {
    const track = [{ ms: 10 }, { ms: 20 }, { ms: 20 }, { ms: 30 }];
    expect([5, 10, 15, 20, 99].map((ms) => indexAt(track, ms))).toEqual([-1, 0, 0, 2, 3]);
  });
});

describe("replaying", () => {
  it("goes by time, not by point, and ends", () => {
    expect(advance(0, 16, 600, 1_000_000)).toBe(9600);
    expect(advance(999_000, 16, 600, 1_000_000)).toBe(1_000_000);
  });

  it("turns the short way round", () => {
    expect(turned(350, 10, 0.5)).toBe(0);
    expect(turned(10, 350, 0.5)).toBe(0);
    expect(turned(0, 90, 0.5)).toBe(45);
  });
});

describe("what a chart draws", () => {
  const ms = (value: number): number => value;
  it("thins and keeps both ends", () => {
    const values = Array.from({ length: 1000 }, (_, index) => index * 1000);
    const { times, values: drawn } = charted(values, ms, 100);
    expect(drawn).toHaveLength(101);
    expect([times[0], times.at(-1)]).toEqual([0, 999]);
    expect([...times].sort((a, b) => a - b)).toEqual(times);
  });

  it("has a gap where nothing was heard", () => {
    const later = 10_000 + SILENT_MS + 1;
    expect(charted([0, 10_000, later, later + 1000], ms, 900).values).toEqual([0, 10_000, null, later, later + 1000]);
  });

  it("of nothing is nothing", () => expect(charted([], ms, 10).times).toEqual([]));
});
