// The rules: what each says as a sentence, whether it is evaluated, and its open alarms.

import type { JSX } from "preact";
import { useEffect } from "preact/hooks";

import { get } from "../api/client";
import { receivers as listReceivers, type Receiver } from "../api/receivers";
import { changeRule, rules as listRules, type Rule, removeRule } from "../api/rules";
import type { Group } from "../api/types";
import { route, tune } from "../state/app";
import { useCell } from "../state/cell";
import { allFences, fences, wantFences } from "../state/fences";
import { formatRoute } from "../state/route";
import { bodyOfForm, formOfRule } from "../state/rule-form";
import * as format from "../text/format";
import { t } from "../text/language";
import { type NamesOfRules, ruleWords } from "../text/rules";
import { Empty, Failure, Pending, useAttempt, useLoad } from "../ui/basics";
import { useNames } from "../ui/chosen";
import { Icon } from "../ui/icons";
import { AlarmTabs } from "./alarm-tabs";
import { RuleEditor } from "./rule-editor";

/** What rules name besides devices; what may not be seen is left out. */
export interface Named {
  groups: readonly Group[];
  /** `null` of a server that notifies nobody. */
  receivers: readonly Receiver[] | null;
}

const loadNamed = async (signal: AbortSignal): Promise<Named> => {
  // Who may see no groups names none.
  const groups = get<{ groups: Group[] }>("/api/v1/groups/", {}, signal).then(
    (answer) => answer.groups,
    () => [],
  );
  const receivers = listReceivers(signal).catch(() => null);
  return { groups: await groups, receivers: await receivers };
};

const NOBODY: Named = { groups: [], receivers: null };

/** Names by numbers; a number where there is no name. */
function useRuleNames(named: Named): NamesOfRules {
  const device = useNames();
  const known = useCell(fences);
  const numbered = (names: readonly (readonly [number, string])[]) => {
    const all = new Map(names);
    return (id: number): string => all.get(id) ?? `#${id}`;
  };
  return {
    device,
    fence: numbered(allFences(known).map(({ id, name }) => [id, name])),
    group: numbered(named.groups.map(({ group_id, name }) => [group_id, name])),
    receiver: numbered((named.receivers ?? []).map(({ id, name }) => [id, name])),
  };
}

export function RulesTab(): JSX.Element {
  const { query } = useCell(route);
  useEffect(wantFences, []);
  const [loaded, again, refresh] = useLoad("rules", listRules);
  const [loadedNames] = useLoad("named", loadNamed);
  const named = loadedNames.value ?? NOBODY;
  const names = useRuleNames(named);
  const rules = loaded.value ?? [];
  const edited = rules.find(({ id }) => String(id) === query.edit);
  const close = (): void => {
    tune({ edit: null });
    refresh();
  };
  const isEditing = loaded.value !== null && loadedNames.state !== "loading" && (query.edit === "new" || edited);
  return (
    <div class="page-inner rules">
      <h1 class="hidden">{t("rules")}</h1>
      <AlarmTabs current="rules" />
      {isEditing ? (
        <RuleEditor key={query.edit} rule={edited ?? null} named={named} names={names} close={close} />
      ) : (
        <>
          <header class="page-head">
            <p class="why">{t("rules.about")}</p>
            <button type="button" class="button primary" onClick={() => tune({ edit: "new" })}>
              <Icon name="plus" size={16} />
              {t("rules.new")}
            </button>
          </header>
          <Pending loaded={loaded} again={again} />
          {loaded.value?.length === 0 && <Empty title={t("rules.none")} hint={t("rules.none.hint")} />}
          {rules.length > 0 && (
            <ul class="rule-list" aria-label={t("rules")}>
              {rules.map((rule) => (
                <Line key={rule.id} rule={rule} names={names} changed={refresh} />
              ))}
            </ul>
          )}
        </>
      )}
    </div>
  );
}

function Line({ rule, names, changed }: { rule: Rule; names: NamesOfRules; changed: () => void }): JSX.Element {
  const [failed, attempt] = useAttempt();
  const form = formOfRule(rule);
  const act = (work: () => Promise<unknown>): void =>
    void attempt(async () => {
      await work();
      changed();
    });
  const turn = (enabled: boolean): void => {
    if (form) act(() => changeRule(rule.id, bodyOfForm({ ...form, enabled }, rule.receivers !== undefined)));
  };
  const remove = (): void => {
    if (confirm(t("rule.delete.confirm", { name: rule.name }))) act(() => removeRule(rule.id));
  };
  return (
    <li class={`rule severity-${rule.severity}${rule.enabled ? "" : " is-off"}`}>
      <div class="rule-main">
        <h2>{rule.name}</h2>
        <p>{form ? ruleWords(form, names) : t("rule.unknown")}</p>
        <p class="rule-marks">
          <span class="rule-severity">{t(`severity.${rule.severity}`)}</span>
          {rule.open_alarms > 0 && (
            <a href={formatRoute({ view: "alarms", device: null, query: { rule: String(rule.id) } })}>
              {t(rule.open_alarms === 1 ? "rule.open.one" : "rule.open", { count: format.count(rule.open_alarms) })}
            </a>
          )}
          {!rule.shared && <span class="tag">{t("alarms.own")}</span>}
        </p>
      </div>
      {rule.editable && (
        <div class="rule-acts">
          <label class="check">
            <input
              type="checkbox"
              checked={rule.enabled}
              disabled={form === null}
              onChange={(event) => turn(event.currentTarget.checked)}
            />
            <span>
              {t(rule.enabled ? "rule.enabled" : "rule.disabled")}
              <span class="hidden">{` · ${rule.name}`}</span>
            </span>
          </label>
          <button
            type="button"
            class="button small"
            aria-label={`${t("admin.edit")} ${rule.name}`}
            disabled={form === null}
            onClick={() => tune({ edit: String(rule.id) })}
          >
            {t("admin.edit")}
          </button>
          <button
            type="button"
            class="button small danger"
            aria-label={`${t("admin.delete")} ${rule.name}`}
            onClick={remove}
          >
            {t("admin.delete")}
          </button>
        </div>
      )}
      {failed && <Failure text={failed} />}
    </li>
  );
}
