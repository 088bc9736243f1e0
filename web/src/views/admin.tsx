// What people manage: devices, groups, accounts, share links and tokens.

import type { JSX } from "preact";

import { isAdmin, route, session, tune } from "../state/app";
import { useCell } from "../state/cell";
import { t } from "../text/language";
import { DevicesAdmin } from "./admin-devices";
import { GroupsAdmin } from "./admin-groups";
import { SharesAdmin, TokensAdmin } from "./admin-links";
import { PeopleAdmin } from "./admin-people";

const TABS = ["devices", "groups", "people", "shares", "tokens"] as const;
/** What operators change, and what administrators do. */
const MANAGED: readonly string[] = ["devices", "groups"];
const OF_ADMINS: readonly string[] = ["people"];
type Tab = (typeof TABS)[number];

export function AdminView(): JSX.Element {
  const { query } = useCell(route);
  const who = useCell(session);
  const changes = who.state === "in" && who.me.role !== "viewer";
  const tabs = TABS.filter((tab) => (changes || !MANAGED.includes(tab)) && (isAdmin() || !OF_ADMINS.includes(tab)));
  const current: Tab = tabs.find((tab) => tab === query.tab) ?? tabs[0]!;
  return (
    <div class="page-inner">
      <header class="page-head">
        <h1>{t("nav.admin")}</h1>
        <div class="segmented" role="group" aria-label={t("nav.admin")}>
          {tabs.map((tab) => (
            <button type="button" key={tab} aria-pressed={tab === current} onClick={() => tune({ tab })}>
              {t(`admin.${tab}`)}
            </button>
          ))}
        </div>
      </header>
      {current === "shares" && <SharesAdmin />}
      {current === "tokens" && <TokensAdmin />}
      {current === "devices" && <DevicesAdmin />}
      {current === "groups" && <GroupsAdmin />}
      {current === "people" && <PeopleAdmin />}
    </div>
  );
}
