// Which alarms are shown, which are counted, and which are news. Pure.

import type { Query } from "../api/client";
import type { Alarm, Severity } from "../api/types";

/** The worst first. */
export const SEVERITIES: readonly Severity[] = ["critical", "warning", "info"];

/** `new` are open and acknowledged by nobody, `known` open and acknowledged. */
export const ALARM_STATES = ["open", "new", "known", "over", "all"] as const;
export type AlarmState = (typeof ALARM_STATES)[number];

export interface AlarmFilter {
  state: AlarmState;
  severity: Severity | null;
  device: string | null;
  rule: number | null;
  /** Of rows that came late, or only others. */
  late: boolean | null;
}

const yesOrNo = (text: string | undefined): boolean | null => (text === "yes" ? true : text === "no" ? false : null);

/** From the address; what it does not say is not asked for. */
export function alarmFilterOf(query: Record<string, string>): AlarmFilter {
  const { state, severity, device, rule, late } = query;
  const number = Number(rule);
  return {
    state: ALARM_STATES.find((known) => known === state) ?? "open",
    severity: SEVERITIES.find((known) => known === severity) ?? null,
    device: device || null,
    rule: rule && Number.isSafeInteger(number) && number > 0 ? number : null,
    late: yesOrNo(late),
  };
}

/** As the API takes it. */
export function alarmQuery({ state, severity, device, rule, late }: AlarmFilter): Query {
  const acknowledged = state === "known" ? true : state === "new" ? false : null;
  return {
    acknowledged,
    open: state === "all" ? null : state !== "over",
    severity,
    device_id: device,
    rule_id: rule,
    late,
  };
}

/** The tabs of the view; those of `ON_MAP` stand beside the map. */
export const ALARM_TABS = ["list", "rules", "fences", "receivers", "deliveries"] as const;
export type AlarmTab = (typeof ALARM_TABS)[number];
const ON_MAP: readonly AlarmTab[] = ["list", "fences"];

export const alarmTabOf = ({ tab }: Record<string, string>): AlarmTab =>
  ALARM_TABS.find((known) => known === tab) ?? "list";

export const hasAlarmMap = (query: Record<string, string>): boolean => ON_MAP.includes(alarmTabOf(query));

export const isOpen = ({ cleared_at: cleared, withdrawn }: Alarm): boolean => cleared === null && !withdrawn;

/** Whether somebody should look: open, of now, and nobody has said that he knows. */
export const isUrgent = (alarm: Alarm): boolean =>
  isOpen(alarm) && !alarm.late && alarm.acknowledged === null && alarm.silenced === null;

export interface AlarmCounts {
  total: number;
  worst: Severity | null;
  of: Record<Severity, number>;
}

export function countAlarms(alarms: readonly Alarm[]): AlarmCounts {
  const of: Record<Severity, number> = { critical: 0, warning: 0, info: 0 };
  for (const { severity } of alarms) of[severity] += 1;
  return { total: alarms.length, worst: SEVERITIES.find((severity) => of[severity] > 0) ?? null, of };
}

/** Those that were not there when it was looked last; none at the first look. */
export function newAlarms(known: ReadonlySet<number> | null, urgent: readonly Alarm[]): Alarm[] {
  return known === null ? [] : urgent.filter(({ id }) => !known.has(id));
}

/** Before and after an alarm, of what its device did then. */
const AROUND_MS = 10 * 60_000;

/** The stretch to replay: from before it opened until it was over, or until a while after. */
export function aroundAlarm({ opened_at: opened, cleared_at: cleared }: Pick<Alarm, "opened_at" | "cleared_at">): {
  fromMs: number;
  toMs: number;
} {
  const openedMs = Date.parse(opened);
  const overMs = cleared === null ? openedMs : Math.min(Date.parse(cleared), openedMs + 24 * 3_600_000);
  return { fromMs: openedMs - AROUND_MS, toMs: overMs + AROUND_MS };
}
