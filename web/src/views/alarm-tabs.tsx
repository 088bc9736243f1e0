// Between the alarms and what belongs to them.

import type { JSX } from "preact";

import { ALARM_TABS, type AlarmTab } from "../state/alarms";
import { formatRoute } from "../state/route";
import { t } from "../text/language";

export function AlarmTabs({ current }: { current: AlarmTab }): JSX.Element | null {
  if (ALARM_TABS.length < 2) return null;
  return (
    <nav class="segmented tabs" aria-label={t("alarms.tabs")}>
      {ALARM_TABS.map((tab) => (
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
