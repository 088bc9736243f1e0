// The bell in the bar: how many alarms nobody has acknowledged, in the colour of the worst.

import type { JSX } from "preact";
import { inWords } from "../state/alarm-signal";
import { type AlarmWatch, alarmWatch } from "../state/alarm-watch";
import { useCell } from "../state/cell";
import * as format from "../text/format";
import { t } from "../text/language";
import { Icon } from "../ui/icons";

export function AlarmBell({ here }: { here: boolean }): JSX.Element | null {
  const watch = useCell(alarmWatch);
  return watch && <BellOf watch={watch} here={here} />;
}

function BellOf({ watch, here }: { watch: AlarmWatch; here: boolean }): JSX.Element {
  const { counts, isMore, news } = useCell(watch.watched);
  const { total, worst } = counts;
  const shown = `${format.count(total)}${isMore ? "+" : ""}`;
  const said =
    worst === null
      ? t("alarms.bell.none")
      : t(total === 1 ? "alarms.bell.one" : "alarms.bell", { count: shown, worst: t(`severity.${worst}`) });
  return (
    <>
      <a
        class={worst === null ? "bell" : `bell severity-${worst}`}
        href="#/alarms"
        aria-label={said}
        title={said}
        aria-current={here ? "page" : undefined}
      >
        <Icon name="bell" size={19} />
        <span class="bell-name">{t("nav.alarms")}</span>
        {worst !== null && <span class="bell-count">{shown}</span>}
      </a>
      <span class="hidden" role="status">
        {news.length === 1 && `${t("alarms.new")}: ${inWords(news[0]!)}`}
        {news.length > 1 && t("alarms.new.many", { count: format.count(news.length) })}
      </span>
    </>
  );
}
