// Where the map lives. It is made once and fed by the live fleet; which devices
// are on it follows the filters of the address.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { boundsOf } from "../map/bounds";
import type { Trouble } from "../map/chosen";
import type { FleetMap } from "../map/fleet-map";
import { parkMap, takeMap } from "../map/held";
import { alarmTabOf } from "../state/alarms";
import { dark, fleetMap, go, pickedStop, route, session, tune } from "../state/app";
import { useCell } from "../state/cell";
import { allFences, fences, fencesShown, wantFences } from "../state/fences";
import { type Filter, matches, STATUSES, type Unit } from "../state/fleet";
import { live } from "../state/live";
import { insist } from "../state/loading";
import { type Camera, formatCamera, parseCamera, type Route } from "../state/route";
import { shapesOf } from "../state/shapes";
import type { Key } from "../text/en";
import { language, t } from "../text/language";
import { StatusDot } from "../ui/basics";
import { Icon } from "../ui/icons";
import { filterOf } from "./filters";

/** What the marks mean, for those who ask. */
function Legend({ route: hasRoute }: { route: boolean }): JSX.Element {
  return (
    <details class="legend">
      <summary>{t("legend.title")}</summary>
      <ul>
        <li>
          <Mark path="M10 2 16 17Q10 13.5 4 17Z" />
          {t("legend.moving")}
        </li>
        <li>
          <Mark path="M10 4.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11Z" />
          {t("legend.standing")}
        </li>
        {STATUSES.map((status) => (
          <li key={status}>
            <span class="legend-mark">
              <StatusDot status={status} />
            </span>
            {t(`status.${status}`)}
          </li>
        ))}
        {!hasRoute && (
          <li>
            <span class="legend-cluster">7</span>
            {t("legend.cluster")}
          </li>
        )}
        {hasRoute && (
          <>
            <li>
              <span class="legend-line" />
              {t("legend.route")}
            </li>
            <li>
              <span class="legend-line is-silent" />
              {t("legend.silent")}
            </li>
            <li>
              <span class="legend-stop" />
              {t("legend.stop")}
            </li>
          </>
        )}
      </ul>
    </details>
  );
}

function Mark({ path }: { path: string }): JSX.Element {
  return (
    <svg class="legend-mark" viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
      <path d={path} fill="currentColor" />
    </svg>
  );
}

function fitAll(map: FleetMap, animate: boolean): void {
  const source = live.value;
  if (!source) return;
  const filter = filterOf(route.value.query);
  const units = [...source.fleet.units.values()].filter((unit) => matches(unit, filter));
  const box = boundsOf(units);
  if (box) map.fit(box, { animate, maxZoom: 12 });
}

/** The map is there, but not the one that the operator has chosen. */
function TroubleNote({ trouble, close }: { trouble: Trouble; close: () => void }): JSX.Element {
  return (
    <div class="map-trouble" role="status">
      <Icon name="warning" size={16} />
      <p>
        {t(`map.style.${trouble.why}`, { host: trouble.host, detail: trouble.detail })} {t("map.style.bundled")}
      </p>
      <button type="button" class="tool" aria-label={t("common.close")} onClick={close}>
        <Icon name="close" size={14} />
      </button>
    </div>
  );
}

/** Whether this browser can draw the map at all. */
function hasWebGl(): boolean {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("webgl2") ?? canvas.getContext("webgl");
  // A browser has few of them to give.
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return context !== null;
}

function lookWhereSaid(map: FleetMap): void {
  const { view, query } = route.value;
  const camera = parseCamera(query.map);
  if (view === "fleet" && camera) map.look(camera);
}

const isFencesTab = ({ view, query }: Route): boolean => view === "alarms" && alarmTabOf(query) === "fences";

/** The geofences below the fleet, but the one that is being drawn. */
function useFences(map: FleetMap | null): void {
  const now = useCell(route);
  const known = useCell(fences);
  const shown = useCell(fencesShown);
  const isTab = isFencesTab(now);
  const [chosen, edited] = isTab ? [now.query.fence, now.query.edit] : [];
  useEffect(() => {
    if (session.value.state === "in") wantFences();
  }, []);
  useEffect(() => {
    const marks = isTab || shown ? allFences(known).filter(({ id }) => String(id) !== edited) : [];
    map?.overlay.setFences(
      marks.map(({ id, name, area }) => ({ id, name, shapes: shapesOf(area), isChosen: String(id) === chosen })),
    );
  }, [map, known, shown, isTab, chosen, edited]);
}

