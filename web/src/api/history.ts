// What was recorded, and what the server makes of it: rows, trips, stops, sums,
// events, and what became of a frame.

import { ApiError, type Query, get } from "./client";
import type { Day, Found, Happening, Letter, Row, RowPage, Stop, Trip } from "./types";

export type { Day, Found, Happening, Letter, Stop, Trip };

export interface Range {
  fromMs: number;
  toMs: number;
}

const PAGE_ROWS = 20_000;
/** 200 000 rows are 5 days at 2 s: beyond it a chart shows nothing more. */
const MOST_ROWS = 200_000;

const rangeQuery = (device: string, range: Range, tz?: string): Query => ({
  device_id: device,
  from: Math.floor(range.fromMs / 1000),
  to: Math.floor(range.toMs / 1000),
  tz,
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
      { ...rangeQuery(device, range), limit: PAGE_ROWS, cursor },
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
  const page = await get<RowPage>(
    "/api/v1/report/",
    { device_id: device, order: "desc", limit },
    signal,
  );
  return page.rows;
}

async function list<T>(
  kind: string,
  name: string,
  device: string,
  range: Range,
  tz: string,
  signal: AbortSignal,
  more: Query = {},
): Promise<T[]> {
  const query = { ...rangeQuery(device, range, tz), ...more };
  let answer: Record<string, unknown>;
  try {
    answer = await get<Record<string, unknown>>(`/api/v1/report/${kind}`, query, signal);
  } catch (error) {
    // A browser may know a zone that the server does not.
    if (!(error instanceof ApiError) || error.parameter !== "tz") throw error;
    answer = await get<Record<string, unknown>>(
      `/api/v1/report/${kind}`,
      { ...query, tz: "UTC" },
      signal,
    );
  }
  return answer[name] as T[];
}

export const trips = (device: string, range: Range, tz: string, signal: AbortSignal) =>
  list<Trip>("trips", "trips", device, range, tz, signal);
export const stops = (device: string, range: Range, tz: string, signal: AbortSignal) =>
  list<Stop>("stops", "stops", device, range, tz, signal);
export const days = (device: string, range: Range, tz: string, signal: AbortSignal) =>
  list<Day>("summary", "days", device, range, tz, signal);
export const events = (
  device: string,
  range: Range,
  tz: string,
  signal: AbortSignal,
  speedLimitKmh: number | null = null,
) => list<Happening>("events", "events", device, range, tz, signal, { speed_limit_kmh: speedLimitKmh });

export const lookUp = (device: string, recordedAt: string, signal?: AbortSignal) =>
  get<Found>("/api/v1/lookup", { device_id: device, recorded_at: recordedAt }, signal);
export const lookUpFrame = (frame: string) => get<Found>("/api/v1/lookup", { frame });
