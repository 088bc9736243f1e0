import { describe, expect, it } from "vitest";

import { pathWith } from "../../src/api/client";
import { pauseMs } from "../../src/api/stream";
import { features, labelFeatures, placeZoom, unpack } from "../../src/map/basemap";
import { boundsOf } from "../../src/map/bounds";
import { meanMs, restMs } from "../../src/map/pace";
import { windowOf } from "../../src/ui/virtual-list";

describe("the base map", () => {
  it("is unpacked from differences", () => {
    expect(unpack([100, 200, -10, 5, 0, 1], 100)).toEqual([
      [1, 2],
      [0.9, 2.05],
      [0.9, 2.06],
    ]);
    expect(unpack([], 100)).toEqual([]);
  });

  it("has a feature a layer", () => {
    const made = features({
      units: 10,
      land: [[[0, 0, 10, 0, 0, 10, -10, -10]]],
      lakes: [],
      borders: [[0, 0, 5, 5]],
      states: [],
    });
    expect(made.features.map((feature) => feature.properties?.layer)).toEqual(["land", "lakes", "borders", "states"]);
  });

  it("names countries in the language of the page and great places first", () => {
    const labels = { countries: [["BR", -53, -11, 26]], places: [["Tokyo", 139.7, 35.7]] } as never;
    const names = (language: string) =>
      labelFeatures(labels, language).features.map((feature) => feature.properties?.name);
    expect(names("pt")).toEqual(["Brasil", "Tokyo"]);
    expect(names("en")).toEqual(["Brazil", "Tokyo"]);
    expect(placeZoom(0)).toBeLessThan(placeZoom(7000));
  });
});

describe("bounds", () => {
  it("hold every place that there is", () => {
    expect(boundsOf([])).toBeNull();
    expect(boundsOf([{ latitude: null, longitude: null }])).toBeNull();
    expect(
      boundsOf([
        { latitude: -19, longitude: -43 },
        { latitude: null, longitude: 3 },
        { latitude: 40, longitude: -50 },
      ]),
    ).toEqual([-50, -19, -43, 40]);
  });
});

describe("the markers", () => {
  it("are drawn as changes come while frames are quick, and take a fifth of the time when slow", () => {
    expect([null, 4, 50].map(restMs)).toEqual([0, 0, 0]);
    expect(restMs(120)).toBe(600);
    expect(restMs(5_000)).toBe(3_000);
    expect(meanMs(null, 80)).toBe(80);
    expect(meanMs(80, 40)).toBe(70);
  });
});

describe("pauses between attempts", () => {
  it("double up to a bound and differ by chance", () => {
    expect([0, 1, 2, 3].map((attempt) => pauseMs(attempt, 0))).toEqual([500, 1000, 2000, 4000]);
    expect(pauseMs(50, 0)).toBe(15_000);
    expect(pauseMs(50, 1)).toBe(10_000);
  });
});

describe("a long list", () => {
  it("holds the rows in sight and a few beyond", () => {
    expect(windowOf(0, 600, 60, 10_000)).toEqual([0, 16]);
    expect(windowOf(6000, 600, 60, 10_000)).toEqual([94, 116]);
    expect(windowOf(0, 600, 60, 3)).toEqual([0, 3]);
    // It shrank under a view that is scrolled far down.
    expect(windowOf(60_000, 600, 60, 5)).toEqual([5, 5]);
  });
});

describe("paths", () => {
  it("leave out what is not asked", () => {
    expect(pathWith("/a", { b: 1, c: null, d: "", e: undefined, f: "x y" })).toBe("/a?b=1&f=x+y");
    expect(pathWith("/a")).toBe("/a");
  });
});
