import { describe, expect, it } from "vitest";

import type { Alarm } from "../../src/api/types";
import {
  alarmFilterOf,
  alarmQuery,
  aroundAlarm,
  countAlarms,
  isOpen,
  isUrgent,
  newAlarms,
} from "../../src/state/alarms";

const ALARM: Alarm = {
  id: 1,
  rule_id: 3,
  rule_version: 1,
  rule_name: "Too fast",
  device_id: "0A3F73",
  episode: 1,
  severity: "critical",
  late: false,
  opened_at: "2026-07-01T21:00:00Z",
  raised_at: "2026-07-01T21:00:01Z",
  cleared_at: null,
  withdrawn: false,
  value: "97",
  latitude: -19.9,
  longitude: -43.9,
  acknowledged: null,
  silenced: null,
};
const KNOWN: Alarm = { ...ALARM, acknowledged: { at: "2026-07-01T21:05:00Z", by: "ana@example.org", note: null } };
const SILENT: Alarm = { ...ALARM, silenced: { until: "2026-07-02T21:00:00Z", by: "ana@example.org", reason: "tow" } };

describe("the filter of alarms", () => {
  it("is open alarms of everything, unless the address says otherwise", () => {
    const all = { state: "open", severity: null, device: null, rule: null, late: null };
    expect(alarmFilterOf({})).toEqual(all);
    expect(alarmFilterOf({ state: "gone", severity: "fatal", rule: "x", late: "1" })).toEqual(all);
    const asked = { state: "over", severity: "info", device: "0A3F73", rule: "3", late: "no" };
    expect(alarmFilterOf(asked)).toEqual({ ...asked, rule: 3, late: false });
  });

  it("asks for what is open, over or acknowledged", () => {
    const of = (state: string) => {
      const { open, acknowledged } = alarmQuery(alarmFilterOf({ state }));
      return [open, acknowledged];
    };
    expect(of("all")).toEqual([null, null]);
    expect(of("over")).toEqual([false, null]);
    expect(of("open")).toEqual([true, null]);
    expect(of("new")).toEqual([true, false]);
    expect(of("known")).toEqual([true, true]);
  });
});

describe("what is urgent", () => {
  it("is open, of now, acknowledged by nobody and not silenced", () => {
    expect(isUrgent(ALARM)).toBe(true);
    for (const other of [
      KNOWN,
      SILENT,
      { ...ALARM, late: true },
      { ...ALARM, cleared_at: "2026-07-01T21:09:00Z" },
      { ...ALARM, withdrawn: true },
    ]) {
      expect(isUrgent(other)).toBe(false);
    }
    expect(isOpen(KNOWN)).toBe(true);
    expect(isOpen({ ...ALARM, withdrawn: true })).toBe(false);
  });

  it("is counted by severity, with the worst", () => {
    expect(countAlarms([])).toEqual({ total: 0, worst: null, of: { critical: 0, warning: 0, info: 0 } });
    const info: Alarm = { ...ALARM, severity: "info" };
    const warning: Alarm = { ...ALARM, severity: "warning" };
    expect(countAlarms([info, warning, info])).toEqual({
      total: 3,
      worst: "warning",
      of: { critical: 0, warning: 1, info: 2 },
    });
  });

  it("is news once, and never at the first look", () => {
    expect(newAlarms(null, [ALARM])).toEqual([]);
    expect(newAlarms(new Set([2]), [ALARM, { ...ALARM, id: 2 }])).toEqual([ALARM]);
    expect(newAlarms(new Set([1]), [ALARM])).toEqual([]);
  });
});

describe("what is replayed of an alarm", () => {
  const openedMs = Date.parse(ALARM.opened_at);

  it("begins before it and ends after it", () => {
    expect(aroundAlarm(ALARM)).toEqual({ fromMs: openedMs - 600_000, toMs: openedMs + 600_000 });
    const over = { ...ALARM, cleared_at: "2026-07-01T22:00:00Z" };
    expect(aroundAlarm(over).toMs).toBe(Date.parse("2026-07-01T22:10:00Z"));
  });

  it("is a day at most", () => {
    const old = { ...ALARM, cleared_at: "2026-08-01T22:00:00Z" };
    expect(aroundAlarm(old).toMs).toBe(openedMs + 86_400_000 + 600_000);
  });
});
