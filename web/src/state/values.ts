// The newest values of channels, for what is looked at: one device, or one channel of
// the whole fleet. Pure but for the feed at the end, which follows a stream of its own.

import { Stream, type StreamEvent, type StreamValue } from "../api/stream";
import { Cell } from "./cell";

export type Said = number | boolean | string | null;

export interface NewestValue {
  /** The name and the unit that came with the value. */
  channel: string;
  unit: string | null;
  value: Said;
  cut: boolean;
  recordedMs: number;
}

/** By device, then by name and unit. */
export type Newest = Map<string, Map<string, NewestValue>>;

const keyOf = (channel: string, unit: string | null): string => (unit === null ? channel : `${channel}\0${unit}`);

/** Takes what events say; whether anything changed. */
export function takeValues(newest: Newest, events: readonly StreamEvent[]): boolean {
  let any = false;
  for (const event of events) {
    if (event.type !== "values") continue;
    let of = newest.get(event.device_id);
    if (!of) {
      of = new Map();
      newest.set(event.device_id, of);
    }
    for (const value of event.values) of.set(keyOf(value.channel, value.unit), newestOf(value));
    any = any || event.values.length > 0;
  }
  return any;
}

function newestOf({ channel, unit, value, cut, recorded_at }: StreamValue): NewestValue {
  return { channel, unit, value, cut: cut === true, recordedMs: Date.parse(recorded_at) };
}

/** A channel as a device has it: its unit is part of the name where another channel has the name alone. */
export interface NamedChannel {
  name: string;
  unit: string | null;
}

/** Which channel has a value: the one of its name, unless that has another unit. */
export function channelName({ name, unit }: NamedChannel, unitOfName: string | null): string {
  return unit !== null && unitOfName !== null && unit !== unitOfName ? `${name} [${unit}]` : name;
}

/** The newest values of a device by the names of its channels. */
export function byChannel(newest: Newest, device: string, channels: readonly NamedChannel[]): Map<string, NewestValue> {
  const units = new Map(channels.map(({ name, unit }) => [name, unit]));
  const found = new Map<string, NewestValue>();
  for (const value of newest.get(device)?.values() ?? []) {
    const unit = units.get(value.channel) ?? null;
    const name = channelName({ name: value.channel, unit: value.unit }, unit);
    const held = found.get(name);
    if (!held || held.recordedMs < value.recordedMs) found.set(name, value);
  }
  return found;
}

/** The one value of a device, where one channel alone is followed: the newest of its units. */
export function only(newest: Newest, device: string): NewestValue | null {
  let found: NewestValue | null = null;
  for (const value of newest.get(device)?.values() ?? []) {
    if (found === null || found.recordedMs < value.recordedMs) found = value;
  }
  return found;
}

export type Comparison = "over" | "under" | "is";
export const COMPARISONS: readonly Comparison[] = ["over", "under", "is"];

const lower = (text: string): string => text.trim().toLowerCase();
const WORDS: Record<string, boolean> = {
  true: true,
  on: true,
  yes: true,
  sim: true,
  false: false,
  off: false,
  no: false,
  não: false,
  nao: false,
};

/** Whether a value is as a person asked; without a number or word to compare with, any is. */
export function isAsked(value: Said, comparison: Comparison, text: string): boolean {
  if (text.trim() === "") return true;
  const number = Number(text.trim().replace(",", "."));
  if (comparison === "is") {
    if (typeof value === "number") return value === number;
    if (typeof value === "boolean") return value === (WORDS[lower(text)] ?? null);
    return value !== null && lower(value) === lower(text);
  }
  if (typeof value !== "number" || Number.isNaN(number)) return false;
  return comparison === "over" ? value > number : value < number;
}

/** Views draw values this often: people read them. */
const EVERY_MS = 500;

/** An item of a list that the API separates by commas. */
export const listItem = (text: string): string => text.replaceAll("%", "%25").replaceAll(",", "%2C");

/** Follows newest values until it is closed. */
export class ValueFeed {
  readonly newest: Newest = new Map();
  /** Grows when something should be drawn again. */
  readonly version = new Cell(0);
  private readonly stream: Stream;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(query: { device_ids: string } | { channels: string }) {
    const nothing = (): void => undefined;
    this.stream = new Stream(
      { events: (events) => this.take(events), connection: nothing, gap: nothing },
      { ...query, values: "only", snapshot: "true" },
    );
  }

  close(): void {
    this.stream.close();
    clearTimeout(this.timer);
  }

  private take(events: StreamEvent[]): void {
    if (!takeValues(this.newest, events)) return;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.version.set(this.version.value + 1);
    }, EVERY_MS);
  }
}
