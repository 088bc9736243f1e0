// How many alarms opened: the busiest rules and devices, and day by day; and the same alarms as
// a file.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { alarmCounts, type CountedBy, downloadAlarms } from "../api/alarms";
import { type AlarmFilter, alarmQuery } from "../state/alarms";
import { tune } from "../state/app";
import { nowMs } from "../state/clock";
import { startOfDay } from "../state/ranges";
import { csvFormat } from "../text/csv";
import * as format from "../text/format";
import { language, t } from "../text/language";
import { Failure, Pending, useAttempt, useLoad } from "../ui/basics";
import { useNames } from "../ui/chosen";
import { Icon } from "../ui/icons";

const DAYS = [7, 30, 90] as const;
const DAY_MS = 86_400_000;
const BY: readonly CountedBy[] = ["rule", "device", "day"];
const FILES = ["csv", "xlsx", "json"] as const;

/** Closed until somebody asks. */
export function AlarmCounts({ filter }: { filter: AlarmFilter }): JSX.Element {
  const [isOpen, setOpen] = useState(false);
  return (
    <details class="alarm-counts" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t("alarms.counts")}</summary>
      {isOpen && <Counts filter={filter} />}
    </details>
  );
}

function Counts({ filter }: { filter: AlarmFilter }): JSX.Element {
  const [by, setBy] = useState<CountedBy>("rule");
  const [days, setDays] = useState<number>(DAYS[0]);
  const [failed, attempt] = useAttempt();
  // What is asked for stays the same until midnight.
  const fromS = Math.floor((startOfDay(nowMs()) - (days - 1) * DAY_MS) / 1000);
  // Open or over: whatever has opened.
  const asked = { ...alarmQuery({ ...filter, state: "all" }), from: fromS };
  const [loaded, again] = useLoad(JSON.stringify([by, asked]), (signal) => alarmCounts(by, asked, signal));
  const save = (form: string): void => {
    const range = { ...asked, to: Math.floor(nowMs() / 1000), tz: format.zone() };
    void attempt(() => downloadAlarms(form === "csv" ? csvFormat(language()) : form, range));
  };
  return (
    <div class="alarm-counts-in">
      <div class="alarm-ways">
        <div class="segmented" role="group" aria-label={t("alarms.counts.by")}>
          {BY.map((one) => (
            <button type="button" key={one} aria-pressed={one === by} onClick={() => setBy(one)}>
              {t(`alarms.counts.by.${one}`)}
            </button>
          ))}
        </div>
        <select
          aria-label={t("trial.days")}
          value={String(days)}
          onChange={(event) => setDays(Number(event.currentTarget.value))}
        >
          {DAYS.map((count) => (
            <option key={count} value={String(count)}>
              {t("trial.last", { count })}
            </option>
          ))}
        </select>
      </div>
      <Pending loaded={loaded} again={again} />
      {loaded.value?.length === 0 && <p class="why">{t("alarms.counts.none")}</p>}
      {loaded.value && loaded.value.length > 0 && <Bars counts={loaded.value} />}
      <div class="alarm-ways">
        {FILES.map((form) => (
          <button type="button" class="button small" key={form} onClick={() => save(form)}>
            <Icon name="download" size={14} />
            {form.toUpperCase()}
          </button>
        ))}
      </div>
      {failed && <Failure text={failed} />}
    </div>
  );
}

type Counted = Awaited<ReturnType<typeof alarmCounts>>[number];

function Bars({ counts }: { counts: readonly Counted[] }): JSX.Element {
  const nameOf = useNames();
  const most = Math.max(...counts.map(({ opened }) => opened));
  return (
    <table class="bars">
      <tbody>
        {counts.map((one) => (
          <tr key={`${one.rule_id}${one.device_id}${one.day}`}>
            <th scope="row">
              <Of one={one} nameOf={nameOf} />
            </th>
            <td>
              <span class="bar-of" style={{ width: `${(100 * one.opened) / most}%` }} aria-hidden="true" />
              <span>{format.count(one.opened)}</span>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** What was counted; a click shows its alarms. */
function Of({ one, nameOf }: { one: Counted; nameOf: (id: string) => string }): JSX.Element {
  const { rule_id: rule, device_id: device, day } = one;
  if (day !== null) return <>{format.dayShort(Date.parse(`${day}T12:00:00`))}</>;
  const show = (): void =>
    tune(rule !== null ? { rule: String(rule), state: "all" } : { device: device ?? null, state: "all" });
  return (
    <button type="button" class="link" onClick={show}>
      {rule !== null ? one.rule_name : nameOf(device ?? "")}
    </button>
  );
}
