// The alarms as a list beside the map: what is open, since when and where, and what people do
// about it.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { alarms as listAlarms, alarm as oneAlarm } from "../api/alarms";
import type { Alarm } from "../api/types";
import { boundsOf } from "../map/bounds";
import { alarmNotice, alarmSound, switchNotice, switchSound } from "../state/alarm-signal";
import { alarmTabs } from "../state/alarm-tabs";
import { type AlarmWatch, alarmWatch } from "../state/alarm-watch";
import {
  ALARM_STATES,
  type AlarmFilter,
  type AlarmState,
  alarmFilterOf,
  alarmQuery,
  isOpen,
  SEVERITIES,
} from "../state/alarms";
import { fleetMap, route, tune } from "../state/app";
import { useCell } from "../state/cell";
import * as format from "../text/format";
import { t } from "../text/language";
import { Empty, Pending, useLoad } from "../ui/basics";
import { Chosen, useNames } from "../ui/chosen";
import { DevicePicker } from "../ui/device-picker";
import { Icon } from "../ui/icons";
import { AlarmCounts } from "./alarm-counts";
import { AlarmLine } from "./alarm-line";
import { useAnswerable } from "./alarm-rights";
import { AlarmTabs } from "./alarm-tabs";

/** Shown at first, and after "Show more". */
const FEW = 100;
const MOST = 999;

export function AlarmCentre(): JSX.Element | null {
  const watch = useCell(alarmWatch);
  return watch && <CentreOf watch={watch} />;
}

function CentreOf({ watch }: { watch: AlarmWatch }): JSX.Element {
  const { query } = useCell(route);
  const isAnswerable = useAnswerable();
  const version = useCell(watch.version);
  const filter = alarmFilterOf(query);
  const [limit, setLimit] = useState(FEW);
  const key = JSON.stringify([alarmQuery(filter), limit]);
  const [loaded, again, refresh] = useLoad(key, (signal) => listAlarms({ ...alarmQuery(filter), limit }, signal));
  useEffect(() => {
    if (version > 1) refresh();
  }, [version]);
  const changed = (): void => {
    refresh();
    watch.refresh();
  };
  const chosen = Number(query.alarm) || null;
  const listed = loaded.value?.alarms ?? null;
  const shown = useLinked(listed, chosen, version);
  useMarks(shown, chosen);
  return (
    <div class="alarms">
      <h1 class="hidden">{t("nav.alarms")}</h1>
      <AlarmTabs current="list" />
      <Counters watch={watch} filter={filter} />
      <Filters filter={filter} rules={rulesOf(shown ?? [], filter)} />
      {useCell(alarmTabs).includes("rules") && <AlarmCounts filter={filter} />}
      <Pending loaded={loaded} again={again} />
      {shown?.length === 0 && <Nothing filter={filter} />}
      {shown && shown.length > 0 && (
        <ul class="alarm-list" aria-label={t("nav.alarms")}>
          {shown.map((alarm) => (
            <AlarmLine
              key={alarm.id}
              alarm={alarm}
              isChosen={alarm.id === chosen}
              choose={(on) => tune({ alarm: on ? String(alarm.id) : null })}
              changed={changed}
              isAnswerable={isAnswerable(alarm)}
            />
          ))}
        </ul>
      )}
      {loaded.value?.next_cursor && (
        <p class="alarm-more">
          {limit < MOST ? (
            <button type="button" class="button small" onClick={() => setLimit(MOST)}>
              {t("alarms.more")}
            </button>
          ) : (
            t("alarms.most", { count: format.count(MOST) })
          )}
        </p>
      )}
    </div>
  );
}

/** With the chosen one before them where a link names one that the list has not. */
function useLinked(listed: readonly Alarm[] | null, chosen: number | null, version: number): readonly Alarm[] | null {
  const isListed = listed === null || chosen === null || listed.some(({ id }) => id === chosen);
  const [linked, , refresh] = useLoad(`${chosen} ${isListed}`, (signal) =>
    isListed ? Promise.resolve(null) : oneAlarm(chosen!, signal).catch(() => null),
  );
  useEffect(() => {
    if (!isListed) refresh();
  }, [version]);
  const one = isListed ? null : linked.value;
  return listed !== null && one !== null && one.id === chosen ? [one, ...listed] : listed;
}

/** The rules that the shown alarms are of, by name, and the one that is asked for. */
function rulesOf(alarms: readonly Alarm[], { rule }: AlarmFilter): [number, string][] {
  const names = new Map(alarms.map(({ rule_id, rule_name }) => [rule_id, rule_name]));
  if (rule !== null && !names.has(rule)) names.set(rule, t("alarms.rule.of", { id: rule }));
  return [...names].sort((a, b) => a[1].localeCompare(b[1]));
}

/** The alarms on the map, the chosen one in sight. */
function useMarks(alarms: readonly Alarm[] | null, chosen: number | null): void {
  const map = useCell(fleetMap);
  const [isSeen, setSeen] = useState(false);
  const one = alarms?.find(({ id }) => id === chosen);
  useEffect(() => {
    map?.showFleet(true);
    map?.dimFleet(true);
    return () => {
      map?.dimFleet(false);
      map?.overlay.setAlarms([]);
    };
  }, [map]);
  useEffect(() => {
    if (!map || !alarms) return;
    const marks = alarms.flatMap((alarm) => {
      const { id, severity, latitude, longitude } = alarm;
      if (latitude === null || longitude === null) return [];
      return [{ id, severity, latitude, longitude, isOpen: isOpen(alarm), isChosen: id === chosen }];
    });
    map.overlay.setAlarms(marks);
    // The first look is at all of them; after that the map stays where the person has it.
    const box = boundsOf(marks);
    if (isSeen || !box) return;
    setSeen(true);
    if (chosen === null) map.fit(box, { maxZoom: 13, animate: false });
  }, [map, alarms, chosen]);
  useEffect(() => {
    if (!map || !one || one.latitude === null || one.longitude === null) return;
    map.goTo(one.longitude, one.latitude, Math.max(12, map.map.getZoom()));
  }, [map, one?.id]);
}

