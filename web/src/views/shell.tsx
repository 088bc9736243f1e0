// The frame around every view: the bar with the views and the state of the
// connection, and the map, which stays the same while views beside it change.

import type { JSX } from "preact";
import { useEffect } from "preact/hooks";

import { hasAlarmMap } from "../state/alarms";
import { go, isAdmin, route, session, showsPast, upFrom } from "../state/app";
import { useCell } from "../state/cell";
import { live } from "../state/live";
import { formatRoute, type View } from "../state/route";
import type { Key } from "../text/en";
import * as format from "../text/format";
import { t } from "../text/language";
import { useNow } from "../ui/basics";
import { Icon, type IconName, Logo } from "../ui/icons";
import { Boundary, lazyView } from "../ui/view";
import { AlarmBell } from "./alarm-bell";
import { FleetView } from "./fleet";
import { MapPane } from "./map-pane";
import { Menu } from "./menu";

const DeviceView = lazyView(() => import("./device").then((m) => m.DeviceView));
const ReplayView = lazyView(() => import("./replay").then((m) => m.ReplayView));
const ChartsView = lazyView(() => import("./charts").then((m) => m.ChartsView));
const ReportsView = lazyView(() => import("./reports").then((m) => m.ReportsView));
const AlarmsView = lazyView(() => import("./alarms").then((m) => m.AlarmsView));
const SystemView = lazyView(() => import("./system").then((m) => m.SystemView));
const AdminView = lazyView(() => import("./admin").then((m) => m.AdminView));

const NAV: { view: View; icon: IconName; admin?: boolean }[] = [
  { view: "fleet", icon: "fleet" },
  { view: "replay", icon: "replay" },
  { view: "charts", icon: "charts" },
  { view: "reports", icon: "reports" },
  { view: "system", icon: "system", admin: true },
  { view: "admin", icon: "admin" },
];

function LiveChip(): JSX.Element | null {
  const source = useCell(live);
  return source && <LiveChipOf source={source} />;
}

function LiveChipOf({ source }: { source: NonNullable<typeof live.value> }): JSX.Element {
  const connection = useCell(source.connection);
  useCell(source.version);
  const now = useNow();
  const latest = source.fleet.latestMs;
  return (
    <div class={`chip chip-${connection}`} title={latest === null ? "" : format.utc(latest)}>
      <span class="chip-light" aria-hidden="true" />
      <span class="chip-state">{t(`live.${connection}`)}</span>
      <span class="chip-age">
        {latest === null ? t("live.none") : t("live.since", { ago: format.ago(latest, now) })}
      </span>
    </div>
  );
}

/** Not at once: a reconnect of a moment is no news. */
const STALE_AFTER_MS = 4_000;

function StaleBanner(): JSX.Element | null {
  const source = useCell(live);
  return source && <StaleBannerOf source={source} />;
}

function StaleBannerOf({ source }: { source: NonNullable<typeof live.value> }): JSX.Element | null {
  const connection = useCell(source.connection);
  const now = useNow();
  const heard = source.heardMs;
  if (connection === "live" || heard === null || now - heard < STALE_AFTER_MS) return null;
  return (
    <div class="stale" role="alert">
      <Icon name="warning" size={16} />
      {t("live.stale", { ago: format.ago(heard, now) })}
    </div>
  );
}

function Nav({ current }: { current: View }): JSX.Element {
  const shown = current === "device" ? "fleet" : current;
  return (
    <nav class="nav" aria-label={t("nav.main")}>
      {NAV.filter(({ admin }) => !admin || isAdmin()).map(({ view, icon }) => (
        <a
          key={view}
          href={formatRoute({ view, device: null, query: {} })}
          aria-current={shown === view ? "page" : undefined}
        >
          <Icon name={icon} />
          <span>{t(`nav.${view}` as Key)}</span>
        </a>
      ))}
    </nav>
  );
}

const TITLES: Record<View, Key> = {
  fleet: "nav.fleet",
  device: "nav.fleet",
  replay: "nav.replay",
  charts: "nav.charts",
  reports: "nav.reports",
  alarms: "nav.alarms",
  system: "nav.system",
  admin: "nav.admin",
};

/** What of the past a share link shows, in words. */
function shownBy(past: boolean, fromMs: number | null): string {
  if (!past) return t("share.live");
  return fromMs ? t("share.from", { time: format.dateTime(fromMs) }) : t("share.all");
}

export function Shell(): JSX.Element {
  const now = useCell(route);
  const who = useCell(session);
  const shared = who.state === "share";
  const allowed = !shared || now.view === "device" || ((now.view === "replay" || now.view === "charts") && showsPast());
  const view: View = allowed ? now.view : "fleet";
  const hasMap =
    view === "fleet" || view === "device" || view === "replay" || (view === "alarms" && hasAlarmMap(now.query));

  useEffect(() => {
    const name = now.device ? `${now.device} · ` : "";
    document.title = `${name}${t(TITLES[view])} · Nemeses`;
  }, [view, now.device]);

  // Where the focus was is gone with the view that had it: it goes on in the new one.
  useEffect(() => {
    const here = document.activeElement;
    if (here && here !== document.body && here.id !== "content") return;
    const list = view === "fleet" ? document.querySelector<HTMLElement>(".vlist") : null;
    (list ?? document.getElementById("content"))?.focus({ preventScroll: true });
  }, [view, now.device]);

  useEffect(() => {
    const leave = (event: KeyboardEvent): void => {
      if (event.key !== "Escape" || event.defaultPrevented) return;
      // In a field it means the field.
      if ((event.target as Element).closest?.("input:not([type=range]), select, textarea")) return;
      const up = upFrom(route.value);
      if (up) go(up);
    };
    window.addEventListener("keydown", leave);
    return () => window.removeEventListener("keydown", leave);
  }, []);

  return (
    <div class="shell">
      {/* biome-ignore lint/a11y/useValidAnchor: It leads to a part of the page; the address is the router's. */}
      <a
        class="skip"
        href="#content"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById("content")?.focus();
        }}
      >
        {t("skip")}
      </a>
      <header class="bar">
        <a class="brand" href="#/fleet" aria-label="Nemeses">
          <Logo />
          <span>Nemeses</span>
        </a>
        {shared ? (
          <p class="shared">
            <strong>{who.name ?? t("share.opened")}</strong>
            <span>
              {who.name ? t("share.opened") : ""}
              {` · ${shownBy(who.past, who.fromMs)}`}
              {who.expiresMs !== null && ` ${t("share.until", { time: format.dateTime(who.expiresMs) })}`}
            </span>
          </p>
        ) : (
          <Nav current={view} />
        )}
        <div class="bar-end">
          <LiveChip />
          {!shared && <AlarmBell here={view === "alarms"} />}
          <Menu />
        </div>
      </header>
      <StaleBanner />
      <div class={`stage stage-${view}`}>
        <main class={hasMap ? "panel" : "page"} id="content" tabIndex={-1}>
          <Boundary key={`${view}${now.device ?? ""}`}>
            {view === "fleet" && <FleetView />}
            {view === "device" && <DeviceView key={now.device} id={now.device!} />}
            {view === "replay" && <ReplayView />}
            {view === "charts" && <ChartsView />}
            {view === "reports" && <ReportsView />}
            {view === "alarms" && <AlarmsView />}
            {view === "system" && <SystemView />}
            {view === "admin" && <AdminView />}
          </Boundary>
        </main>
        {hasMap && <MapPane />}
      </div>
    </div>
  );
}
