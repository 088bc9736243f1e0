// What devices report by name, and series of it.

import { segment } from "../state/route";
import { get } from "./client";
import type { Range } from "./history";
import type { Channel, ChannelName } from "./types";

export type { Channel };

/** The channels of a device with their newest values. */
export async function channelsOf(device: string, signal?: AbortSignal): Promise<Channel[]> {
  const path = `/api/v1/devices/${segment(device)}/channels`;
  return (await get<{ channels: Channel[] }>(path, {}, signal)).channels;
}

/** What devices that are heard report. */
export async function channelNames(signal?: AbortSignal): Promise<ChannelName[]> {
  return (await get<{ channels: ChannelName[] }>("/api/v1/channels", {}, signal)).channels;
}

type Column = (number | boolean | string | null)[];

export interface Columns {
  step: string;
  unit: string | null;
  kind: string;
  /** What people call the channel. */
  label: string | null;
  decimals: number | null;
  /** Unix milliseconds. */
  t: number[];
  values: Record<string, Column>;
}

/** A channel over a range, by windows (`auto`, `5m`) or as the values came (`raw`). */
export function series(
  device: string,
  channel: string,
  range: Range,
  step: string,
  agg: string | null,
  signal: AbortSignal,
): Promise<Columns> {
  const { fromMs, toMs } = range;
  const query = {
    device_id: segment(device),
    channel,
    from: Math.floor(fromMs / 1000),
    to: Math.ceil(toMs / 1000),
    step,
    agg,
  };
  return get<Columns>("/api/v1/series", query, signal);
}
