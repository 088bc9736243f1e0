// Which tabs the server has the routes of: an open page may speak to a server of before them.

import { ApiError, get } from "../api/client";
import { ALARM_TABS, type AlarmTab } from "./alarms";
import { Cell } from "./cell";

const NEEDS: Record<AlarmTab, string | null> = {
  list: null,
  rules: "/api/v1/rules/",
  fences: "/api/v1/geofences/",
  receivers: "/api/v1/receivers/",
  deliveries: "/api/v1/receivers/",
};

export const alarmTabs = new Cell<readonly AlarmTab[]>(["list"]);

let looked = false;

/** Whatever else goes wrong is shown by the tab itself. */
async function isThere(path: string): Promise<boolean> {
  try {
    await get(path, { limit: 1 });
    return true;
  } catch (error) {
    return !(error instanceof ApiError && error.status === 404);
  }
}

/** Once a visit. */
export async function lookForTabs(): Promise<void> {
  if (looked) return;
  looked = true;
  const paths = [...new Set(Object.values(NEEDS).filter((path) => path !== null))];
  const found = await Promise.all(paths.map(isThere));
  alarmTabs.set(
    ALARM_TABS.filter((tab) => {
      const path = NEEDS[tab];
      return path === null || found[paths.indexOf(path)];
    }),
  );
}

/** Another person may come, after an upgrade. */
export function forgetTabs(): void {
  looked = false;
  alarmTabs.set(["list"]);
}
