// Rules in words: the sentence that a rule is, the same in the list and in the editor.

import type { TestKind } from "../api/rules";
import { durationParts, type RuleForm } from "../state/rule-form";
import * as format from "./format";
import { t } from "./language";

/** `90 s`, `5 min`, `2 h`, `1 d`, as it was typed. */
export function durationWords(seconds: number): string {
  const { value, unit } = durationParts(seconds);
  return `${format.said(value)} ${t(`duration.unit.${unit}`)}`;
}

export interface NamesOfRules {
  fence: (id: number) => string;
  group: (id: number) => string;
  device: (id: string) => string;
  receiver: (id: number) => string;
}

/** What stands behind the kind, with `{…}` where the values are. */
export const tailOf = (kind: TestKind): string => t(`rule.tail.${kind}`);

function testWords(form: RuleForm, names: NamesOfRules): string {
  const values: Record<string, string> = {
    limit: format.said(form.limitKmh),
    fence: form.geofence === null ? format.NOTHING : names.fence(form.geofence),
    on: t(form.on ? "rule.on" : "rule.off"),
    moving: t(form.moving ? "rule.moves" : "rule.stands"),
    after: durationWords(form.afterS),
    since: format.said(form.kind === "odometer" ? form.sinceKm : form.sinceH),
    every: format.said(form.kind === "odometer" ? form.everyKm : form.everyH),
    when: form.when,
  };
  const tail = tailOf(form.kind).replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? "");
  return `${t(`rule.kind.${form.kind}`)} ${tail}`.trim();
}

const MOST_NAMED = 3;

/** The first few, and how many more. */
function listed(names: readonly string[]): string {
  const shown = names.slice(0, MOST_NAMED).join(", ");
  return names.length > MOST_NAMED ? `${shown} ${t("rule.more", { count: names.length - MOST_NAMED })}` : shown;
}

export function scopeWords(form: RuleForm, names: NamesOfRules): string {
  if (form.scope === "group") {
    return t("rule.scope.group.of", { name: form.group === null ? format.NOTHING : names.group(form.group) });
  }
  return form.scope === "all" ? t("rule.scope.all") : listed(form.devices.map(names.device));
}

/** "When the speed is above 90 km/h for 1 min, on all devices. Notify …" */
export function ruleWords(form: RuleForm, names: NamesOfRules): string {
  const wait = form.forS > 0 ? ` ${t("rule.for")} ${durationWords(form.forS)}` : "";
  const told =
    form.receivers.length > 0
      ? ` ${t("rule.notify.words", { names: listed(form.receivers.map(names.receiver)) })}`
      : "";
  return `${t("rule.when")} ${testWords(form, names)}${wait}, ${t("rule.on.scope")} ${scopeWords(form, names)}.${told}`;
}

const MOST_NAME = 100;

/** What a rule without a name is called. */
export function suggestedName(form: RuleForm, names: NamesOfRules): string {
  if (form.kind === "condition") return form.when.trim().slice(0, MOST_NAME);
  const words = testWords(form, names);
  return (words.charAt(0).toUpperCase() + words.slice(1)).slice(0, MOST_NAME);
}
