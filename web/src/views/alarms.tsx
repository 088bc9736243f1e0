// Alarms and what belongs to them, each as a tab.

import type { JSX } from "preact";

import { AlarmCentre } from "./alarm-centre";

export function AlarmsView(): JSX.Element {
  return <AlarmCentre />;
}
