// The rows of a report as a person goes through them: in an order, a page at a time,
// with what they add up to. Pure.

import { formatDay, formatMinute } from "./ranges";
import type { Route } from "./route";

export type Plain = string | number | null;

/** Of the address: a column's name, behind a minus where the greatest comes first. */
export interface Order {
  column: string;
  descending: boolean;
}

export function orderOf(text: string | undefined, columns: readonly string[]): Order | null {
  const column = (text ?? "").replace(/^-/, "");
  return columns.includes(column) ? { column, descending: text!.startsWith("-") } : null;
}

/** What a click on a column's head asks for: up, then down, then as the server has it. */
export function nextOrder(before: Order | null, column: string): string | null {
  if (before?.column !== column) return column;
  return before.descending ? null : `-${column}`;
}

/** Unknown values come last either way; equal ones stay as they were. */
export function sorted<T>(rows: readonly T[], value: (row: T) => Plain, descending: boolean): T[] {
  const sign = descending ? -1 : 1;
  const keyed = rows.map((row) => ({ row, key: value(row) }));
  keyed.sort((a, b) => {
    if (a.key === null || b.key === null) return a.key === b.key ? 0 : a.key === null ? 1 : -1;
    if (typeof a.key === "number" && typeof b.key === "number") return sign * (a.key - b.key);
    return sign * String(a.key).localeCompare(String(b.key), undefined, { numeric: true });
  });
  return keyed.map(({ row }) => row);
}

export type Total = "sum" | "most";

/** `null` when no row has a value. */
export function totalOf<T>(rows: readonly T[], value: (row: T) => Plain, total: Total): number | null {
  let result: number | null = null;
  for (const row of rows) {
    const one = value(row);
    if (typeof one !== "number") continue;
    if (result === null) result = one;
    else result = total === "sum" ? result + one : Math.max(result, one);
  }
  return result;
}

/** A page of a list, from 0; one that is not there any more is the last. */
export function pageOf(
  count: number,
  size: number,
  wanted: number,
): { page: number; first: number; end: number; pages: number } {
  const pages = Math.max(1, Math.ceil(count / size));
  const page = Math.min(Math.max(0, wanted), pages - 1);
  return { page, pages, first: page * size, end: Math.min(count, (page + 1) * size) };
}

const MINUTE_MS = 60_000;

/** The device's day with the moment in sight, and the replay of just this. */
export function waysOf(
  device: string,
  { fromMs, toMs }: { fromMs: number; toMs: number },
): { map: Route; replay: Route } {
  const at = String(Math.floor(fromMs / 1000));
  const from = formatMinute(fromMs - MINUTE_MS);
  const to = formatMinute(toMs + 2 * MINUTE_MS);
  return {
    map: { view: "device", device, query: { day: formatDay(fromMs), at } },
    replay: { view: "replay", device, query: { from, to, at } },
  };
}
