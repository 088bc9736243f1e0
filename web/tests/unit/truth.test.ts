import { afterEach, describe, expect, it } from "vitest";

import { silentMs } from "../../src/api/stream";
import type { Row } from "../../src/api/types";
import { boundsOf, boundsOfTrack } from "../../src/map/bounds";
import { type Estimate, learn, serverTimeBy } from "../../src/state/clock";
import { continued, lacksRows, resumeMs } from "../../src/state/day";
import { isOld } from "../../src/state/fleet";
import { afterFailure, entryOf } from "../../src/state/loading";
import { momentAt, trackOf, unwrapped } from "../../src/state/track";
import * as format from "../../src/text/format";
import { useLanguage } from "../../src/text/language";

const T0 = Date.parse("2026-07-01T12:00:00Z");

describe("the server's time", () => {
  it("is carried on by a clock that nobody sets", () => {
    const told = learn(null, T0, 1_000);
    expect(serverTimeBy(told, 61_000)).toBe(T0 + 60_000);
  });

  it("is the word that was delayed least", () => {
    let estimate: Estimate = learn(null, T0, 1_000);
    // The same moment told again, 300 ms late; then a word that came quicker than the first.
    estimate = learn(estimate, T0, 1_300);
    expect(serverTimeBy(estimate, 1_300)).toBe(T0 + 300);
    estimate = learn(estimate, T0 + 1_200, 2_000);
    expect(serverTimeBy(estimate, 2_000)).toBe(T0 + 1_200);
  });

  it("follows a server whose clock was set back, and a machine that slept", () => {
    const estimate = learn(null, T0, 1_000);
    expect(serverTimeBy(learn(estimate, T0 - 60_000, 1_000), 1_000)).toBe(T0 - 60_000);
    expect(serverTimeBy(learn(estimate, T0 + 3_600_000, 2_000), 2_000)).toBe(T0 + 3_600_000);
  });
});

describe("a connection", () => {
  it("counts as dead within ten seconds", () => {
    expect(silentMs(4)).toBeLessThanOrEqual(10_000);
    // One missed heartbeat is no news.
    expect(silentMs(4)).toBeGreaterThan(2 * 4_000);
  });
});

describe("a view whose code does not come", () => {
  const own = "/assets/index-1.js";
  const there = (entry: string | null) => ({ state: "there" as const, entry });

  it("waits for a server that is away", () => {
    expect(afterFailure(1, { state: "away" }, own, false)).toBe("wait");
    expect(afterFailure(9, { state: "away" }, own, true)).toBe("wait");
  });

  it("tries once more where the server is as it was, then loads the page anew, then says so", () => {
    expect(afterFailure(1, there(own), own, false)).toBe("again");
    expect(afterFailure(2, there(own), own, false)).toBe("reload");
    expect(afterFailure(2, there(own), own, true)).toBe("tell");
  });

  it("loads the page anew after an upgrade, once", () => {
    expect(afterFailure(1, there("/assets/index-2.js"), own, false)).toBe("reload");
    expect(afterFailure(1, there("/assets/index-2.js"), own, true)).toBe("tell");
  });

  it("knows a page by the script that it begins with", () => {
    expect(entryOf('<script type="module" crossorigin src="/assets/index-1.js"></script>')).toBe(own);
    expect(entryOf("<h1>Bad gateway</h1>")).toBeNull();
  });
});

describe("a day that goes on", () => {
  const row = (s: number, arrived = s): Row => ({
    device_id: "0A3F73",
    recorded_at: new Date(T0 + s * 1000).toISOString(),
    received_at: new Date(T0 + arrived * 1000).toISOString(),
    latitude: -19,
    longitude: -43,
    speed_kmh: 40,
    direction_deg: 90,
    odometer_m: 0,
    hour_meter_min: 0,
    ignition: true,
    gps_fix: true,
    historical: false,
  });

  it("is asked for from the second of the last row, which may have another", () => {
    const held = [row(0), row(10)];
    expect(resumeMs(held, 5)).toBe(T0 + 10_000);
    expect(resumeMs([], 5)).toBe(5);
    const more = continued(held, T0 + 10_000, [row(10), row(10, 11), row(20)]);
    expect(more.map(({ received_at }) => Date.parse(received_at) - T0)).toEqual([0, 10_000, 11_000, 20_000]);
  });

  it("is the same list when nothing is new", () => {
    const held = [row(0), row(10)];
    expect(continued(held, T0 + 10_000, [row(10)])).toBe(held);
    expect(continued(held, T0 + 10_000, [row(10, 12)])).not.toBe(held);
  });

  it("is read again when rows of the past have come", () => {
    expect(lacksRows(10, 11)).toBe(true);
    expect(lacksRows(10, 10)).toBe(false);
    expect(lacksRows(10, undefined)).toBe(false);
  });
});

describe("ages", () => {
  afterEach(() => useLanguage("en"));

  it("of contact and of position are two things", () => {
    expect(isOld({ seenMs: T0, positionMs: T0 - 60_000 })).toBe(false);
    expect(isOld({ seenMs: T0, positionMs: Date.parse("2020-07-01T21:00:00Z") })).toBe(true);
    expect(isOld({ seenMs: null, positionMs: T0 })).toBe(false);
    expect(isOld({ seenMs: T0, positionMs: null })).toBe(false);
  });

  it("of years are told in years, and old dates bear theirs", () => {
    const old = Date.parse("2020-07-01T12:00:00Z");
    expect(format.age(old, T0)).toBe("6 y");
    expect(format.age(T0 - 365 * 86_400_000, T0)).toBe("1 y");
    expect(format.age(T0 - 364 * 86_400_000, T0)).toBe("364 d");
    expect(format.dateTime(old)).toContain("2020");
    expect(format.dateTime(Date.now())).not.toMatch(/20\d\d/);
    useLanguage("pt");
    expect(format.age(old, T0)).toBe("6 anos");
  });
});

describe("a way over the 180th meridian", () => {
  it("goes on beyond it", () => {
    expect(unwrapped(-179, 179)).toBe(181);
    expect(unwrapped(179, -179)).toBe(-181);
    expect(unwrapped(-43, -44)).toBe(-43);
    expect(unwrapped(-179, 541)).toBe(541);
    const fiji = [179.5, -179.9, -179.0].map((longitude, index) => ({
      device_id: "0A3F73",
      recorded_at: new Date(T0 + index * 60_000).toISOString(),
      received_at: new Date(T0).toISOString(),
      latitude: -17,
      longitude,
      speed_kmh: 40,
      direction_deg: 90,
      odometer_m: 0,
      hour_meter_min: 0,
      ignition: true,
      gps_fix: true,
      historical: false,
    }));
    const track = trackOf(fiji);
    expect(track.map(({ longitude }) => longitude)).toEqual([179.5, 180.1, 181]);
    expect(momentAt(track, T0 + 30_000)?.longitude).toBeCloseTo(179.8);
    expect(boundsOfTrack(track)).toEqual([179.5, -17, 181, -17]);
    expect(boundsOfTrack([])).toBeNull();
  });

  it("is no reason to look at the whole world", () => {
    const places = [178.4, -179.9, 179.0, -178.2].map((longitude) => ({ latitude: -17, longitude }));
    const [west, , east] = boundsOf(places)!;
    expect(west).toBe(178.4);
    expect(east).toBeCloseTo(181.8);
  });
});
