// What a rule would have raised: a dry run over what a device has recorded, before it is saved.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { type Tried, type TriedAlarm, tryRule } from "../api/rules";
import { aroundAlarm } from "../state/alarms";
import type { Unit } from "../state/fleet";
import { formatMinute } from "../state/ranges";
import { formatRoute } from "../state/route";
import { type RuleForm, ruleFault, specOfForm } from "../state/rule-form";
import * as format from "../text/format";
import { t } from "../text/language";
import { Failure, reason, Spinner, Time } from "../ui/basics";
import { DevicePicker } from "../ui/device-picker";
import { type ConditionFault, conditionFault } from "./rule-condition";

const DAYS = [1, 7, 30, 90] as const;
/** Shown of what it would have raised. */
const MOST_SHOWN = 50;

type Trial =
  | { state: "none" | "busy" }
  | { state: "failed"; text: string }
  | { state: "done"; tried: Tried; days: number; name: string };

interface TrialProps {
  form: RuleForm;
  wrong: (fault: ConditionFault) => void;
}

export function RuleTrial({ form, wrong }: TrialProps): JSX.Element {
  const [unit, setUnit] = useState<Unit | null>(null);
  const [days, setDays] = useState<number>(7);
  const [trial, setTrial] = useState<Trial>({ state: "none" });
  const run = async (device: Unit): Promise<void> => {
    const missing = ruleFault({ ...form, scope: "all" });
    if (missing) return setTrial({ state: "failed", text: t(`rule.fault.${missing}`) });
    setTrial({ state: "busy" });
    try {
      const tried = await tryRule(specOfForm(form), device.id, days);
      setTrial({ state: "done", tried, days, name: device.name });
    } catch (error) {
      const fault = conditionFault(error);
      if (fault) wrong(fault);
      setTrial(fault ? { state: "none" } : { state: "failed", text: reason(error) });
    }
  };
  return (
    <section class="card rule-trial" aria-label={t("trial")}>
      <h2>{t("trial")}</h2>
      <p class="why">{t("trial.about")}</p>
      <div class="trial-bar">
        <DevicePicker label={t("trial.device")} value={unit?.name ?? ""} onPick={setUnit} />
        <select
          aria-label={t("trial.days")}
          value={String(days)}
          onChange={(event) => setDays(Number(event.currentTarget.value))}
        >
          {DAYS.map((count) => (
            <option key={count} value={String(count)}>
              {t(count === 1 ? "trial.last.day" : "trial.last", { count })}
            </option>
          ))}
        </select>
        <button
          type="button"
          class="button"
          disabled={unit === null || trial.state === "busy"}
          onClick={() => unit && void run(unit)}
        >
          {t("trial.run")}
        </button>
      </div>
      {trial.state === "busy" && <Spinner />}
      {trial.state === "failed" && <Failure text={trial.text} />}
      {trial.state === "done" && <Outcome trial={trial} />}
    </section>
  );
}

function Outcome({ trial }: { trial: Extract<Trial, { state: "done" }> }): JSX.Element {
  const { tried, days, name } = trial;
  const { count, rows, complete } = tried;
  const range = t(days === 1 ? "trial.in.day" : "trial.in", { count: days });
  const times =
    count === 0 ? t("trial.never") : t(count === 1 ? "trial.once" : "trial.times", { count: format.count(count) });
  return (
    <div role="status">
      <p class="trial-said">{t("trial.said", { name, times, range })}</p>
      <p class="why">
        {t("trial.rows", { count: format.count(rows) })}
        {!complete && ` ${t("trial.incomplete", { time: format.dateTime(Date.parse(tried.to)) })}`}
      </p>
      {tried.alarms.length > 0 && (
        <ol class="trial-list">
          {tried.alarms.slice(0, MOST_SHOWN).map((alarm) => (
            <Raised key={alarm.opened_at} alarm={alarm} device={tried.device_id} />
          ))}
        </ol>
      )}
    </div>
  );
}

function Raised({ alarm, device }: { alarm: TriedAlarm; device: string }): JSX.Element {
  const openedMs = Date.parse(alarm.opened_at);
  const { fromMs, toMs } = aroundAlarm(alarm);
  const lasted = alarm.cleared_at === null ? null : (Date.parse(alarm.cleared_at) - openedMs) / 1000;
  return (
    <li>
      <Time ms={openedMs} />
      <span class="unit-sub">
        {lasted === null ? t("trial.open") : format.duration(lasted)}
        {alarm.value !== null && ` · ${t("alarm.value.is", { value: alarm.value })}`}
      </span>
      <a href={formatRoute({ view: "replay", device, query: { from: formatMinute(fromMs), to: formatMinute(toMs) } })}>
        {t("report.to.replay")}
      </a>
    </li>
  );
}
