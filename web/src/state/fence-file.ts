// Geofences of a GeoJSON file. Pure.

import type { Area } from "../api/geofences";
import { shapesOf } from "./shapes";

/** A fence of a file. */
export interface Imported {
  name: string;
  area: Area;
}

/** More in one file are a matter for the API. */
export const MOST_IMPORTED = 200;
const MOST_NAME = 100;

/** A member's name, or one by the file's. */
function nameOf(properties: Record<string, unknown> | null | undefined, file: string, index: number): string {
  const own = ["name", "Name", "NAME", "title"]
    .map((key) => properties?.[key])
    .find((text) => typeof text === "string");
  const name = String(own ?? "").trim() || (index === 0 ? file : `${file} ${index + 1}`);
  return name.slice(0, MOST_NAME);
}

/** The areas of a GeoJSON file, or why there are none. */
export function importedOf(text: string, file: string): Imported[] | "json" | "none" | "many" {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    return "json";
  }
  if (typeof read !== "object" || read === null) return "none";
  const area = read as Area;
  const members = area.type === "FeatureCollection" ? (area.features as Area[]) : [area];
  if (!Array.isArray(members)) return "none";
  const base = file.replace(/\.(geo)?json$/i, "");
  const found = members
    .filter((member) => typeof member === "object" && member !== null && shapesOf(member).length > 0)
    .map((member, index) => {
      const properties = member.properties as Record<string, unknown> | undefined;
      return { name: nameOf(properties, base, index), area: trimmed(member) };
    });
  if (found.length === 0) return "none";
  return found.length > MOST_IMPORTED ? "many" : found;
}

/** A feature without properties that are none of a fence's. */
function trimmed(area: Area): Area {
  if (area.type !== "Feature") return area;
  const { radius_m, width_m } = (area.properties ?? {}) as Record<string, unknown>;
  const metres = { ...(radius_m === undefined ? {} : { radius_m }), ...(width_m === undefined ? {} : { width_m }) };
  return { ...(area.geometry as Area), ...metres };
}
