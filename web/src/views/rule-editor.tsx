// One rule, read and changed as a sentence.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import type { Receiver } from "../api/receivers";
import { addRule, changeRule, type Rule, type TestKind } from "../api/rules";
import { SEVERITIES } from "../state/alarms";
import { isOperator } from "../state/app";
import { useCell } from "../state/cell";
import { allFences, fences } from "../state/fences";
import {
  bodyOfForm,
  formOfRule,
  isOfFence,
  NEW_RULE,
  type RuleForm,
  ruleFault,
  type Scope,
  TEST_KINDS,
} from "../state/rule-form";
import { t } from "../text/language";
import { type NamesOfRules, ruleWords, suggestedName, tailOf } from "../text/rules";
import { Failure, reason, useAttempt } from "../ui/basics";
import { Chosen, ChosenDevices } from "../ui/chosen";
import { Choice, DurationField, NumberField, Sentence } from "../ui/sentence";
import { type ConditionFault, ConditionField, conditionFault } from "./rule-condition";
import { RuleTrial } from "./rule-trial";
import type { Named } from "./rules";

/** A change of some fields. */
export type Change = (changes: Partial<RuleForm>) => void;

interface EditorProps {
  /** `null` is a new one. */
  rule: Rule | null;
  named: Named;
  names: NamesOfRules;
  close: () => void;
}

const MOST_NAME = 100;

