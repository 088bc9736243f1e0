// A device's day as the page holds it, kept up to date as rows arrive: what to ask for
// again, and how the answers go together. Pure.

import type { Row } from "../api/types";

const secondOf = (row: Row): number => Math.floor(Date.parse(row.recorded_at) / 1000);

/** From where rows are asked for again: the second of the last one, which may have a second row. */
export function resumeMs(rows: readonly Row[], fromMs: number): number {
  const last = rows.at(-1);
  return last ? secondOf(last) * 1000 : fromMs;
}

/** The rows with those from `resumeMs` on read again; the same list when nothing is new. */
export function continued(held: readonly Row[], fromMs: number, fresh: readonly Row[]): readonly Row[] {
  let keep = held.length;
  while (keep > 0 && Date.parse(held[keep - 1]!.recorded_at) >= fromMs) keep -= 1;
  const last = held.length - keep;
  if (fresh.length === last && fresh.every((row, index) => same(row, held[keep + index]!))) return held;
  return [...held.slice(0, keep), ...fresh];
}

const same = (a: Row, b: Row): boolean => a.recorded_at === b.recorded_at && a.received_at === b.received_at;

/** Rows came that were recorded before the last one: all of the day is read again. */
export function lacksRows(held: number, counted: number | undefined): boolean {
  return counted !== undefined && counted > held;
}
