// Between the alarms and what belongs to them.

import type { JSX } from "preact";
import { useEffect } from "preact/hooks";

import { alarmTabs, lookForTabs } from "../state/alarm-tabs";
import type { AlarmTab } from "../state/alarms";
import { useCell } from "../state/cell";
import { formatRoute } from "../state/route";
import { t } from "../text/language";

export function AlarmTabs({ current }: { current: AlarmTab }): JSX.Element | null {
  const tabs = useCell(alarmTabs);
  useEffect(() => void lookForTabs(), []);
  if (tabs.length < 2) return null;
  return (
    <nav class="segmented tabs" aria-label={t("alarms.tabs")}>
      {tabs.map((tab) => (
        <a
          key={tab}
          href={formatRoute({ view: "alarms", device: null, query: tab === "list" ? {} : { tab } })}
          aria-current={tab === current ? "page" : undefined}
        >
          {t(`alarms.tab.${tab}`)}
        </a>
      ))}
    </nav>
  );
}
