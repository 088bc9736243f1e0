// A device's way through a range, by time: where it was at a moment, which parts
// of the way were silent, and what to draw. Pure.

import type { Row } from "../api/types";

export interface Point {
  ms: number;
  longitude: number;
  latitude: number;
  speedKmh: number;
  directionDeg: number;
  ignition: boolean;
}

export interface Moment {
  longitude: number;
  latitude: number;
  speedKmh: number | null;
  directionDeg: number;
  ignition: boolean | null;
  /** Nothing was heard here: the place is a guess between two that are known. */
  silent: boolean;
}

export type Line = { part: "whole" | "ahead" | "travelled" | "silent"; points: [number, number][] };

/** Longer than this between two fixes is silence. */
export const SILENT_MS = 5 * 60_000;

/** The same meridian within half a turn of another: a way over the 180th goes on beyond it. */
export function unwrapped(longitude: number, before: number): number {
  return longitude - 360 * Math.round((longitude - before) / 360);
}

export type Doubt = "zero_place" | "jump" | "speed";

/** Why the server does not believe a row, judged by those before it; `null` where it does. */
export function doubtOf(row: Row): Doubt | null {
  return (row as Row & { doubtful?: Doubt | null }).doubtful ?? null;
}

/** Whether the row says where the device was: with a fix, and not in doubt. */
const hasPlace = (row: Row): boolean => row.gps_fix && (doubtOf(row) === null || doubtOf(row) === "speed");

/** The speed that a row bears, unless it is in doubt. */
export const speedOf = (row: Row): number | null => (row.gps_fix && doubtOf(row) === null ? row.speed_kmh : null);

/** The rows with a place, in recorded order; longitudes go on beyond 180° rather than round the world. */
export function trackOf(rows: readonly Row[]): Point[] {
  const points: Point[] = [];
  for (const row of rows) {
    if (!hasPlace(row) || row.latitude === null || row.longitude === null) continue;
    const before = points.at(-1);
    points.push({
      ms: Date.parse(row.recorded_at),
      longitude: before ? unwrapped(row.longitude, before.longitude) : row.longitude,
      latitude: row.latitude,
      speedKmh: row.speed_kmh,
      directionDeg: row.direction_deg,
      ignition: row.ignition,
    });
  }
  return points;
}

/** Index of the last point at or before a moment; -1 before the first. */
export function indexAt(track: readonly { ms: number }[], ms: number): number {
  let low = 0;
  let high = track.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (track[middle]!.ms <= ms) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Where it was; between two fixes on the straight line. `null` without any fix. */
export function momentAt(track: readonly Point[], ms: number): Moment | null {
  const index = Math.max(0, indexAt(track, ms));
  const from = track[index];
  if (!from) return null;
  const to = track[index + 1];
  if (!to || ms <= from.ms) {
    const silent = ms - from.ms > SILENT_MS;
    return {
      longitude: from.longitude,
      latitude: from.latitude,
      speedKmh: silent ? null : from.speedKmh,
      directionDeg: from.directionDeg,
      ignition: silent ? null : from.ignition,
      silent,
    };
  }
  const share = (ms - from.ms) / (to.ms - from.ms);
  const silent = to.ms - from.ms > SILENT_MS;
  return {
    longitude: from.longitude + (to.longitude - from.longitude) * share,
    latitude: from.latitude + (to.latitude - from.latitude) * share,
    speedKmh: silent ? null : Math.round(from.speedKmh + (to.speedKmh - from.speedKmh) * share),
    directionDeg: turned(from.directionDeg, to.directionDeg, share),
    ignition: silent ? null : from.ignition,
    silent,
  };
}

/** From one heading to another the short way round. */
export function turned(from: number, to: number, share: number): number {
  const way = ((((to - from) % 360) + 540) % 360) - 180;
  return (from + way * share + 360) % 360;
}

const at = (point: Point): [number, number] => [point.longitude, point.latitude];

/** The way as lines, cut where it was silent. */
export function linesOf(track: readonly Point[], part: "whole" | "ahead" | "travelled"): Line[] {
  const lines: Line[] = [];
  let current: [number, number][] = [];
  track.forEach((point, index) => {
    const before = track[index - 1];
    if (before && point.ms - before.ms > SILENT_MS) {
      lines.push({ part, points: current });
      lines.push({ part: "silent", points: [at(before), at(point)] });
      current = [];
    }
    current.push(at(point));
  });
  lines.push({ part, points: current });
  return lines.filter((line) => line.points.length > 1);
}

/** What has been travelled at a moment, and what lies ahead. */
export function splitAt(track: readonly Point[], ms: number): Line[] {
  const index = indexAt(track, ms);
  const here = momentAt(track, ms);
  if (!here || index < 0) return linesOf(track, "ahead");
  const now = { ...track[index]!, ms, longitude: here.longitude, latitude: here.latitude };
  return [...linesOf(track.slice(index), "ahead"), ...linesOf([...track.slice(0, index + 1), now], "travelled")];
}

/** The next moment of a replay. Stops at the end. */
export function advance(ms: number, elapsedMs: number, rate: number, endMs: number): number {
  return Math.min(endMs, ms + elapsedMs * rate);
}

export interface Charted<T> {
  /** Unix seconds, ascending. */
  times: number[];
  /** `null` where nothing was heard: a line has a gap there. */
  values: (T | null)[];
}

/** Values for a chart: about so many, with the ends of every stretch, and gaps for silence. */
export function charted<T>(values: readonly T[], msOf: (value: T) => number, most: number): Charted<T> {
  const step = Math.max(1, Math.ceil(values.length / most));
  const made: Charted<T> = { times: [], values: [] };
  const add = (ms: number, value: T | null): void => {
    made.times.push(ms / 1000);
    made.values.push(value);
  };
  values.forEach((value, index) => {
    const ms = msOf(value);
    const before = values[index - 1];
    const after = values[index + 1];
    const begins = before === undefined || ms - msOf(before) > SILENT_MS;
    const ends = after === undefined || msOf(after) - ms > SILENT_MS;
    if (begins && before !== undefined) add(msOf(before) + 1000, null);
    if (begins || ends || index % step === 0) add(ms, value);
  });
  return made;
}
