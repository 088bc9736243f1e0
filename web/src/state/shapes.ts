// Geofences as shapes: between GeoJSON and what is drawn by hand. Pure. While one is drawn its
// longitudes go on beyond 180 where it does; saved, they are back between -180 and 180.

import type { Geometry, Position } from "geojson";

import type { Area } from "../api/geofences";

/** Longitude, then latitude, as in GeoJSON. */
export type At = [longitude: number, latitude: number];

export type ShapeKind = "polygon" | "circle" | "corridor";
export const SHAPE_KINDS: readonly ShapeKind[] = ["polygon", "circle", "corridor"];

export interface Shape {
  kind: ShapeKind;
  /**
   * Of a polygon its rings, the outer one first, each without its first corner at the end; of a
   * corridor its lines; of a circle one list with its centre.
   */
  rings: At[][];
  /** The radius of a circle, the width of a corridor. */
  metres: number;
}

export const FEWEST: Record<ShapeKind, number> = { polygon: 3, circle: 1, corridor: 2 };
/** Of a circle's radius and a corridor's width. */
export const LEAST_METRES = 1;
export const MOST_METRES = 1_000_000;
const USUAL_METRES: Record<ShapeKind, number> = { polygon: 0, circle: 500, corridor: 200 };

export const emptyShape = (kind: ShapeKind): Shape => ({ kind, rings: [[]], metres: USUAL_METRES[kind] });

const EARTH_M = 6_371_008.8;
const rad = (degrees: number): number => (degrees * Math.PI) / 180;
const deg = (radians: number): number => (radians * 180) / Math.PI;

/** Metres along the great circle. */
export function metresBetween(a: At, b: At): number {
  const [dLat, dLon] = [rad(b[1] - a[1]), rad(b[0] - a[0])];
  const h = Math.sin(dLat / 2) ** 2 + Math.cos(rad(a[1])) * Math.cos(rad(b[1])) * Math.sin(dLon / 2) ** 2;
  return 2 * EARTH_M * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** Where one comes from `from` towards a bearing, in a longitude near to its own. */
export function towards(from: At, bearingDeg: number, metres: number): At {
  const [lat, bearing, angle] = [rad(from[1]), rad(bearingDeg), metres / EARTH_M];
  const toLat = Math.asin(Math.sin(lat) * Math.cos(angle) + Math.cos(lat) * Math.sin(angle) * Math.cos(bearing));
  const dLon = Math.atan2(
    Math.sin(bearing) * Math.sin(angle) * Math.cos(lat),
    Math.cos(angle) - Math.sin(lat) * Math.sin(toLat),
  );
  return [from[0] + deg(dLon), deg(toLat)];
}

const CIRCLE_CORNERS = 72;

/** A circle as a ring, closed. */
export function circle(centre: At, metres: number): At[] {
  const ring = Array.from({ length: CIRCLE_CORNERS }, (_, index) =>
    towards(centre, (index * 360) / CIRCLE_CORNERS, metres),
  );
  return [...ring, ring[0]!];
}

/** The same meridian, within half a turn of another one. */
const near = (longitude: number, other: number): number => longitude - 360 * Math.round((longitude - other) / 360);

/** A line whose longitudes do not jump at the antimeridian. */
function unwound(line: readonly Position[], first?: number): At[] {
  let before = first;
  return line.map(([longitude = 0, latitude = 0]) => {
    before = before === undefined ? longitude : near(longitude, before);
    return [before, latitude];
  });
}

const DIGITS = 1e7;
const rounded = (value: number): number => Math.round(value * DIGITS) / DIGITS;

/** Between -180 and 180. */
function wound([longitude, latitude]: At): At {
  return [rounded(near(longitude, 0)), rounded(latitude)];
}

const sameAs = (a: Position, b: Position): boolean => a[0] === b[0] && a[1] === b[1];

/** Without the first corner at its end. */
const opened = (ring: readonly Position[]): readonly Position[] =>
  ring.length > 1 && sameAs(ring[0]!, ring.at(-1)!) ? ring.slice(0, -1) : ring;

/** The geometry of an area, and its metres. */
function parts(area: Area): { geometry: Geometry | null; radius: number; width: number } {
  const isFeature = area.type === "Feature";
  const own = (isFeature ? area.properties : area) as Record<string, unknown> | null;
  const metres = (name: string): number => Number(own?.[name] ?? area[name] ?? Number.NaN);
  const geometry = (isFeature ? area.geometry : area) as Geometry | null;
  return { geometry, radius: metres("radius_m"), width: metres("width_m") };
}

const ringsOf = (rings: readonly (readonly Position[])[]): At[][] => {
  const [outer = [], ...holes] = rings.map(opened);
  const first = unwound(outer);
  return [first, ...holes.map((hole) => unwound(hole, first[0]?.[0]))];
};

/** What can be drawn by hand; several polygons, and what is no area, cannot. */
export function shapeOf(area: Area): Shape | null {
  const { geometry, radius, width } = parts(area);
  switch (geometry?.type) {
    case "Polygon":
      return { kind: "polygon", rings: ringsOf(geometry.coordinates), metres: 0 };
    case "MultiPolygon":
      if (geometry.coordinates.length !== 1) return null;
      return { kind: "polygon", rings: ringsOf(geometry.coordinates[0]!), metres: 0 };
    case "Point":
      return Number.isFinite(radius)
        ? { kind: "circle", rings: [unwound([geometry.coordinates])], metres: radius }
        : null;
    case "LineString":
      return Number.isFinite(width)
        ? { kind: "corridor", rings: [unwound(geometry.coordinates)], metres: width }
        : null;
    case "MultiLineString": {
      if (!Number.isFinite(width)) return null;
      const first = geometry.coordinates[0]?.[0]?.[0];
      return { kind: "corridor", rings: geometry.coordinates.map((line) => unwound(line, first)), metres: width };
    }
    default:
      return null;
  }
}

/** As the API takes it. */
export function areaOf({ kind, rings, metres }: Shape): Area {
  const lines = rings.map((ring) => ring.map(wound));
  if (kind === "circle") return { type: "Point", coordinates: lines[0]![0], radius_m: metres };
  if (kind === "polygon") return { type: "Polygon", coordinates: lines.map((ring) => [...ring, ring[0]]) };
  if (lines.length === 1) return { type: "LineString", coordinates: lines[0], width_m: metres };
  return { type: "MultiLineString", coordinates: lines, width_m: metres };
}

/** The shapes of an area, to look at: several polygons are several. */
export function shapesOf(area: Area): Shape[] {
  const { geometry } = parts(area);
  if (geometry?.type === "MultiPolygon") {
    return geometry.coordinates.map((rings) => ({ kind: "polygon", rings: ringsOf(rings), metres: 0 }));
  }
  const shape = shapeOf(area);
  return shape === null ? [] : [shape];
}

/** All corners, with those of a circle's box: what has to be in sight. */
export function extentOf(shapes: readonly Shape[]): { longitude: number; latitude: number }[] {
  const corners = shapes.flatMap(({ kind, rings, metres }) =>
    kind === "circle" && rings[0]?.[0]
      ? [0, 90, 180, 270].map((bearing) => towards(rings[0]![0]!, bearing, metres))
      : rings.flat(),
  );
  return corners.map(([longitude, latitude]) => ({ longitude, latitude }));
}

export type ShapeFault = "few" | "crosses" | "metres";

/** With more corners it is the server that looks for edges that cross. */
const LOOKED_FOR_CROSSINGS = 1000;

/** What is wrong with a shape as it stands; the server looks as well. */
export function faultOf({ kind, rings, metres }: Shape): ShapeFault | null {
  if (rings.length === 0 || rings.some((ring) => ring.length < FEWEST[kind])) return "few";
  if (kind !== "polygon" && !(metres >= LEAST_METRES && metres <= MOST_METRES)) return "metres";
  return kind === "polygon" && rings.some(crosses) ? "crosses" : null;
}

const turn = (a: At, b: At, c: At): number => Math.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]));

