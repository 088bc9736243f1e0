// Reads the bundled base map (tools/basemap.py): lines as differences of whole
// numbers become GeoJSON. The fine one is fetched when someone comes close.

import type { Feature, FeatureCollection, MultiLineString, MultiPolygon, Position } from "geojson";

import detailUrl from "./data/detail.json?url";
import labelsUrl from "./data/labels.json?url";
import worldUrl from "./data/world.json?url";

interface Packed {
  units: number;
  land: number[][][];
  lakes: number[][][];
  borders: number[][];
  states: number[][];
}

interface Labels {
  /** Code, longitude, latitude, size in degrees. */
  countries: [string, number, number, number][];
  /** Name, longitude, latitude; the greatest first. */
  places: [string, number, number][];
}

export function unpack(line: readonly number[], units: number): Position[] {
  const points: Position[] = [];
  let x = 0;
  let y = 0;
  for (let i = 0; i + 1 < line.length; i += 2) {
    x += line[i]!;
    y += line[i + 1]!;
    points.push([x / units, y / units]);
  }
  return points;
}

const layerOf = (layer: string, geometry: MultiPolygon | MultiLineString): Feature<MultiPolygon | MultiLineString> => ({
  type: "Feature",
  properties: { layer },
  geometry,
});

export function features(packed: Packed): FeatureCollection {
  const polygons = (list: number[][][]): MultiPolygon => ({
    type: "MultiPolygon",
    coordinates: list.map((rings) => rings.map((ring) => unpack(ring, packed.units))),
  });
  const lines = (list: number[][]): MultiLineString => ({
    type: "MultiLineString",
    coordinates: list.map((line) => unpack(line, packed.units)),
  });
  return {
    type: "FeatureCollection",
    features: [
      layerOf("land", polygons(packed.land)),
      layerOf("lakes", polygons(packed.lakes)),
      layerOf("borders", lines(packed.borders)),
      layerOf("states", lines(packed.states)),
    ],
  };
}

/** Zoom from which a place of this rank is named. */
export function placeZoom(rank: number): number {
  if (rank < 60) return 3;
  if (rank < 250) return 4.5;
  if (rank < 700) return 5.5;
  if (rank < 2000) return 7;
  return 8.5;
}

export function labelFeatures(labels: Labels, language: string): FeatureCollection {
  const names = new Intl.DisplayNames([language], { type: "region", fallback: "code" });
  const point = (properties: object, lon: number, lat: number): Feature => ({
    type: "Feature",
    properties,
    geometry: { type: "Point", coordinates: [lon, lat] },
  });
  return {
    type: "FeatureCollection",
    features: [
      ...labels.countries.map(([code, lon, lat, size]) =>
        point({ kind: "country", name: names.of(code) ?? code, rank: -size, size }, lon, lat),
      ),
      ...labels.places.map(([name, lon, lat], rank) =>
        point({ kind: "place", name, rank, from: placeZoom(rank) }, lon, lat),
      ),
    ],
  };
}

async function load<T>(url: string): Promise<T> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`the base map cannot be read (${response.status})`);
  return (await response.json()) as T;
}

/** Made once and kept: maps come and go with the views. A failure is not kept. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null;
  return () => {
    made ??= make().catch((error: unknown) => {
      made = null;
      throw error;
    });
    return made;
  };
}

export const world = once(async () => features(await load<Packed>(worldUrl)));
export const detail = once(async () => features(await load<Packed>(detailUrl)));
const names = once(() => load<Labels>(labelsUrl));
export const labels = async (language: string): Promise<FeatureCollection> => labelFeatures(await names(), language);
