import { afterEach, describe, expect, it } from "vitest";

import type { Receiver, ReceiverBody } from "../../src/api/receivers";
import type { Rule, RuleTest } from "../../src/api/rules";
import { bodyOfReceiver, formOfReceiver, hasSecret, newReceiver, targetWords } from "../../src/state/receiver-form";
import {
  bodyOfForm,
  durationParts,
  formOfRule,
  NEW_RULE,
  ruleFault,
  secondsOf,
  specOfForm,
  TEST_KINDS,
} from "../../src/state/rule-form";
import { useLanguage } from "../../src/text/language";
import { type NamesOfRules, ruleWords, suggestedName } from "../../src/text/rules";

afterEach(() => useLanguage("en"));

const TESTS: RuleTest[] = [
  { kind: "condition", when: "temperature > 8", until: "temperature < 6" },
  { kind: "condition", when: "ignition" },
  { kind: "entered", geofence: 3 },
  { kind: "left", geofence: 3 },
  { kind: "inside", geofence: 3 },
  { kind: "outside", geofence: 3 },
  { kind: "overspeed", limit_kmh: 90 },
  { kind: "overspeed", limit_kmh: 90, until_kmh: 70 },
  { kind: "ignition", on: false },
  { kind: "motion", moving: false },
  { kind: "idling" },
  { kind: "silent", after_s: 600 },
  { kind: "odometer", since_km: 1000, every_km: 500 },
  { kind: "engine_hours", since_h: 10, every_h: 250 },
];

const ruleOf = (test: RuleTest, more: Partial<Rule> = {}): Rule => ({
  id: 1,
  name: "A rule",
  severity: "critical",
  devices: null,
  group: null,
  rule: { test, for_s: 60, keep_for_s: 120, hold_s: 3600, notify_if_younger_s: 900 },
  enabled: true,
  shared: true,
  editable: true,
  version: 1,
  open_alarms: 0,
  created_at: "2026-07-01T20:00:00Z",
  updated_at: "2026-07-01T20:00:00Z",
  ...more,
});

describe("a rule's form", () => {
  it("knows every kind, and gives back what it was given", () => {
    expect(new Set(TESTS.map(({ kind }) => kind))).toEqual(new Set(TEST_KINDS));
    for (const test of TESTS) {
      const rule = ruleOf(test);
      expect(specOfForm(formOfRule(rule)!), test.kind).toEqual(rule.rule);
    }
  });

  it("keeps whom the rule is about and whom it notifies", () => {
    const of = (more: Partial<Rule>) => bodyOfForm(formOfRule(ruleOf(TESTS[0]!, more))!, more.receivers !== undefined);
    expect(of({ devices: ["0A3F73"] })).toMatchObject({ devices: ["0A3F73"] });
    expect(of({ group: 4, receivers: [2, 3] })).toMatchObject({ group: 4, receivers: [2, 3] });
    expect(Object.keys(of({}))).toEqual(["name", "severity", "rule", "enabled", "shared"]);
  });

  it("is none of what a later server wrote", () => {
    expect(formOfRule(ruleOf(TESTS[0]!, { rule: null }))).toBe(null);
    expect(formOfRule(ruleOf({ kind: "magic" } as unknown as RuleTest))).toBe(null);
  });

  it("says what is missing", () => {
    expect(ruleFault(NEW_RULE)).toBe(null);
    expect(ruleFault({ ...NEW_RULE, kind: "left" })).toBe("fence");
    expect(ruleFault({ ...NEW_RULE, kind: "condition", when: "  " })).toBe("when");
    expect(ruleFault({ ...NEW_RULE, scope: "group" })).toBe("group");
    expect(ruleFault({ ...NEW_RULE, scope: "devices" })).toBe("devices");
  });

  it("lets a value hold at least as long as it must be so", () => {
    expect(specOfForm({ ...NEW_RULE, forS: 7200 }).hold_s).toBe(7200);
    expect(specOfForm({ ...NEW_RULE, keepForS: 9000 }).hold_s).toBe(9000);
  });
});

