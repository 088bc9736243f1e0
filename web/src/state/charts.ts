// The chart view: which channels of which devices over which range, and their columns
// side by side. Pure.

import type { Columns } from "../api/channels";
import type { Range } from "../api/history";
import { type Cell, csvOf, type Style } from "../text/csv";
import type { Route } from "./route";

export interface Line {
  device: string;
  channel: string;
}

/** What positions say, as channels that every device with positions has, and the words for it. */
export const OF_POSITIONS = [
  ["position.speed_kmh", "device.speed", "km/h"],
  ["position.odometer_m", "device.odometer", "m"],
  ["position.direction_deg", "device.heading", "deg"],
  ["position.ignition", "device.ignition", null],
] as const;

/** More lines than this nobody tells apart. */
export const MOST_LINES = 8;

const same = (a: Line, b: Line): boolean => a.device === b.device && a.channel === b.channel;

/** `host%3Aweb1/cpu,0A3F73/temperature` of the address. */
export function parseLines(text: string | undefined): Line[] {
  const lines: Line[] = [];
  for (const item of (text ?? "").split(",")) {
    const [device, channel, more] = item.split("/");
    if (!device || !channel || more !== undefined) continue;
    try {
      const line = { device: decodeURIComponent(device), channel: decodeURIComponent(channel) };
      if (!lines.some((other) => same(other, line))) lines.push(line);
    } catch {
      // Someone's half of an address: the other lines are drawn.
    }
  }
  return lines.slice(0, MOST_LINES);
}

export function formatLines(lines: readonly Line[]): string {
  return lines.map(({ device, channel }) => `${encodeURIComponent(device)}/${encodeURIComponent(channel)}`).join(",");
}

export const without = (lines: readonly Line[], line: Line): Line[] => lines.filter((other) => !same(other, line));

export const chartRoute = (lines: readonly Line[]): Route => ({
  view: "charts",
  device: null,
  query: { s: formatLines(lines) },
});

const HOUR_MS = 3_600_000;
export const USUAL_SPAN_MS = 6 * HOUR_MS;
/** Less than a minute has few values of anything. */
const LEAST_SPAN_MS = 10_000;

/** Milliseconds of the address; without any the last hours, which move on. */
export function rangeOfQuery(query: Record<string, string>, nowMs: number): Range & { moves: boolean } {
  const [fromMs, toMs] = [Number(query.from), Number(query.to)];
  if (query.from && query.to && Number.isFinite(fromMs) && Number.isFinite(toMs) && fromMs < toMs) {
    return { fromMs, toMs, moves: false };
  }
  const span = Number(query.span);
  const spanMs = Number.isFinite(span) && span >= LEAST_SPAN_MS ? span : USUAL_SPAN_MS;
  return { fromMs: nowMs - spanMs, toMs: nowMs, moves: true };
}

/** Around its middle: `by` of 2 shows twice as much. */
export function zoomed({ fromMs, toMs }: Range, by: number): Range {
  const middle = (fromMs + toMs) / 2;
  const half = Math.max(LEAST_SPAN_MS / 2, ((toMs - fromMs) * by) / 2);
  return { fromMs: Math.round(middle - half), toMs: Math.round(middle + half) };
}

export function shifted({ fromMs, toMs }: Range, by: number): Range {
  const step = Math.round((toMs - fromMs) * by);
  return { fromMs: fromMs + step, toMs: toMs + step };
}

/** As many values as a chart draws one by one; fewer are asked for as they came. */
export const FEW_VALUES = 2_000;

export const countOf = (columns: Columns): number =>
  (columns.values.count ?? []).reduce<number>((sum, count) => sum + (typeof count === "number" ? count : 0), 0);

export interface Drawn {
  /** Unix seconds, ascending. */
  times: number[];
  /** A column a line. */
  columns: (number | null | undefined)[][];
}

const asNumber = (value: unknown): number | null =>
  typeof value === "number" ? value : typeof value === "boolean" ? Number(value) : null;

/** A silence of so many usual pauses between values, and no less than a minute, is a gap. */
const GAP_PAUSES = 5;
const GAP_AT_LEAST_MS = 60_000;

/** Values as they came, with a moment without one in each long silence. */
export function withGaps(t: readonly number[], values: readonly unknown[]): { t: number[]; values: unknown[] } {
  const pauses = t.slice(1).map((ms, index) => ms - t[index]!);
  const usual = [...pauses].sort((a, b) => a - b)[Math.floor(pauses.length / 2)] ?? 0;
  const longest = Math.max(GAP_AT_LEAST_MS, usual * GAP_PAUSES);
  const found: { t: number[]; values: unknown[] } = { t: [], values: [] };
  t.forEach((ms, index) => {
    const before = t[index - 1];
    if (before !== undefined && ms - before > longest) {
      found.t.push(before + 1);
      found.values.push(null);
    }
    found.t.push(ms);
    found.values.push(values[index]);
  });
  return found;
}

/**
 * Columns on one axis of time. Where another line has a moment and this one has none, it
 * goes on (`undefined`); a window without values is a gap (`null`).
 */
export function sideBySide(all: readonly { t: readonly number[]; values: readonly unknown[] }[]): Drawn {
  const moments = new Set<number>();
  for (const { t } of all) for (const ms of t) moments.add(ms);
  const sorted = [...moments].sort((a, b) => a - b);
  const places = new Map(sorted.map((ms, index) => [ms, index]));
  const columns = all.map(({ t, values }) => {
    const column: (number | null | undefined)[] = new Array(sorted.length).fill(undefined);
    t.forEach((ms, index) => {
      column[places.get(ms)!] = asNumber(values[index]);
    });
    return column;
  });
  return { times: sorted.map((ms) => ms / 1000), columns };
}

/** What is drawn as a table, for spreadsheets. */
export function csvOfChart(names: readonly string[], { times, columns }: Drawn, style: Style): string {
  const rows: Cell[][] = times
    .map((s, index): Cell[] => [new Date(s * 1000).toISOString(), ...columns.map((column) => column[index] ?? null)])
    // Moments that only mark a gap say nothing.
    .filter(([, ...values]) => values.some((value) => value !== null));
  return csvOf([["time", ...names], ...rows], style);
}
