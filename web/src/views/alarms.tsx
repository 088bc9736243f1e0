// Alarms and what belongs to them, each as a tab; some beside the map.

import type { JSX } from "preact";
import { alarmTabOf } from "../state/alarms";
import { route } from "../state/app";
import { useCell } from "../state/cell";
import { AlarmCentre } from "./alarm-centre";
import { DeliveriesTab } from "./deliveries";
import { FencesTab } from "./fences";
import { ReceiversTab } from "./receivers";
import { RulesTab } from "./rules";

export function AlarmsView(): JSX.Element {
  const tab = alarmTabOf(useCell(route).query);
  if (tab === "rules") return <RulesTab />;
  if (tab === "receivers") return <ReceiversTab />;
  if (tab === "deliveries") return <DeliveriesTab />;
  return tab === "fences" ? <FencesTab /> : <AlarmCentre />;
}
