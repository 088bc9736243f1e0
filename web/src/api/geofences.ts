// Areas that rules ask for.

import type { GeoJsonObject } from "geojson";

import { change, get } from "./client";

const PATH = "/api/v1/geofences/";

/** A geometry or a feature, with `radius_m` or `width_m` where it needs one (docs/rules.md). */
export type Area = GeoJsonObject & Record<string, unknown>;

export interface Geofence {
  id: number;
  name: string;
  area: Area;
  /** Everybody's. */
  shared: boolean;
  /** Whether the caller may change it. */
  editable: boolean;
  version: number;
  created_at: string;
  updated_at: string;
}

export interface GeofenceBody {
  name: string;
  area: Area;
  shared: boolean;
}

interface Page {
  geofences: Geofence[];
  next_cursor: string | null;
}

const PAGE = 200;
/** A map with more is drawn by nobody's browser. */
export const MOST_FENCES = 2000;

/** All that the caller sees, page by page, up to a bound. */
export async function geofences(signal?: AbortSignal): Promise<Geofence[]> {
  const found: Geofence[] = [];
  for (let cursor: string | null = null; ; ) {
    const page: Page = await get<Page>(PATH, { limit: PAGE, cursor }, signal);
    found.push(...page.geofences);
    cursor = page.next_cursor;
    if (cursor === null || found.length >= MOST_FENCES) return found;
  }
}

export const addGeofence = (body: GeofenceBody): Promise<Geofence> => change<Geofence>("POST", PATH, body);

export const changeGeofence = (id: number, body: GeofenceBody): Promise<Geofence> =>
  change<Geofence>("PUT", `${PATH}${id}`, body);

export const removeGeofence = (id: number): Promise<unknown> => change("DELETE", `${PATH}${id}`);
