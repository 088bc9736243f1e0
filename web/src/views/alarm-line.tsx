// One alarm: a line, and opened, all that is known of it and what can be done about it.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { acknowledge, endSilence, silence } from "../api/alarms";
import type { Alarm } from "../api/types";
import { aroundAlarm, isOpen } from "../state/alarms";
import { fleetMap } from "../state/app";
import { formatMinute } from "../state/ranges";
import { formatRoute } from "../state/route";
import * as format from "../text/format";
import { t } from "../text/language";
import { Ago, Failure, Time, useAttempt } from "../ui/basics";
import { useNames } from "../ui/chosen";
import { Icon, type IconName } from "../ui/icons";

const ICON: Record<Alarm["severity"], IconName> = { critical: "critical", warning: "warning", info: "info" };

interface LineProps {
  alarm: Alarm;
  isChosen: boolean;
  choose: (on: boolean) => void;
  changed: () => void;
  /** Whether the person may do something about it. */
  isAnswerable: boolean;
  /** On the device's own page. */
  ofDevice?: boolean;
}

export function AlarmLine({
  alarm,
  isChosen,
  choose,
  changed,
  isAnswerable,
  ofDevice = false,
}: LineProps): JSX.Element {
  const nameOf = useNames();
  const line = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (isChosen) line.current?.scrollIntoView({ block: "nearest" });
  }, [isChosen]);
  const isLive = isOpen(alarm);
  return (
    <li
      ref={line}
      class={`alarm severity-${alarm.severity}${isLive ? "" : " is-over"}${alarm.acknowledged ? " is-known" : ""}`}
    >
      <button type="button" class="alarm-head" aria-expanded={isChosen} onClick={() => choose(!isChosen)}>
        <span class="alarm-mark" title={t(`severity.${alarm.severity}`)}>
          <Icon name={ICON[alarm.severity]} size={20} />
          <span class="hidden">{t(`severity.${alarm.severity}`)}</span>
        </span>
        <span class="unit-main">
          <span class="unit-name">{alarm.rule_name}</span>
          <span class="unit-sub">
            {!ofDevice && nameOf(alarm.device_id)}
            {alarm.value !== null && `${ofDevice ? "" : " · "}${t("alarm.value.is", { value: alarm.value })}`}
            {ofDevice && alarm.value === null && <Time ms={Date.parse(alarm.opened_at)} />}
          </span>
        </span>
        <span class="alarm-end">
          <span class="alarm-age">
            <Ago ms={Date.parse(alarm.opened_at)} short />
          </span>
          <span class="alarm-marks">
            <Marks alarm={alarm} />
          </span>
        </span>
      </button>
      {isChosen && <Detail alarm={alarm} changed={isAnswerable ? changed : null} />}
    </li>
  );
}