const cut = (a: At, b: At, c: At, d: At): boolean => turn(a, b, c) !== turn(a, b, d) && turn(c, d, a) !== turn(c, d, b);

/** Whether two edges of a ring that are not neighbours meet. */
export function crosses(ring: readonly At[]): boolean {
  const count = ring.length;
  if (count < 4 || count > LOOKED_FOR_CROSSINGS) return false;
  const edge = (index: number): [At, At] => [ring[index]!, ring[(index + 1) % count]!];
  for (let one = 0; one < count; one += 1) {
    for (let other = one + 2; other < count; other += 1) {
      // The last edge ends where the first begins.
      if (one === 0 && other === count - 1) continue;
      if (cut(...edge(one), ...edge(other))) return true;
    }
  }
  return false;
}

/** Square metres inside the outer ring, on a plane at its latitude: for people to compare by. */
export function squareMetres({ kind, rings, metres }: Shape): number {
  if (kind === "circle") return Math.PI * metres ** 2;
  if (kind === "corridor") {
    return metres * rings.reduce((sum, line) => sum + lengthOf(line), 0);
  }
  return (
    Math.max(0, ...rings.slice(0, 1).map(planeArea)) - rings.slice(1).reduce((sum, hole) => sum + planeArea(hole), 0)
  );
}

function planeArea(ring: readonly At[]): number {
  if (ring.length < 3) return 0;
  const [lon0, lat0] = ring[0]!;
  const points = ring.map(([lon, lat]) => [rad(lon - lon0) * EARTH_M * Math.cos(rad(lat0)), rad(lat - lat0) * EARTH_M]);
  const twice = points.reduce((sum, [x, y], index) => {
    const [nextX, nextY] = points[(index + 1) % points.length]!;
    return sum + x! * nextY! - nextX! * y!;
  }, 0);
  return Math.abs(twice) / 2;
}

function lengthOf(line: readonly At[]): number {
  return line.slice(1).reduce((sum, at, index) => sum + metresBetween(line[index]!, at), 0);
}

/** Latitude and longitude of each corner, a line each, rings apart by an empty line. */
export function coordinatesText({ rings }: Shape): string {
  const line = ([longitude, latitude]: At): string => `${latitude.toFixed(6)}, ${near(longitude, 0).toFixed(6)}`;
  return rings.map((ring) => ring.map(line).join("\n")).join("\n\n");
}

/** What was typed, or the number of the first line that is no place. */
export function typedCoordinates(text: string): { rings: At[][] } | { line: number } {
  const rings: At[][] = [[]];
  for (const [index, written] of text.split("\n").entries()) {
    const line = written.trim();
    if (line === "") {
      if (rings.at(-1)!.length > 0) rings.push([]);
      continue;
    }
    const [latitude, longitude, ...more] = line
      .split(/[\s,;]+/)
      .filter(Boolean)
      .map(Number);
    const isPlace =
      more.length === 0 && Math.abs(latitude ?? Number.NaN) <= 90 && Math.abs(longitude ?? Number.NaN) <= 180;
    if (!isPlace) return { line: index + 1 };
    rings.at(-1)!.push([longitude!, latitude!]);
  }
  if (rings.length > 1 && rings.at(-1)!.length === 0) rings.pop();
  const first = rings[0]![0]?.[0];
  return { rings: rings.map((ring) => unwound(ring, first)) };
}
