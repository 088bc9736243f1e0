// The alarms of one device on its page: what is open, and the newest that are over.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { alarms as listAlarms } from "../api/alarms";
import type { Alarm } from "../api/types";
import { type AlarmWatch, alarmWatch } from "../state/alarm-watch";
import { useCell } from "../state/cell";
import { formatRoute } from "../state/route";
import { t } from "../text/language";
import { Pending, useLoad } from "../ui/basics";
import { AlarmLine } from "./alarm-line";
import { useAnswerable } from "./alarm-rights";

const MOST_OPEN = 20;
/** Shown of those that are over. */
const FEW = 3;

/** The open ones first, however old they are. */
async function alarmsOf(device: string, signal: AbortSignal): Promise<Alarm[]> {
  const of = (open: boolean, limit: number) => listAlarms({ device_id: device, open, limit }, signal);
  const [open, over] = await Promise.all([of(true, MOST_OPEN), of(false, FEW)]);
  return [...open.alarms, ...over.alarms];
}

export function DeviceAlarms({ id }: { id: string }): JSX.Element | null {
  const watch = useCell(alarmWatch);
  return watch && <AlarmsOf id={id} watch={watch} />;
}

function AlarmsOf({ id, watch }: { id: string; watch: AlarmWatch }): JSX.Element | null {
  const version = useCell(watch.version);
  const isAnswerable = useAnswerable();
  const [chosen, setChosen] = useState<number | null>(null);
  const [loaded, again, refresh] = useLoad(id, (signal) => alarmsOf(id, signal));
  useEffect(() => {
    if (version > 1) refresh();
  }, [version]);
  const alarms = loaded.value ?? [];
  if (loaded.state === "done" && alarms.length === 0) return null;
  return (
    <section aria-label={t("nav.alarms")}>
      <div class="section-head">
        <h2>{t("nav.alarms")}</h2>
        <a class="link" href={formatRoute({ view: "alarms", device: null, query: { device: id, state: "all" } })}>
          {t("alarms.all")}
        </a>
      </div>
      <Pending loaded={loaded} again={again} />
      <ul class="alarm-list is-short" aria-label={t("nav.alarms")}>
        {alarms.map((alarm) => (
          <AlarmLine
            key={alarm.id}
            alarm={alarm}
            ofDevice
            isAnswerable={isAnswerable(alarm)}
            isChosen={alarm.id === chosen}
            choose={(on) => setChosen(on ? alarm.id : null)}
            changed={() => {
              refresh();
              watch.refresh();
            }}
          />
        ))}
      </ul>
    </section>
  );
}
