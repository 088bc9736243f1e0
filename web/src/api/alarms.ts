// What rules raised: the list, and what people do about one.

import { change, get, type Query } from "./client";
import type { Alarm, AlarmPage } from "./types";

const PATH = "/api/v1/alarms";

/** Newest first. */
export const alarms = (query: Query, signal?: AbortSignal): Promise<AlarmPage> =>
  get<AlarmPage>(`${PATH}/`, query, signal);

/** A note may be empty. */
export const acknowledge = (id: number, note: string): Promise<Alarm> =>
  change<Alarm>("POST", `${PATH}/${id}/acknowledge`, note ? { note } : {});

export const silence = (id: number, reason: string, forS: number): Promise<Alarm> =>
  change<Alarm>("POST", `${PATH}/${id}/silence`, { reason, for_s: forS });

export const endSilence = (id: number): Promise<Alarm> => change<Alarm>("DELETE", `${PATH}/${id}/silence`);
