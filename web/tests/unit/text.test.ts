import { afterEach, describe, expect, it } from "vitest";

import { en } from "../../src/text/en";
import * as format from "../../src/text/format";
import { preferred, t, useLanguage } from "../../src/text/language";
import { pt } from "../../src/text/pt";

afterEach(() => useLanguage("en"));

describe("languages", () => {
  it("have the same places to fill in", () => {
    const places = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort();
    for (const key of Object.keys(en) as (keyof typeof en)[]) {
      expect(pt[key], key).toBeTruthy();
      expect(places(pt[key]), key).toEqual(places(en[key]));
    }
  });

  it("are chosen by what the browser asks for first", () => {
    expect(preferred(["pt-BR", "en"])).toBe("pt");
    expect(preferred(["de", "pt"])).toBe("pt");
    expect(preferred(["de"])).toBe("en");
    expect(preferred(["en-US", "pt"])).toBe("en");
  });

  it("fill in values and leave unknown ones", () => {
    expect(t("fleet.count", { shown: 1, total: 2 })).toBe("1 of 2");
    expect(t("fleet.count", { shown: 1 })).toBe("1 of {total}");
  });
});

describe("formats", () => {
  it("durations", () => {
    expect([0, 59, 60, 3599, 3600, 11_100, 86_400 * 2 + 3600].map(format.duration)).toEqual([
      "0 s",
      "59 s",
      "1 min",
      "59 min",
      "1 h 00 min",
      "3 h 05 min",
      "2 d 1 h",
    ]);
    expect(format.duration(null)).toBe(format.NOTHING);
  });

  it("ages, never negative", () => {
    expect(format.age(10_000, 5_000)).toBe("0 s");
    expect(format.age(0, 59_400)).toBe("59 s");
    expect(format.age(0, 3_600_000 * 5)).toBe("5 h");
    expect(format.ago(0, 90_000)).toBe("1 min ago");
    expect(format.ago(0, 500)).toBe("just now");
    useLanguage("pt");
    expect(format.ago(0, 90_000)).toBe("há 1 min");
    expect(format.ago(null, 0)).toBe("nunca");
  });

  it("distances, speeds, headings, engine hours", () => {
    expect([0, 999, 1000, 12_345, 123_456].map(format.distance)).toEqual([
      "0 m",
      "999 m",
      "1.0 km",
      "12.3 km",
      "123 km",
    ]);
    expect(format.speed(null)).toBe(format.NOTHING);
    expect(format.heading(54.87)).toBe("NE 55°");
    expect(format.heading(359)).toBe("N 359°");
    expect(format.engineHours(90)).toBe("1.5 h");
    useLanguage("pt");
    expect(format.heading(270)).toBe("O 270°");
    expect(format.distance(12_345)).toBe("12,3 km");
  });

  it("a moment in UTC", () => {
    expect(format.utc(Date.parse("2026-07-01T12:00:00.500Z"))).toBe("2026-07-01 12:00:00 UTC");
    expect(format.utc(null)).toBe("");
  });
});

describe("figures of the system", () => {
  it("have units", () => {
    expect(format.bytes(0)).toBe("0 B");
    expect(format.bytes(1023)).toBe("1,023 B");
    expect(format.bytes(1536)).toBe("1.5 KiB");
    expect(format.bytes(73_400_320)).toBe("70.0 MiB");
    expect(format.perSecond(null)).toBe("–");
    expect(format.perSecond(0)).toBe("0/s");
    expect(format.perSecond(4.24)).toBe("4.2/s");
    expect(format.perSecond(1250)).toBe("1,250/s");
    expect(format.shortTime(0.0042)).toBe("4 ms");
    expect(format.shortTime(1.26)).toBe("1.3 s");
    expect(format.shortTime(200)).toBe("3 min");
  });
});
