// What rules raised: the list, and what people do about one.

import { change, download, get, type Query } from "./client";
import type { Alarm, AlarmPage } from "./types";

const PATH = "/api/v1/alarms";

/** Newest first. */
export const alarms = (query: Query, signal?: AbortSignal): Promise<AlarmPage> =>
  get<AlarmPage>(`${PATH}/`, query, signal);

export const alarm = (id: number, signal?: AbortSignal): Promise<Alarm> => get<Alarm>(`${PATH}/${id}`, {}, signal);

/** A note may be empty. */
export const acknowledge = (id: number, note: string): Promise<Alarm> =>
  change<Alarm>("POST", `${PATH}/${id}/acknowledge`, note ? { note } : {});

export const silence = (id: number, reason: string, forS: number): Promise<Alarm> =>
  change<Alarm>("POST", `${PATH}/${id}/silence`, { reason, for_s: forS });

export const endSilence = (id: number): Promise<Alarm> => change<Alarm>("DELETE", `${PATH}/${id}/silence`);

export type CountedBy = "rule" | "device" | "day";

/** How many opened, of one rule, device or day (in UTC). */
export interface AlarmCount {
  rule_id: number | null;
  rule_name: string | null;
  device_id: string | null;
  day: string | null;
  opened: number;
}

/** The ten busiest rules or devices, or the days in their order. */
export const alarmCounts = async (by: CountedBy, query: Query, signal: AbortSignal): Promise<AlarmCount[]> =>
  (await get<{ counts: AlarmCount[] }>(`${PATH}/counts`, { ...query, by }, signal)).counts;

/** As a file of a form, such as `xlsx`. */
export const downloadAlarms = (form: string, query: Query): Promise<void> =>
  download(`${PATH}/report`, { ...query, format: form }, "alarms");