export function RuleEditor({ rule, named, names, close }: EditorProps): JSX.Element {
  const [form, setForm] = useState<RuleForm>(() => (rule && formOfRule(rule)) ?? { ...NEW_RULE, shared: isOperator() });
  const [fault, setFault] = useState<ConditionFault | null>(null);
  const [failed, , fail] = useAttempt();
  const [said, setSaid] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const change: Change = (changes) => {
    setForm((before) => ({ ...before, ...changes }));
    setFault(null);
    setSaid(null);
  };
  const name = form.name.trim() || suggestedName(form, names);
  const notifies = named.receivers !== null;
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    const missing = ruleFault(form);
    if (missing) return setSaid(t(`rule.fault.${missing}`));
    setBusy(true);
    setSaid(null);
    const body = bodyOfForm({ ...form, name }, notifies);
    try {
      await (rule ? changeRule(rule.id, body) : addRule(body));
      close();
    } catch (error) {
      const wrong = conditionFault(error);
      if (wrong) setFault(wrong);
      else fail(reason(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form class="rule-form" aria-label={t(rule ? "rule.edit" : "rules.new")} onSubmit={(event) => void save(event)}>
      <section class="card">
        <h2>{t(rule ? "rule.edit" : "rules.new")}</h2>
        <Says form={form} change={change} named={named} fault={fault} />
        <Timing form={form} change={change} />
        <label class="field rule-name">
          <span>{t("admin.name")}</span>
          <input
            maxLength={MOST_NAME}
            autocomplete="off"
            placeholder={suggestedName(form, names)}
            value={form.name}
            onInput={(event) => change({ name: event.currentTarget.value })}
          />
        </label>
        <div class="rule-checks">
          <label class="check">
            <input
              type="checkbox"
              checked={form.enabled}
              onChange={(event) => change({ enabled: event.currentTarget.checked })}
            />
            <span>
              {t("rule.enable")} <small>{t("rule.enable.hint")}</small>
            </span>
          </label>
          {isOperator() && rule === null && (
            <label class="check">
              <input
                type="checkbox"
                checked={form.shared}
                onChange={(event) => change({ shared: event.currentTarget.checked })}
              />
              <span>
                {t("alarms.shared")} <small>{t("alarms.shared.hint")}</small>
              </span>
            </label>
          )}
        </div>
        <p class="rule-whole" role="status">
          {ruleWords(form, names)}
        </p>
        {(said ?? failed) && <Failure text={(said ?? failed)!} />}
        <div class="form-end">
          <button type="submit" class="button primary" disabled={busy}>
            {t("admin.save")}
          </button>
          <button type="button" class="button" onClick={close}>
            {t("admin.cancel")}
          </button>
        </div>
      </section>
      <RuleTrial form={form} wrong={setFault} />
    </form>
  );
}

interface PartProps {
  form: RuleForm;
  change: Change;
}

/** When … for …, on …, raise a … alarm. */
function Says({ form, change, named, fault }: PartProps & { named: Named; fault: ConditionFault | null }): JSX.Element {
  const kinds = TEST_KINDS.map((kind): [TestKind, string] => [kind, t(`rule.kind.${kind}`)]);
  const severities = SEVERITIES.map((severity) => [severity, t(`severity.${severity}`).toLowerCase()] as const);
  return (
    <div class="sentence">
      <p>
        <strong>{t("rule.when")}</strong>
        <Choice label={t("rule.kind")} value={form.kind} options={kinds} change={(kind) => change({ kind })} />
        {form.kind !== "condition" && <Tail form={form} change={change} />}
      </p>
      {form.kind === "condition" && <ConditionField form={form} change={change} fault={fault} />}
      <Where form={form} change={change} named={named} />
      <p>
        <Sentence
          text={t("rule.raise")}
          fields={{
            severity: (
              <Choice
                label={t("rule.severity")}
                value={form.severity}
                options={severities}
                change={(severity) => change({ severity })}
              />
            ),
          }}
        />
        {named.receivers !== null && <Notified form={form} change={change} receivers={named.receivers} />}
      </p>
    </div>
  );
}

function Notified(props: PartProps & { receivers: readonly Receiver[] }): JSX.Element {
  const { form, change } = props;
  // What is somebody's own is not for a rule of everybody.
  const all = props.receivers.filter(({ shared }) => shared || !form.shared);
  const left = all.filter(({ id }) => !form.receivers.includes(id));
  const nameOf = (id: number): string => props.receivers.find((one) => one.id === id)?.name ?? `#${id}`;
  return (
    <>
      <span>{t("rule.notify")}</span>
      <span class="chosen">
        {form.receivers.map((id) => (
          <Chosen
            key={id}
            name={nameOf(id)}
            remove={() => change({ receivers: form.receivers.filter((other) => other !== id) })}
          />
        ))}
      </span>
      {left.length > 0 ? (
        <select
          aria-label={t("rule.notify.add")}
          value=""
          onChange={(event) => {
            const id = Number(event.currentTarget.value);
            if (id > 0) change({ receivers: [...form.receivers, id] });
          }}
        >
          <option value="">{t(form.receivers.length === 0 ? "rule.notify.none" : "rule.notify.add")}</option>
          {left.map(({ id, name }) => (
            <option key={id} value={String(id)}>
              {name}
            </option>
          ))}
        </select>
      ) : (
        form.receivers.length === 0 && <a href="#/alarms?tab=receivers&edit=new">{t("receivers.new")}</a>
      )}
    </>
  );
}

/** The values of a kind. */
function Tail({ form, change }: PartProps): JSX.Element {
  const isKm = form.kind === "odometer";
  const fields: Record<string, JSX.Element> = {
    fence: <FenceChoice form={form} change={change} />,
    limit: (
      <NumberField
        label={t("rule.limit")}
        value={form.limitKmh}
        min={1}
        max={100_000}
        change={(limitKmh) => change({ limitKmh: limitKmh ?? 1 })}
      />
    ),
    on: (
      <Choice
        label={t("device.ignition")}
        value={form.on ? "on" : "off"}
        options={[
          ["on", t("rule.on")],
          ["off", t("rule.off")],
        ]}
        change={(on) => change({ on: on === "on" })}
      />
    ),
    moving: (
      <Choice
        label={t("rule.kind.motion")}
        value={form.moving ? "moves" : "stands"}
        options={[
          ["moves", t("rule.moves")],
          ["stands", t("rule.stands")],
        ]}
        change={(moving) => change({ moving: moving === "moves" })}
      />
    ),
    after: (
      <DurationField label={t("rule.after")} seconds={form.afterS} min={10} change={(afterS) => change({ afterS })} />
    ),
    since: (
      <NumberField
        label={t("rule.since")}
        value={isKm ? form.sinceKm : form.sinceH}
        min={0}
        change={(since) => change(isKm ? { sinceKm: since ?? 0 } : { sinceH: since ?? 0 })}
      />
    ),
    every: (
      <NumberField
        label={t("rule.every")}
        value={isKm ? form.everyKm : form.everyH}
        min={1}
        change={(every) => change(isKm ? { everyKm: every ?? 1 } : { everyH: every ?? 1 })}
      />
    ),
  };
  return <Sentence text={tailOf(form.kind)} fields={fields} />;
}

function FenceChoice({ form, change }: PartProps): JSX.Element {
  const known = useCell(fences);
  // What is somebody's own is of no use to a rule for everybody.
  const all = allFences(known).filter(({ shared }) => shared || !form.shared);
  if (known.state === "read" && all.length === 0) return <a href="#/alarms?tab=fences&edit=new">{t("fences.new")}</a>;
  return (
    <Choice
      label={t("rule.fence")}
      value={form.geofence === null ? "" : String(form.geofence)}
      options={all.map(({ id, name }) => [String(id), name] as const)}
      none={t("rule.fence.choose")}
      change={(id) => change({ geofence: id === "" ? null : Number(id) })}
    />
  );
}

const SCOPES: readonly Scope[] = ["all", "group", "devices"];

function Where({ form, change, named }: PartProps & { named: Named }): JSX.Element {
  const scopes = SCOPES.filter((scope) => scope !== "group" || named.groups.length > 0 || form.scope === "group");
  return (
    <>
      <p>
        {form.kind !== "silent" && (
          <>
            <span>{t("rule.for")}</span>
            <DurationField label={t("rule.for")} seconds={form.forS} change={(forS) => change({ forS })} />
          </>
        )}
        <span>{t("rule.on.scope")}</span>
        <Choice
          label={t("rule.scope")}
          value={form.scope}
          options={scopes.map((scope) => [scope, t(`rule.scope.${scope}`)] as const)}
          change={(scope) => change({ scope })}
        />
        {form.scope === "group" && (
          <Choice
            label={t("fleet.group")}
            value={form.group === null ? "" : String(form.group)}
            options={named.groups.map(({ group_id, name }) => [String(group_id), name] as const)}
            none={t("rule.group.choose")}
            change={(id) => change({ group: id === "" ? null : Number(id) })}
          />
        )}
      </p>
      {form.scope === "devices" && (
        <div class="rule-devices">
          <ChosenDevices
            ids={form.devices}
            add={(id) => change({ devices: [...new Set([...form.devices, id])] })}
            remove={(id) => change({ devices: form.devices.filter((other) => other !== id) })}
          />
        </div>
      )}
    </>
  );
}

/** What most rules leave as it is. */
function Timing({ form, change }: PartProps): JSX.Element {
  return (
    <details class="rule-timing">
      <summary>{t("rule.timing")}</summary>
      <div class="sentence">
        {form.kind === "overspeed" && (
          <p>
            <Sentence
              text={t("rule.until")}
              fields={{
                until: (
                  <NumberField
                    label={t("rule.until.label")}
                    value={form.untilKmh}
                    min={0}
                    max={form.limitKmh}
                    optional
                    change={(untilKmh) => change({ untilKmh })}
                  />
                ),
              }}
            />
          </p>
        )}
        {(
          [
            ["keep", "keepForS", 0],
            ["hold", "holdS", 60],
            ["young", "youngS", 0],
          ] as const
        )
          .filter(([name]) => form.kind !== "silent" || name === "young")
          .map(([name, field, min]) => (
            <p key={name}>
              <Sentence
                text={t(`rule.timing.${name}`)}
                fields={{
                  duration: (
                    <DurationField
                      label={t(`rule.timing.${name}.label`)}
                      seconds={form[field]}
                      min={min}
                      change={(seconds) => change({ [field]: seconds })}
                    />
                  ),
                }}
              />
            </p>
          ))}
        {isOfFence(form.kind) && <p class="why">{t("rule.timing.fence")}</p>}
      </div>
    </details>
  );
}
