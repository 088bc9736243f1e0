// Ranges of time in the viewer's zone, and how the address writes them.

import type { Range } from "../api/history";

const DAY_MS = 86_400_000;

export function startOfDay(ms: number): number {
  const date = new Date(ms);
  date.setHours(0, 0, 0, 0);
  return date.getTime();
}

/** The whole local day of a moment, whatever its length. */
export function dayOf(ms: number): Range {
  const start = new Date(startOfDay(ms));
  const next = new Date(start);
  next.setDate(next.getDate() + 1);
  return { fromMs: start.getTime(), toMs: next.getTime() - 1 };
}

export function shiftDay(ms: number, days: number): number {
  const date = new Date(startOfDay(ms));
  date.setDate(date.getDate() + days);
  return date.getTime();
}

/** `2026-07-01`, local. */
export function formatDay(ms: number): string {
  const date = new Date(ms);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

export function parseDay(text: string | undefined): number | null {
  const found = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text ?? "");
  if (!found) return null;
  const ms = new Date(Number(found[1]), Number(found[2]) - 1, Number(found[3])).getTime();
  return Number.isNaN(ms) || formatDay(ms) !== text ? null : ms;
}

/** `2026-07-01T08:30`, local: what an `input` of dates and times holds. */
export function formatMinute(ms: number): string {
  const date = new Date(ms);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${formatDay(ms)}T${two(date.getHours())}:${two(date.getMinutes())}`;
}

export function parseMinute(text: string | undefined): number | null {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d$/.test(text ?? "")) return null;
  const ms = new Date(text!).getTime();
  return Number.isNaN(ms) ? null : ms;
}

/** Of the address, else today. */
export function rangeOf(query: Record<string, string>, nowMs: number): Range {
  const today = dayOf(nowMs);
  const fromMs = parseMinute(query.from) ?? today.fromMs;
  const toMs = parseMinute(query.to) ?? today.toMs;
  return fromMs < toMs ? { fromMs, toMs } : today;
}

export type Preset = "today" | "yesterday" | "day" | "week";

export function preset(name: Preset, nowMs: number): Range {
  switch (name) {
    case "today":
      return dayOf(nowMs);
    case "yesterday":
      return dayOf(shiftDay(nowMs, -1));
    case "day":
      return { fromMs: nowMs - DAY_MS, toMs: nowMs };
    case "week":
      return { fromMs: shiftDay(nowMs, -6), toMs: dayOf(nowMs).toMs };
  }
}