function Counters({ watch, filter }: { watch: AlarmWatch; filter: AlarmFilter }): JSX.Element {
  const { counts, isMore } = useCell(watch.watched);
  const number = (count: number): string => `${format.count(count)}${isMore ? "+" : ""}`;
  return (
    <div class="counters of-alarms" role="group" aria-label={t("alarms.counters")}>
      <button
        type="button"
        class="counter"
        aria-pressed={filter.severity === null}
        onClick={() => tune({ severity: null, alarm: null })}
      >
        <span class="counter-number">{number(counts.total)}</span>
        <span class="counter-name">{t("fleet.all")}</span>
      </button>
      {SEVERITIES.map((severity) => (
        <button
          type="button"
          key={severity}
          class="counter"
          aria-pressed={filter.severity === severity}
          onClick={() => tune({ severity: filter.severity === severity ? null : severity, alarm: null })}
        >
          <span class={counts.of[severity] > 0 ? `counter-number severity-${severity}` : "counter-number"}>
            {number(counts.of[severity])}
          </span>
          <span class="counter-name">
            <span class={`dot severity-${severity}`} aria-hidden="true" />
            {t(`severity.${severity}`)}
          </span>
        </button>
      ))}
    </div>
  );
}

/** What a server filters by that has no routes for rules. */
const BEFORE_RULES: readonly AlarmState[] = ["open", "over", "all"];

function Filters({ filter, rules }: { filter: AlarmFilter; rules: [number, string][] }): JSX.Element {
  const nameOf = useNames();
  const knowsRules = useCell(alarmTabs).includes("rules");
  const pick = (name: string) => (event: JSX.TargetedEvent<HTMLSelectElement>) =>
    tune({ [name]: event.currentTarget.value || null, alarm: null });
  const said = (value: boolean | null): string => (value === null ? "" : value ? "yes" : "no");
  return (
    <div class="filters">
      <div class="filter-row">
        <select aria-label={t("alarms.state")} value={filter.state} onChange={pick("state")}>
          {(knowsRules ? ALARM_STATES : BEFORE_RULES).map((state) => (
            <option key={state} value={state}>
              {t(`alarms.state.${state}`)}
            </option>
          ))}
        </select>
        <select aria-label={t("alarms.late")} value={said(filter.late)} onChange={pick("late")}>
          <option value="">{t("alarms.late.any")}</option>
          <option value="no">{t("alarms.late.no")}</option>
          <option value="yes">{t("alarms.late.yes")}</option>
        </select>
      </div>
      <div class="filter-row">
        <select aria-label={t("alarms.rule")} value={String(filter.rule ?? "")} onChange={pick("rule")}>
          <option value="">{t("alarms.rule.any")}</option>
          {rules.map(([id, name]) => (
            <option key={id} value={String(id)}>
              {name}
            </option>
          ))}
        </select>
        {filter.device === null ? (
          <DevicePicker label={t("alarms.device.any")} onPick={({ id }) => tune({ device: id, alarm: null })} />
        ) : (
          <span class="chosen">
            <Chosen name={nameOf(filter.device)} remove={() => tune({ device: null, alarm: null })} />
          </span>
        )}
      </div>
      <Signals />
    </div>
  );
}

function Nothing({ filter }: { filter: AlarmFilter }): JSX.Element {
  const { state, ...others } = filter;
  if (Object.values(others).some((value) => value !== null)) {
    return (
      <Empty title={t("alarms.none.match")}>
        <button
          type="button"
          class="button"
          onClick={() => tune({ severity: null, device: null, rule: null, late: null })}
        >
          {t("fleet.clear")}
        </button>
      </Empty>
    );
  }
  return (
    <Empty title={t(state === "open" ? "alarms.none.open" : "alarms.none")} hint={t("alarms.none.hint")}>
      {state === "open" && (
        <button type="button" class="button" onClick={() => tune({ state: "over" })}>
          {t("alarms.state.over.show")}
        </button>
      )}
    </Empty>
  );
}

/** Sound and notifications of the browser, each switched by a button. */
function Signals(): JSX.Element {
  const [isLoud, isNoticed] = [useCell(alarmSound), useCell(alarmNotice)];
  const [refused, setRefused] = useState(false);
  const turnNotice = async (): Promise<void> => setRefused(!(await switchNotice(!isNoticed)));
  return (
    <div class="signals" role="group" aria-label={t("alarms.signals")}>
      <button
        type="button"
        class="button small quiet"
        aria-pressed={isLoud}
        title={t("alarms.sound.hint")}
        onClick={() => switchSound(!isLoud)}
      >
        <Icon name={isLoud ? "sound" : "mute"} size={16} />
        {t("alarms.sound")}
      </button>
      <button
        type="button"
        class="button small quiet"
        aria-pressed={isNoticed}
        title={t("alarms.notice.hint")}
        onClick={() => void turnNotice()}
      >
        <Icon name="notice" size={16} />
        {t("alarms.notice")}
      </button>
      {refused && (
        <p class="signals-refused" role="alert">
          {t("alarms.notice.refused")}
        </p>
      )}
    </div>
  );
}
