// What raises alarms (docs/rules.md).

import { change, get } from "./client";
import type { Severity } from "./types";

const PATH = "/api/v1/rules/";

export type RuleTest =
  | { kind: "condition"; when: string; until?: string }
  | { kind: "entered" | "left" | "inside" | "outside"; geofence: number }
  | { kind: "overspeed"; limit_kmh: number; until_kmh?: number }
  | { kind: "ignition"; on: boolean }
  | { kind: "motion"; moving: boolean }
  | { kind: "idling" }
  | { kind: "silent"; after_s: number }
  | { kind: "odometer"; since_km: number; every_km: number }
  | { kind: "engine_hours"; since_h: number; every_h: number };

export type TestKind = RuleTest["kind"];

export interface RuleSpec {
  test: RuleTest;
  for_s: number;
  keep_for_s: number;
  hold_s: number;
  notify_if_younger_s: number;
}

export interface Rule {
  id: number;
  name: string;
  severity: Severity;
  devices: string[] | null;
  group: number | null;
  /** `null` where a later version of the server wrote it. */
  rule: RuleSpec | null;
  enabled: boolean;
  /** Of a server that notifies nobody, absent. */
  receivers?: number[];
  /** Everybody's. */
  shared: boolean;
  editable: boolean;
  version: number;
  open_alarms: number;
  created_at: string;
  updated_at: string;
}

export interface RuleBody {
  name: string;
  severity: Severity;
  devices?: string[];
  group?: number;
  rule: RuleSpec;
  enabled: boolean;
  receivers?: number[];
  shared: boolean;
}

interface Page {
  rules: Rule[];
  next_cursor: string | null;
}

const PAGE = 500;
/** Shown at most. */
const MOST_RULES = 2000;

export async function rules(signal?: AbortSignal): Promise<Rule[]> {
  const found: Rule[] = [];
  for (let cursor: string | null = null; ; ) {
    const page: Page = await get<Page>(PATH, { limit: PAGE, cursor }, signal);
    found.push(...page.rules);
    cursor = page.next_cursor;
    if (cursor === null || found.length >= MOST_RULES) return found;
  }
}

export const addRule = (body: RuleBody): Promise<Rule> => change<Rule>("POST", PATH, body);

export const changeRule = (id: number, body: RuleBody): Promise<Rule> => change<Rule>("PUT", `${PATH}${id}`, body);

export const removeRule = (id: number): Promise<unknown> => change("DELETE", `${PATH}${id}`);

export interface TriedAlarm {
  opened_at: string;
  cleared_at: string | null;
  value: string | null;
  latitude: number | null;
  longitude: number | null;
}

/** What a rule would have raised. */
export interface Tried {
  device_id: string;
  from: string;
  to: string;
  rows: number;
  alarms: TriedAlarm[];
  count: number;
  /** False when there was too much to look at. */
  complete: boolean;
}

export const tryRule = (rule: RuleSpec, device: string, days: number): Promise<Tried> =>
  change<Tried>("POST", `${PATH}test`, { rule, device_id: device, days });
