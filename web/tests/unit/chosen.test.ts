import { describe, expect, it } from "vitest";

import { daysOf } from "../../src/api/history";
import { settingsOf } from "../../src/api/settings";
import { foreignHosts, isStyle, withWholeAddresses } from "../../src/map/chosen";
import { setupToken } from "../../src/state/route";

describe("what the server tells everyone", () => {
  it("is read with care", () => {
    const bundled = { tiles: null, style: null, credit: "" };
    expect(settingsOf(null)).toEqual({ registrationOpen: true, map: bundled, defaults: null });
    expect(settingsOf({ registration_open: false, map: { tiles: null, style: 7 } })).toEqual({
      registrationOpen: false,
      map: bundled,
      defaults: null,
    });
    const defaults = { live_ttl_s: 300, motion_kmh: 5, stop_s: 300 };
    expect(settingsOf({ defaults }).defaults).toEqual(defaults);
    expect(settingsOf({ defaults: { live_ttl_s: 300 } }).defaults).toBeNull();
    const style = { tiles: null, style: "https://maps.example.org/s.json", credit: "Example" };
    expect(settingsOf({ registration_open: true, map: style }).map).toEqual(style);
  });
});

describe("a style of another server", () => {
  const own = "https://maps.example.org";
  const style = {
    version: 8,
    sources: {
      streets: { type: "vector", url: `${own}/streets.json` },
      hills: { type: "raster-dem", tiles: [`${own}/hills/{z}/{x}/{y}.png`] },
      mine: { type: "geojson", data: { type: "FeatureCollection", features: [] } },
    },
    glyphs: `${own}/fonts/{fontstack}/{range}.pbf`,
    sprite: [{ id: "default", url: `${own}/sprite` }],
    layers: [],
  };

  it("is taken when it asks its own host alone", () => {
    expect(isStyle(style)).toBe(true);
    expect(foreignHosts(style, own)).toEqual([]);
  });

  it("is refused with the hosts that it asks beside", () => {
    const other = {
      ...style,
      glyphs: "https://fonts.example.org/{fontstack}/{range}.pbf",
      sources: { far: { type: "raster", tiles: ["https://a.tiles.example.org/{z}/{x}/{y}.png", `${own}:8443/{z}`] } },
    };
    expect(foreignHosts(other, own)).toEqual(["a.tiles.example.org", "fonts.example.org", "maps.example.org:8443"]);
  });

  it("may say where things are by its own place", () => {
    const relative = {
      version: 8 as const,
      sources: {
        streets: { type: "vector" as const, url: "streets.json" },
        hills: { type: "raster" as const, tiles: ["/hills/{z}/{x}/{y}.png"] },
        mine: { type: "geojson" as const, data: { type: "FeatureCollection" as const, features: [] } },
      },
      glyphs: "../fonts/{fontstack}/{range}.pbf",
      sprite: "sprite",
      layers: [],
    };
    const whole = withWholeAddresses(relative, `${own}/styles/day/style.json`);
    expect(whole.sources.streets).toEqual({ type: "vector", url: `${own}/styles/day/streets.json` });
    expect(whole.sources.hills).toEqual({ type: "raster", tiles: [`${own}/hills/{z}/{x}/{y}.png`] });
    expect(whole.sources.mine).toEqual(relative.sources.mine);
    expect(whole.glyphs).toBe(`${own}/styles/fonts/{fontstack}/{range}.pbf`);
    expect(whole.sprite).toBe(`${own}/styles/day/sprite`);
    expect(withWholeAddresses(whole, "http://elsewhere.example.org/")).toEqual(whole);
  });

  it("is no web page and no list of tiles", () => {
    for (const told of [
      null,
      "<html>",
      [],
      { tilejson: "2.2.0", tiles: [] },
      { version: 7, sources: {}, layers: [] },
    ]) {
      expect(isStyle(told)).toBe(false);
    }
  });
});

describe("a link to set up", () => {
  it("may bring its token", () => {
    expect(setupToken("#/setup")).toBe("");
    expect(setupToken("#/setup?token=Zm9y-_x")).toBe("Zm9y-_x");
    expect(setupToken("#/fleet?token=Zm9y")).toBeNull();
    expect(setupToken("")).toBeNull();
  });
});

describe("sums by day", () => {
  it("are the same list for one device and for several", () => {
    const one = { device_id: "0A3F73", days: [{ date: "2026-07-01" }] } as never;
    const row = { device_id: "0A3F73", date: "2026-07-01" };
    expect(daysOf(one)).toEqual([row]);
    expect(daysOf({ devices: [one, one] })).toEqual([row, row]);
  });
});
