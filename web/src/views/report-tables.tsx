// What each kind of report shows of a row, how it adds up, and where a row leads.

import type { ComponentChildren } from "preact";

import type { Day, Happening, OfDevice, Stop, Trip } from "../api/history";
import { dayOf } from "../state/ranges";
import type { Plain, Total } from "../state/report";
import type { Key } from "../text/en";
import * as format from "../text/format";
import { t } from "../text/language";
import { Time } from "../ui/basics";
import { eventDetail } from "./device-day";

export const KINDS = ["trips", "stops", "summary", "events"] as const;
export type Kind = (typeof KINDS)[number];

export interface Column<T> {
  name: Key;
  number?: boolean;
  show: (row: T) => ComponentChildren;
  /** Plain, for files and for the order: with the unit of the column's name. */
  file: [name: string, value: (row: T) => Plain];
  total?: [kind: Total, show: (value: number) => string];
}

export interface Table<T> {
  columns: Column<T>[];
  /** Of the chart: what adds up by local day. */
  measure: { name: Key; unit: string; at: (row: T) => number; value: (row: T) => number } | null;
  /** When it was, for the ways to the map and the replay. */
  span: (row: T) => { fromMs: number; toMs: number };
}

/** A row of some kind of report; its table knows which. */
export type AnyRow = OfDevice<object>;

const ms = (text: string | null | undefined): number | null => (text ? Date.parse(text) : null);
const km = (metres: number): number => Math.round(metres / 100) / 10;

const start: Column<{ start: string }> = {
  name: "col.start",
  show: (row) => <Time ms={ms(row.start)} />,
  file: ["start", (row) => row.start],
};
const end: Column<{ end: string | null; open: boolean }> = {
  name: "col.end",
  show: (row) => (row.open ? t("trip.ongoing") : <Time ms={ms(row.end)} />),
  file: ["end", (row) => (row.open ? null : row.end)],
};
const lasted: Column<{ duration_s: number | null }> = {
  name: "col.duration",
  number: true,
  show: (row) => format.duration(row.duration_s),
  file: ["duration_s", (row) => row.duration_s],
  total: ["sum", format.duration],
};
const far: Column<{ distance_m: number }> = {
  name: "col.distance",
  number: true,
  show: (row) => format.distance(row.distance_m),
  file: ["distance_m", (row) => row.distance_m],
  total: ["sum", format.distance],
};
const top: Column<{ max_speed_kmh: number | null }> = {
  name: "col.max",
  number: true,
  show: (row) => format.speed(row.max_speed_kmh),
  file: ["max_speed_kmh", (row) => row.max_speed_kmh],
  total: ["most", format.speed],
};
const mean: Column<Trip> = {
  name: "col.mean",
  number: true,
  show: (row) => format.speed(row.mean_speed_kmh),
  file: ["mean_speed_kmh", (row) => row.mean_speed_kmh],
};
const idle: Column<{ idle_s: number }> = {
  name: "col.idle",
  number: true,
  show: (row) => format.duration(row.idle_s),
  file: ["idle_s", (row) => row.idle_s],
  total: ["sum", format.duration],
};
const engine: Column<{ engine_s: number }> = {
  name: "col.engine",
  number: true,
  show: (row) => format.duration(row.engine_s),
  file: ["engine_s", (row) => row.engine_s],
  total: ["sum", format.duration],
};
const moving: Column<Day> = {
  name: "col.moving",
  number: true,
  show: (row) => format.duration(row.moving_s),
  file: ["moving_s", (row) => row.moving_s],
  total: ["sum", format.duration],
};
const place: Column<Pick<Stop, "at">> = {
  name: "col.place",
  show: (row) => <code>{row.at ? format.coordinates(row.at.latitude, row.at.longitude) : format.NOTHING}</code>,
  file: ["place", (row) => (row.at ? `${row.at.latitude} ${row.at.longitude}` : null)],
};

const dayMs = (row: Day): number => Date.parse(`${row.date}T12:00:00`);
const between = (row: { start: string; end: string | null }): { fromMs: number; toMs: number } => {
  const fromMs = Date.parse(row.start);
  return { fromMs, toMs: ms(row.end) ?? fromMs };
};

const trips: Table<Trip> = {
  columns: [start, end, lasted, far, top, mean, idle],
  measure: { name: "col.distance", unit: "km", at: (row) => Date.parse(row.start), value: (row) => km(row.distance_m) },
  span: between,
};
const stops: Table<Stop> = {
  columns: [start, end, lasted, idle, engine, place],
  measure: {
    name: "col.duration",
    unit: "h",
    at: (row) => Date.parse(row.start),
    value: (row) => row.duration_s / 3600,
  },
  span: between,
};
const summary: Table<Day> = {
  columns: [
    { name: "col.day", show: (row) => <Time ms={dayMs(row)} as="day" />, file: ["day", (row) => row.date] },
    far,
    moving,
    idle,
    engine,
    top,
  ],
  measure: { name: "col.distance", unit: "km", at: dayMs, value: (row) => km(row.distance_m) },
  span: (row) => dayOf(dayMs(row)),
};
const events: Table<Happening> = {
  columns: [
    start,
    {
      name: "col.event",
      show: (row) => t(`event.${row.event}` as Key),
      file: ["event", (row) => row.event],
    },
    {
      name: "col.detail",
      show: eventDetail,
      file: ["detail", (row) => row.peak_kmh ?? row.jump_m ?? row.duration_s],
    },
    place,
  ],
  measure: null,
  span: (row) => between({ start: row.start, end: null }),
};

/** The rows of a kind are those that its own request answers, which no type can say. */
export const TABLES = { trips, stops, summary, events } as unknown as Record<Kind, Table<AnyRow>>;
