// One device: what it says now, and one day of it.

import type { JSX } from "preact";
import { useEffect, useMemo } from "preact/hooks";

import { location as locationOf } from "../api/client";
import type { Location, Status } from "../api/types";
import { markerOf } from "../map/fleet-map";
import { fleetMap, isOperator, route, showsPast, tune, upFrom } from "../state/app";
import { useCell } from "../state/cell";
import { nowMs } from "../state/clock";
import { isOld, type Unit } from "../state/fleet";
import { useLive } from "../state/live";
import { dayOf, formatDay, parseDay, shiftDay, startOfDay } from "../state/ranges";
import { formatRoute, HOME } from "../state/route";
import type { Key } from "../text/en";
import * as format from "../text/format";
import { t } from "../text/language";
import { Ago, Empty, Failure, Spinner, StatusBadge, Time, useLoad } from "../ui/basics";
import { Icon } from "../ui/icons";
import { DeviceAlarms } from "./device-alarms";
import { DeviceChannels } from "./device-channels";
import { DeviceCommands } from "./device-commands";
import { DeviceDay } from "./device-day";
import { Frames } from "./frames";

export function DeviceView({ id }: { id: string }): JSX.Element {
  const source = useLive();
  const now = useCell(route);
  const [loaded, again] = useLoad(id, (signal) => locationOf(id, signal));
  const known = source?.fleet.units.get(id);
  const heardMs = known?.recordedMs ?? null;
  // A device that only sends values has neither days on the map nor frames.
  const hasPosition = heardMs !== null || loaded.value?.recorded_at != null;

  return (
    <div class="device">
      <header class="device-head">
        <a
          class="button icon-only quiet"
          href={formatRoute(upFrom(now) ?? HOME)}
          aria-label={t("device.back")}
          title={t("device.back")}
        >
          <Icon name="back" />
        </a>
        <div class="device-title">
          <h1>{known?.name ?? id}</h1>
          <p class="unit-sub">
            {[known?.name !== id ? id : null, known?.vehicle, ...(known?.groups ?? [])].filter(Boolean).join(" · ")}
          </p>
        </div>
        {known && <StatusBadge status={known.status} />}
      </header>
      {loaded.state === "loading" && <Spinner />}
      {loaded.state === "failed" &&
        ((loaded.error as { status?: number }).status === 404 ? (
          <Empty title={t("device.unknown")} />
        ) : (
          <Failure text={loaded.text} retry={again} />
        ))}
      {loaded.state === "done" && (
        <>
          {hasPosition ? <Now location={loaded.value} unit={known} /> : <Heard location={loaded.value} unit={known} />}
          <DeviceAlarms id={id} />
          {showsPast() && <DeviceChannels id={id} />}
          {showsPast() && hasPosition && <OfDay id={id} heardMs={heardMs} />}
          {isOperator() && <DeviceCommands id={id} />}
          {showsPast() && hasPosition && <Frames id={id} heardMs={heardMs} />}
        </>
      )}
    </div>
  );
}

