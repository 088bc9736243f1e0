// Whose alarms a person may acknowledge and silence.

import { rules as listRules } from "../api/rules";
import type { Alarm } from "../api/types";
import { isOperator } from "../state/app";
import { useLoad } from "../ui/basics";

/** Operators and administrators all of them, others those of their own rules. */
export function useAnswerable(): (alarm: Alarm) => boolean {
  const all = isOperator();
  const [own] = useLoad("own", async (signal) => {
    if (all) return new Set<number>();
    const rules = await listRules(signal).catch(() => []);
    return new Set(rules.filter(({ editable }) => editable).map(({ id }) => id));
  });
  return ({ rule_id: rule }) => all || (own.value?.has(rule) ?? false);
}
