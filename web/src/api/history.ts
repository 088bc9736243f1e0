// What was recorded, and what the server makes of it: rows, trips, stops, sums,
// events, and what became of a frame.

import { segment } from "../state/route";
import { ApiError, get, type Query } from "./client";
import type { Day, Found, Happening, Letter, Row, RowPage, Stop, Trip } from "./types";

export type { Day, Found, Happening, Letter, Stop, Trip };

export interface Range {
  fromMs: number;
  toMs: number;
}

const PAGE_ROWS = 20_000;
/** 200 000 rows are 5 days at 2 s: beyond it a chart shows nothing more. */
const MOST_ROWS = 200_000;

const rangeQuery = (range: Range): Query => ({
  from: Math.floor(range.fromMs / 1000),
  to: Math.floor(range.toMs / 1000),
});

/** Every row of a range in recorded order; `progress` hears how many there are yet. */
export async function rows(
  device: string,
  range: Range,
  signal: AbortSignal,
  progress: (count: number) => void = () => undefined,
): Promise<Row[]> {
  const all: Row[] = [];
  let cursor: string | null = null;
  do {
    const page: RowPage = await get<RowPage>(
      "/api/v1/report/",
      { device_id: device, ...rangeQuery(range), limit: PAGE_ROWS, cursor },
      signal,
    );
    for (const row of page.rows) all.push(row);
    progress(all.length);
    cursor = page.next_cursor;
  } while (cursor !== null && all.length < MOST_ROWS);
  return all;
}

/** The newest rows of a device, newest first. */
export async function newest(device: string, limit: number, signal: AbortSignal): Promise<Row[]> {
  const page = await get<RowPage>("/api/v1/report/", { device_id: device, order: "desc", limit }, signal);
  return page.rows;
}

/** The moments nearest to a range before and after it at which something was recorded. */
export async function daysNear(
  device: string,
  range: Range,
  signal: AbortSignal,
): Promise<{ before: number | null; after: number | null }> {
  const one = async (query: Query): Promise<number | null> => {
    const page = await get<RowPage>("/api/v1/report/", { device_id: device, limit: 1, ...query }, signal);
    return page.rows[0] ? Date.parse(page.rows[0].recorded_at) : null;
  };
  const [before, after] = await Promise.all([
    one({ order: "desc", to: Math.floor(range.fromMs / 1000) - 1 }),
    one({ order: "asc", from: Math.floor(range.toMs / 1000) + 1 }),
  ]);
  return { before, after };
}

/** Whose: of some devices, or of all in a group. */
export type Whose = { devices: readonly string[] } | { group: string };

export const whoseQuery = (whose: Whose): Query =>
  "group" in whose ? { group: whose.group } : { device_ids: whose.devices.map(segment).join(",") };

async function report(
  kind: string,
  whose: Whose,
  range: Range,
  tz: string,
  signal: AbortSignal,
  more: Query = {},
): Promise<Record<string, unknown>> {
  const query = { ...whoseQuery(whose), ...rangeQuery(range), tz, ...more };
  const ask = (asked: Query) => get<Record<string, unknown>>(`/api/v1/report/${kind}`, asked, signal);
  try {
    return await ask(query);
  } catch (error) {
    // A browser may know a zone that the server does not.
    if (!(error instanceof ApiError) || error.parameter !== "tz") throw error;
    return ask({ ...query, tz: "UTC" });
  }
}

export type OfDevice<T> = T & { device_id: string };

export const trips = async (whose: Whose, range: Range, tz: string, signal: AbortSignal) =>
  (await report("trips", whose, range, tz, signal)).trips as Trip[];
export const stops = async (whose: Whose, range: Range, tz: string, signal: AbortSignal) =>
  (await report("stops", whose, range, tz, signal)).stops as Stop[];
export const events = async (
  whose: Whose,
  range: Range,
  tz: string,
  signal: AbortSignal,
  speedLimitKmh: number | null = null,
) => (await report("events", whose, range, tz, signal, { speed_limit_kmh: speedLimitKmh })).events as Happening[];

/** Sums by device and day, of one device or of several. */
export const days = async (whose: Whose, range: Range, tz: string, signal: AbortSignal) =>
  daysOf((await report("summary", whose, range, tz, signal)) as never);

interface DaysOfDevice {
  device_id: string;
  days: Day[];
}

export function daysOf(answer: DaysOfDevice | { devices: DaysOfDevice[] }): OfDevice<Day>[] {
  const several = "devices" in answer ? answer.devices : [answer];
  return several.flatMap(({ device_id, days }) => days.map((day) => ({ ...day, device_id })));
}

export const lookUp = (device: string, recordedAt: string, signal?: AbortSignal) =>
  get<Found>("/api/v1/lookup", { device_id: device, recorded_at: recordedAt }, signal);
export const lookUpFrame = (frame: string) => get<Found>("/api/v1/lookup", { frame });