function Card({ name, children }: { name: string; children: JSX.Element | string }): JSX.Element {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** A moment of today by its time, any other with its date. */
function Moment({ ms: at }: { ms: number | null }): JSX.Element {
  return <Time ms={at} as={at !== null && at >= startOfDay(nowMs()) ? "time" : "dateTime"} />;
}

const ms = (text: string | null): number | null => (text ? Date.parse(text) : null);

/** What is known of a device that never said where it is. */
function Heard({ location, unit }: { location: Location; unit: Unit | undefined }): JSX.Element {
  const status: Status = unit?.status ?? location.status;
  return (
    <section aria-label={t("device.position")}>
      <p class="why">{t(`status.${status}.why` as Key)}</p>
      <p class="why">{t("device.noposition")}</p>
    </section>
  );
}

/** The stream's values where it has spoken, else those that were asked for. */
function Now({ location, unit }: { location: Location; unit: Unit | undefined }): JSX.Element {
  const map = useCell(fleetMap);
  const latitude = unit?.latitude ?? location.latitude;
  const longitude = unit?.longitude ?? location.longitude;
  const status: Status = unit?.status ?? location.status;
  const ignition = unit?.ignition ?? location.ignition;
  const fix = unit?.gpsFix ?? location.gps_fix;
  const speedKmh = unit?.speedKmh ?? location.speed_kmh;
  const directionDeg = unit?.directionDeg ?? location.direction_deg;
  const seenMs = unit?.seenMs ?? ms(location.seen_at) ?? ms(location.received_at);
  const positionMs = unit?.positionMs ?? ms(location.position_recorded_at);
  const positionFrom = unit ? unit.positionFrom : location.position_from;
  const old = isOld({ seenMs, positionMs });
  // Links that show no past show no totals of it either.
  const odometerM = unit?.odometerM ?? location.odometer_m;
  const hourMeterMin = unit?.hourMeterMin ?? location.hour_meter_min;

  useEffect(() => {
    if (!map || latitude === null || longitude === null) return;
    map.showFleet(true);
    map.setFocus({ longitude, latitude, ...markerOf({ status, speedKmh, directionDeg, seenMs, positionMs }) });
  }, [map, latitude, longitude, status, speedKmh, directionDeg, old]);
  useEffect(() => {
    map?.dimFleet(true);
    return () => {
      fleetMap.value?.dimFleet(false);
      fleetMap.value?.setFocus(null);
    };
  }, [map]);

  return (
    <section aria-label={t("device.position")}>
      <p class="why">{t(`status.${status}.why` as Key)}</p>
      {old && (
        <p class="notice old">
          <Icon name="warning" size={16} />
          <span>
            {t("device.old")} <Moment ms={positionMs} /> (<Ago ms={positionMs} />
            ).
          </span>
        </p>
      )}
      <dl class={old ? "facts is-old" : "facts"}>
        <Card name={t("device.speed")}>
          <span class="big">{format.speed(speedKmh)}</span>
        </Card>
        <Card name={t("device.heading")}>{format.heading(directionDeg)}</Card>
        <Card name={t("device.ignition")}>
          {ignition === null ? format.NOTHING : t(ignition ? "device.ignition.on" : "device.ignition.off")}
        </Card>
        {odometerM !== null && <Card name={t("device.odometer")}>{format.distance(odometerM)}</Card>}
        {hourMeterMin !== null && <Card name={t("device.hours")}>{format.engineHours(hourMeterMin)}</Card>}
        <Card name={t("device.fix")}>
          {fix === null ? format.NOTHING : t(fix ? "device.fix.yes" : "device.fix.no")}
        </Card>
        <Card name={t("device.contact")}>
          <Ago ms={seenMs} />
        </Card>
        <Card name={t("device.position.age")}>
          <span>
            {old ? <Moment ms={positionMs} /> : <Ago ms={positionMs} />}
            {positionFrom === "history" && <small class="unit-sub cell-sub">{t("device.source.history")}</small>}
          </span>
        </Card>
        <Card name={t("device.position")}>
          <button
            type="button"
            class="link mono"
            disabled={latitude === null}
            onClick={() => latitude !== null && longitude !== null && map?.goTo(longitude, latitude, 14)}
          >
            {format.coordinates(latitude, longitude)}
          </button>
        </Card>
      </dl>
    </section>
  );
}

function OfDay({ id, heardMs }: { id: string; heardMs: number | null }): JSX.Element {
  const { query } = useCell(route);
  const today = startOfDay(nowMs());
  const day = parseDay(query.day) ?? today;
  const range = useMemo(() => dayOf(day), [day]);
  const show = (next: number): void => tune({ day: next >= today ? null : formatDay(next) });
  const from = `${formatDay(day)}T00:00`;
  return (
    <section>
      <div class="day-bar">
        <button
          type="button"
          class="button icon-only quiet"
          aria-label={t("device.day.prev")}
          onClick={() => show(shiftDay(day, -1))}
        >
          <Icon name="back" />
        </button>
        <input
          type="date"
          aria-label={t("device.today")}
          value={formatDay(day)}
          max={formatDay(today)}
          onChange={(event) => {
            const next = parseDay(event.currentTarget.value);
            if (next !== null) show(next);
          }}
        />
        <button
          type="button"
          class="button icon-only quiet"
          aria-label={t("device.day.next")}
          aria-disabled={day >= today}
          onClick={() => day < today && show(shiftDay(day, 1))}
        >
          <Icon name="next" />
        </button>
        <a
          class="button small"
          href={formatRoute({
            view: "replay",
            device: id,
            query: { from, to: `${formatDay(day)}T23:59` },
          })}
        >
          <Icon name="replay" size={15} />
          {t("device.replay")}
        </a>
      </div>
      <DeviceDay key={`${id}${day}`} id={id} range={range} heardMs={heardMs} />
    </section>
  );
}
