// A rule as its form has it, and as the API takes it. Pure.

import type { Rule, RuleBody, RuleSpec, RuleTest, TestKind } from "../api/rules";
import type { Severity } from "../api/types";

/** In the order in which they are offered. */
export const TEST_KINDS: readonly TestKind[] = [
  "overspeed",
  "entered",
  "left",
  "inside",
  "outside",
  "idling",
  "ignition",
  "motion",
  "silent",
  "odometer",
  "engine_hours",
  "condition",
];

export type Scope = "all" | "group" | "devices";

/** The fields of every kind, so that a change of the kind and back loses nothing. */
export interface RuleForm {
  name: string;
  severity: Severity;
  scope: Scope;
  group: number | null;
  devices: readonly string[];
  kind: TestKind;
  when: string;
  until: string;
  geofence: number | null;
  limitKmh: number;
  untilKmh: number | null;
  on: boolean;
  moving: boolean;
  afterS: number;
  sinceKm: number;
  everyKm: number;
  sinceH: number;
  everyH: number;
  forS: number;
  keepForS: number;
  holdS: number;
  youngS: number;
  enabled: boolean;
  receivers: readonly number[];
  shared: boolean;
}

export const NEW_RULE: RuleForm = {
  name: "",
  severity: "warning",
  scope: "all",
  group: null,
  devices: [],
  kind: "overspeed",
  when: "",
  until: "",
  geofence: null,
  limitKmh: 90,
  untilKmh: null,
  on: true,
  moving: true,
  afterS: 3600,
  sinceKm: 0,
  everyKm: 10_000,
  sinceH: 0,
  everyH: 250,
  forS: 0,
  keepForS: 0,
  holdS: 3600,
  youngS: 900,
  enabled: true,
  receivers: [],
  shared: true,
};

function fieldsOf(test: RuleTest): Partial<RuleForm> {
  switch (test.kind) {
    case "condition":
      return { when: test.when, until: test.until ?? "" };
    case "entered":
    case "left":
    case "inside":
    case "outside":
      return { geofence: test.geofence };
    case "overspeed":
      return { limitKmh: test.limit_kmh, untilKmh: test.until_kmh ?? null };
    case "ignition":
      return { on: test.on };
    case "motion":
      return { moving: test.moving };
    case "silent":
      return { afterS: test.after_s };
    case "odometer":
      return { sinceKm: test.since_km, everyKm: test.every_km };
    case "engine_hours":
      return { sinceH: test.since_h, everyH: test.every_h };
    case "idling":
      return {};
  }
}

/** `null` where the rule says what this page does not know. */
export function formOfRule(rule: Rule): RuleForm | null {
  const { rule: spec, devices, group } = rule;
  if (spec === null || !TEST_KINDS.includes(spec.test.kind)) return null;
  return {
    ...NEW_RULE,
    ...fieldsOf(spec.test),
    kind: spec.test.kind,
    name: rule.name,
    severity: rule.severity,
    scope: devices !== null ? "devices" : group !== null ? "group" : "all",
    group,
    devices: devices ?? [],
    forS: spec.for_s,
    keepForS: spec.keep_for_s,
    holdS: spec.hold_s,
    youngS: spec.notify_if_younger_s,
    enabled: rule.enabled,
    receivers: rule.receivers ?? [],
    shared: rule.shared,
  };
}

function testOf(form: RuleForm): RuleTest {
  const { kind } = form;
  switch (kind) {
    case "condition": {
      const until = form.until.trim();
      return { kind, when: form.when.trim(), ...(until ? { until } : {}) };
    }
    case "entered":
    case "left":
    case "inside":
    case "outside":
      return { kind, geofence: form.geofence ?? 0 };
    case "overspeed":
      return { kind, limit_kmh: form.limitKmh, ...(form.untilKmh === null ? {} : { until_kmh: form.untilKmh }) };
    case "ignition":
      return { kind, on: form.on };
    case "motion":
      return { kind, moving: form.moving };
    case "silent":
      return { kind, after_s: form.afterS };
    case "odometer":
      return { kind, since_km: form.sinceKm, every_km: form.everyKm };
    case "engine_hours":
      return { kind, since_h: form.sinceH, every_h: form.everyH };
    case "idling":
      return { kind };
  }
}

export const isOfFence = (kind: TestKind): boolean => ["entered", "left", "inside", "outside"].includes(kind);

export function specOfForm(form: RuleForm): RuleSpec {
  return {
    test: testOf(form),
    for_s: form.forS,
    keep_for_s: form.keepForS,
    hold_s: Math.max(form.holdS, form.forS, form.keepForS),
    notify_if_younger_s: form.youngS,
  };
}

export type RuleFault = "fence" | "when" | "group" | "devices";

/** What is missing; what the server knows better is left to it. */
export function ruleFault(form: RuleForm): RuleFault | null {
  if (isOfFence(form.kind) && form.geofence === null) return "fence";
  if (form.kind === "condition" && form.when.trim() === "") return "when";
  if (form.scope === "group" && form.group === null) return "group";
  if (form.scope === "devices" && form.devices.length === 0) return "devices";
  return null;
}

/** Without `receivers` where the server notifies nobody. */
export function bodyOfForm(form: RuleForm, notifies: boolean): RuleBody {
  return {
    name: form.name.trim(),
    severity: form.severity,
    ...(form.scope === "devices" ? { devices: [...form.devices] } : {}),
    ...(form.scope === "group" && form.group !== null ? { group: form.group } : {}),
    rule: specOfForm(form),
    enabled: form.enabled,
    ...(notifies ? { receivers: [...form.receivers] } : {}),
    shared: form.shared,
  };
}

export const DURATION_UNITS = ["s", "min", "h", "d"] as const;
export type DurationUnit = (typeof DURATION_UNITS)[number];
const SECONDS: Record<DurationUnit, number> = { s: 1, min: 60, h: 3600, d: 86_400 };

/** By the largest unit that it is whole in. */
export function durationParts(seconds: number): { value: number; unit: DurationUnit } {
  if (seconds === 0) return { value: 0, unit: "s" };
  const unit = [...DURATION_UNITS].reverse().find((one) => seconds % SECONDS[one] === 0) ?? "s";
  return { value: seconds / SECONDS[unit], unit };
}

/** The longest of a rule's. */
const MOST_SECONDS = 30 * 86_400;

export const secondsOf = (value: number, unit: DurationUnit): number =>
  Math.max(0, Math.min(MOST_SECONDS, Math.round(value * SECONDS[unit])));