describe("durations", () => {
  it("are in the largest unit that they are whole in", () => {
    const said = (seconds: number) => Object.values(durationParts(seconds)).join(" ");
    expect([0, 59, 60, 90, 3600, 5400, 86_400].map(said)).toEqual([
      "0 s",
      "59 s",
      "1 min",
      "90 s",
      "1 h",
      "90 min",
      "1 d",
    ]);
    expect(secondsOf(1.5, "min")).toBe(90);
    expect(secondsOf(90, "d")).toBe(30 * 86_400);
    expect(secondsOf(-1, "h")).toBe(0);
  });
});

describe("a rule in words", () => {
  const names: NamesOfRules = {
    fence: () => "Depot",
    group: () => "North",
    device: (id) => `Van ${id}`,
    receiver: () => "Ops",
  };
  const words = (test: RuleTest, more: Partial<Rule> = {}) => ruleWords(formOfRule(ruleOf(test, more))!, names);

  it("is a sentence", () => {
    expect(words({ kind: "overspeed", limit_kmh: 90 })).toBe(
      "When the speed is above 90 km/h for at least 1 min, on all devices.",
    );
    expect(words({ kind: "left", geofence: 3 }, { group: 1, receivers: [1] })).toBe(
      "When the device leaves Depot for at least 1 min, on group North. Notify Ops.",
    );
    expect(words({ kind: "silent", after_s: 600 }, { devices: ["1", "2", "3", "4", "5"] })).toContain(
      "nothing has come for 10 min",
    );
    expect(words({ kind: "idling" }, { devices: ["1", "2", "3", "4", "5"] })).toContain(
      "Van 1, Van 2, Van 3 and 2 more.",
    );
    useLanguage("pt");
    expect(words({ kind: "entered", geofence: 3 })).toBe(
      "Quando o dispositivo entra em Depot por pelo menos 1 min, em todos os dispositivos.",
    );
  });

  it("names no place that it has no value for", () => {
    for (const test of TESTS) expect(words(test), test.kind).not.toMatch(/[{}]|undefined/);
  });

  it("suggests a name", () => {
    const of = (test: RuleTest) => suggestedName(formOfRule(ruleOf(test))!, names);
    expect(of({ kind: "ignition", on: false })).toBe("The ignition is off");
    expect(of({ kind: "condition", when: "x > 3" })).toBe("x > 3");
    expect(of({ kind: "condition", when: "x".repeat(300) })).toHaveLength(100);
  });
});

describe("a receiver's form", () => {
  const body: ReceiverBody = {
    name: "Ops",
    kind: "webhook",
    target: { url: "https://example.org/hook" },
    enabled: true,
    shared: true,
    quiet: { from: "21:00", to: "06:30", zone: "Europe/Berlin", except_critical: false },
    digest: { daily_at: "08:00", zone: "Europe/Berlin" },
    language: "pt-BR",
    zone: "Europe/Berlin",
  };
  const receiver: Receiver = {
    ...body,
    id: 1,
    target: { ...body.target, secret_set: true },
    quiet: body.quiet ?? null,
    digest: body.digest ?? null,
    editable: true,
    confirmed: true,
    state: "ok",
    last_error: null,
    last_delivered_at: null,
    waiting: 0,
  };

  it("gives back what it was given, without the secret that it does not know", () => {
    expect(bodyOfReceiver(formOfReceiver(receiver))).toEqual(body);
    expect(bodyOfReceiver(formOfReceiver({ ...receiver, digest: "hourly", quiet: null }))).toEqual({
      ...body,
      quiet: undefined,
      digest: "hourly",
    });
    expect(hasSecret(receiver, "secret")).toBe(true);
    expect(hasSecret(null, "secret")).toBe(false);
    expect(targetWords(receiver)).toBe("https://example.org/hook");
  });

  it("begins with what the kind usually has", () => {
    const ntfy = newReceiver("ntfy", "en", "UTC");
    expect(
      bodyOfReceiver({ ...ntfy, name: " Phone ", target: { ...ntfy.target, topic: "alarms", token: "" } }),
    ).toEqual({
      name: "Phone",
      kind: "ntfy",
      target: { url: "https://ntfy.sh", topic: "alarms" },
      enabled: true,
      shared: true,
      language: "en",
      zone: "UTC",
    });
  });
});