function FencesTool(): JSX.Element | null {
  const known = useCell(fences);
  const shown = useCell(fencesShown);
  if (allFences(known).length === 0) return null;
  return (
    <button
      type="button"
      class="tool"
      aria-pressed={shown}
      aria-label={t("map.fences")}
      title={t("map.fences")}
      onClick={() => fencesShown.set(!shown)}
    >
      <Icon name="fence" />
    </button>
  );
}

export function MapPane(): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const [missing, setMissing] = useState<Key | null>(null);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const map = useCell(fleetMap);
  const isDark = useCell(dark);
  const source = useCell(live);
  const now = useCell(route);
  const filterKey = JSON.stringify(filterOf(now.query));

  useEffect(() => {
    const mine = box.current!;
    const appearance = { dark: dark.value, language: language(), label: t("map.label") };
    const events = {
      device: (id: string) => go({ view: "device", device: id, query: {} }),
      camera: (camera: Camera) => {
        if (route.value.view === "fleet") tune({ map: formatCamera(camera) });
      },
      stop: (id: string) => pickedStop.set({ id }),
      alarm: (id: number) => tune({ alarm: String(id) }),
      fence: (id: number) => {
        if (isFencesTab(route.value)) tune({ fence: String(id) });
      },
      trouble: setTrouble,
    };
    let gone = false;
    const load = (): Promise<FleetMap> => takeMap(mine, appearance, events);
    const away = (): void => setMissing("view.away");
    insist(load, { isGone: () => gone, away, isFinal: () => !hasWebGl() }).then(
      (taken) => {
        if (gone) return;
        setMissing(null);
        setTrouble(taken.trouble);
        lookWhereSaid(taken);
        fleetMap.set(taken);
      },
      (error: unknown) => {
        console.warn(error);
        if (!gone) setMissing(hasWebGl() ? "map.failed" : "map.missing");
      },
    );
    return () => {
      gone = true;
      fleetMap.set(null);
      parkMap(mine);
    };
  }, []);

  // A link or the way back names another place of the same map.
  useEffect(() => {
    if (!map) return;
    const look = (): void => lookWhereSaid(map);
    window.addEventListener("hashchange", look);
    return () => window.removeEventListener("hashchange", look);
  }, [map]);

  useEffect(() => map?.setDark(isDark), [map, isDark]);
  useFences(map);

  // All devices that the filters let through, then what changes.
  useEffect(() => {
    if (!map || !source) return;
    const filter = JSON.parse(filterKey) as Filter;
    const units = source.fleet.units;
    const shown = (unit: Unit | undefined): Unit | null => (unit && matches(unit, filter) ? unit : null);
    map.setUnits([...units.values()].filter((unit) => matches(unit, filter)));
    return source.onChange((ids) => map.updateUnits([...ids].map((id) => [id, shown(units.get(id))])));
  }, [map, source, filterKey]);

  // The first look is at the whole fleet, unless the address says where.
  useEffect(() => {
    if (!map || !source) return;
    const look = (): void => {
      const { view, query } = route.value;
      if (view !== "fleet" || parseCamera(query.map) || source.fleet.units.size === 0) return;
      if (!map.isMovedByHand) fitAll(map, false);
    };
    look();
    return source.loading.subscribe(look);
  }, [map, source]);

  return (
    <section class="map" aria-label={t("map.label")}>
      <div class="map-box" ref={box} />
      {missing && <p class="map-missing">{t(missing)}</p>}
      <div class="map-tools">
        <button type="button" class="tool" aria-label={t("map.in")} onClick={() => map?.zoomBy(1)}>
          <Icon name="plus" />
        </button>
        <button type="button" class="tool" aria-label={t("map.out")} onClick={() => map?.zoomBy(-1)}>
          <Icon name="minus" />
        </button>
        {now.view === "fleet" && (
          <button
            type="button"
            class="tool"
            aria-label={t("fleet.fit")}
            title={t("fleet.fit")}
            onClick={() => map && fitAll(map, true)}
          >
            <Icon name="fit" />
          </button>
        )}
        {!isFencesTab(now) && <FencesTool />}
      </div>
      <Legend route={now.view === "device" || now.view === "replay"} />
      {trouble && <TroubleNote trouble={trouble} close={() => setTrouble(null)} />}
      <p class="map-credit">{map?.credit}</p>
    </section>
  );
}