/** How it stands, as words of colour. */
function Marks({ alarm }: { alarm: Alarm }): JSX.Element {
  const { acknowledged, silenced, late, withdrawn } = alarm;
  return (
    <>
      {late && (
        <span class="mark" title={t("alarm.late.why")}>
          {t("alarm.late")}
        </span>
      )}
      {!isOpen(alarm) && <span class="mark">{t(withdrawn ? "alarm.withdrawn" : "alarm.over")}</span>}
      {silenced && <span class="mark">{t("alarm.silenced")}</span>}
      {acknowledged && (
        <span class="mark is-good">
          <Icon name="check" size={11} />
          {t("alarm.acknowledged")}
        </span>
      )}
    </>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** `changed` where the person may change it. */
function Detail({ alarm, changed }: { alarm: Alarm; changed: (() => void) | null }): JSX.Element {
  const nameOf = useNames();
  const { device_id: device, latitude, longitude, cleared_at: cleared, acknowledged, silenced } = alarm;
  const openedMs = Date.parse(alarm.opened_at);
  const { fromMs, toMs } = aroundAlarm(alarm);
  return (
    <div class="alarm-detail">
      <dl class="alarm-facts">
        <Fact name={t("alarm.opened")}>
          <Time ms={openedMs} />
        </Fact>
        <Fact name={t("alarm.raised")}>
          <Time ms={Date.parse(alarm.raised_at)} />
        </Fact>
        {cleared !== null && (
          <Fact name={t(alarm.withdrawn ? "alarm.withdrawn" : "alarm.cleared")}>
            <Time ms={Date.parse(cleared)} />
            {` (${t("alarm.after", { duration: format.duration((Date.parse(cleared) - openedMs) / 1000) })})`}
          </Fact>
        )}
        {alarm.value !== null && <Fact name={t("alarm.value")}>{alarm.value}</Fact>}
        {latitude !== null && longitude !== null && (
          <Fact name={t("col.place")}>
            <button
              type="button"
              class="link mono"
              onClick={() => fleetMap.value?.goTo(longitude, latitude, 15)}
              title={t("report.to.map")}
            >
              {format.coordinates(latitude, longitude)}
            </button>
          </Fact>
        )}
        {acknowledged && (
          <Fact name={t("alarm.acknowledged")}>
            {acknowledged.by} · <Ago ms={Date.parse(acknowledged.at)} />
            {acknowledged.note && <q class="alarm-note">{acknowledged.note}</q>}
          </Fact>
        )}
        {silenced && (
          <Fact name={t("alarm.silenced")}>
            {t("alarm.silenced.until")} <Time ms={Date.parse(silenced.until)} /> · {silenced.by}
            <q class="alarm-note">{silenced.reason}</q>
          </Fact>
        )}
      </dl>
      <div class="alarm-ways">
        <a class="button small" href={formatRoute({ view: "device", device, query: {} })}>
          <Icon name="target" size={15} />
          {nameOf(device)}
        </a>
        <a
          class="button small"
          href={formatRoute({
            view: "replay",
            device,
            query: { from: formatMinute(fromMs), to: formatMinute(toMs) },
          })}
        >
          <Icon name="replay" size={15} />
          {t("alarm.replay")}
        </a>
      </div>
      {changed && <Answers alarm={alarm} changed={changed} />}
    </div>
  );
}

const HOUR_S = 3600;
const SILENCES_H = [1, 8, 24, 168, 720] as const;
/** Of a note and of a reason. */
const MOST_LETTERS = 500;

const hoursOrDays = (hours: number): string =>
  hours < 48 ? t("duration.hours", { count: hours }) : t("duration.days", { count: hours / 24 });

/** What people do about an alarm: say that they know, or have nobody notified for a while. */
function Answers({ alarm, changed }: { alarm: Alarm; changed: () => void }): JSX.Element {
  const [failed, attempt] = useAttempt();
  const [busy, setBusy] = useState(false);
  const [hours, setHours] = useState<number>(SILENCES_H[0]);
  const act = async (work: () => Promise<unknown>): Promise<void> => {
    setBusy(true);
    if ((await attempt(work)) !== null) changed();
    setBusy(false);
  };
  const said = (event: Event, name: string): string => {
    event.preventDefault();
    return String(new FormData(event.currentTarget as HTMLFormElement).get(name)).trim();
  };
  return (
    <>
      {alarm.acknowledged === null && (
        <form
          class="alarm-form"
          onSubmit={(event) => {
            const note = said(event, "note");
            void act(() => acknowledge(alarm.id, note));
          }}
        >
          <input
            name="note"
            maxLength={MOST_LETTERS}
            autocomplete="off"
            aria-label={t("alarm.note")}
            placeholder={t("alarm.note.hint")}
          />
          <button type="submit" class="button primary" disabled={busy}>
            {t("alarm.acknowledge")}
          </button>
        </form>
      )}
      {isOpen(alarm) && alarm.silenced === null && (
        <form
          class="alarm-form"
          onSubmit={(event) => {
            const why = said(event, "reason");
            void act(() => silence(alarm.id, why, hours * HOUR_S));
          }}
        >
          <input
            name="reason"
            required
            maxLength={MOST_LETTERS}
            autocomplete="off"
            aria-label={t("alarm.reason")}
            placeholder={t("alarm.reason.hint")}
          />
          <select
            aria-label={t("alarm.silence.for")}
            value={String(hours)}
            onChange={(event) => setHours(Number(event.currentTarget.value))}
          >
            {SILENCES_H.map((count) => (
              <option key={count} value={String(count)}>
                {hoursOrDays(count)}
              </option>
            ))}
          </select>
          <button type="submit" class="button" disabled={busy}>
            {t("alarm.silence")}
          </button>
        </form>
      )}
      {alarm.silenced !== null && (
        <button
          type="button"
          class="button small"
          disabled={busy}
          onClick={() => void act(() => endSilence(alarm.id).then(() => true))}
        >
          {t("alarm.silence.end")}
        </button>
      )}
      {failed && <Failure text={failed} />}
    </>
  );
}
