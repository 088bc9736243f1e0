// A day of a device: its way on the map, charts whose cursor moves along it,
// trips and stops, events, and files to take away.

import type { JSX } from "preact";
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";

import { download } from "../api/client";
import {
  days,
  daysNear,
  events,
  type Happening,
  type Range,
  rows,
  type Stop,
  stops,
  type Trip,
  trips,
} from "../api/history";
import type { Row } from "../api/types";
import { boundsOfTrack } from "../map/bounds";
import { markerName } from "../map/icons";
import { fleetMap, pickedStop, route, tune } from "../state/app";
import { useCell } from "../state/cell";
import { nowMs } from "../state/clock";
import { continued, lacksRows, resumeMs } from "../state/day";
import { formatDay } from "../state/ranges";
import { segment } from "../state/route";
import { charted, linesOf, momentAt, speedOf, trackOf } from "../state/track";
import { csvFormat } from "../text/csv";
import type { Key } from "../text/en";
import * as format from "../text/format";
import { language, t } from "../text/language";
import { Empty, Failure, type Loaded, Pending, Time, useAttempt, useLoad, useNews, useNow } from "../ui/basics";
import { Chart, type Series } from "../ui/chart";
import { Icon } from "../ui/icons";

interface Day {
  rows: readonly Row[];
  trips: Trip[];
  stops: Stop[];
  events: Happening[];
}

/** Points of a chart: twice what the panel has pixels. */
const CHART_POINTS = 900;
const FORMATS = ["csv", "xlsx", "gpx", "kml", "geojson", "ndjson", "json", "parquet"] as const;

/** As people write a format. */
export function formatName(name: string): string {
  if (name === "geojson") return "GeoJSON";
  return name === "parquet" ? "Parquet" : name.toUpperCase();
}

/** What a device did, beside its rows. */
type Said = Omit<Day, "rows"> & { counted: number | undefined };

/** Trips follow the rows this often: the server goes over the whole day for them. */
const SAID_EVERY_MS = 8_000;
const ROWS_EVERY_MS = 3_000;
/** Rows of the past arrive unannounced. */
const LOOK_EVERY_MS = 60_000;

async function saidOf(id: string, range: Range, signal: AbortSignal): Promise<Said> {
  const zone = format.zone();
  const whose = { devices: [id] };
  const [dayTrips, dayStops, dayEvents, sums] = await Promise.all([
    trips(whose, range, zone, signal),
    stops(whose, range, zone, signal),
    events(whose, range, zone, signal),
    days(whose, range, zone, signal),
  ]);
  return { trips: dayTrips, stops: dayStops, events: dayEvents, counted: sums[0]?.rows };
}

/** The day, and again what is new of it when the device is heard. */
function useDay(id: string, range: Range, heardMs: number | null): [Loaded<Day>, () => void] {
  const held = useRef<readonly Row[]>([]);
  const whole = useRef(true);
  const [read, readAgain, readMore] = useLoad<readonly Row[]>(id, async (signal) => {
    const fromMs = whole.current ? range.fromMs : resumeMs(held.current, range.fromMs);
    const fresh = await rows(id, { ...range, fromMs }, signal);
    held.current = continued(whole.current ? [] : held.current, fromMs, fresh);
    whole.current = false;
    return held.current;
  });
  const [said, sayAgain, sayMore] = useLoad<Said>(id, async (signal) => {
    const all = await saidOf(id, range, signal);
    if (read.state === "done" && lacksRows(held.current.length, all.counted)) {
      whole.current = true;
      readMore();
    }
    return all;
  });
  const isNow = range.fromMs <= nowMs() && nowMs() <= range.toMs;
  useNews(isNow ? heardMs : null, ROWS_EVERY_MS, readMore);
  useNews(isNow ? heardMs : null, SAID_EVERY_MS, sayMore);
  useNews(Math.floor(useNow(LOOK_EVERY_MS) / LOOK_EVERY_MS), 0, sayMore);

  const day = useMemo(
    () => (read.value && said.value ? { ...said.value, rows: read.value } : null),
    [read.value, said.value],
  );
  const again = (): void => {
    readAgain();
    sayAgain();
  };
  const failed = [read, said].find(({ state }) => state === "failed");
  if (failed) return [failed as Loaded<Day>, again];
  return [day ? { state: "done", value: day } : { state: "loading", value: null }, again];
}

export function DeviceDay({ id, range, heardMs }: { id: string; range: Range; heardMs: number | null }): JSX.Element {
  const [loaded, again] = useDay(id, range, heardMs);
  if (!loaded.value) return <Pending loaded={loaded} again={again} />;
  if (loaded.value.rows.length === 0) return <NothingOnThisDay id={id} range={range} />;
  return <DayOf id={id} range={range} day={loaded.value} />;
}

/** Where there is something, before and after. */
function NothingOnThisDay({ id, range }: { id: string; range: Range }): JSX.Element {
  const [near] = useLoad(`${id}${range.fromMs}`, (signal) => daysNear(id, range, signal));
  return (
    <Empty title={t("device.norows")}>
      {near.value &&
        (["before", "after"] as const).map((which) => {
          const ms = near.value![which];
          return (
            ms !== null && (
              <button type="button" class="button small" key={which} onClick={() => tune({ day: formatDay(ms) })}>
                {t(`device.norows.${which}`, { day: format.day(ms) })}
              </button>
            )
          );
        })}
      {near.value && near.value.before === null && near.value.after === null && (
        <p class="empty-hint">{t("device.norows.ever")}</p>
      )}
    </Empty>
  );
}

function DayOf({ id, range, day }: { id: string; range: Range; day: Day }): JSX.Element {
  const map = useCell(fleetMap);
  const { query } = useCell(route);
  const track = useMemo(() => trackOf(day.rows), [day.rows]);
  const fitted = useRef(false);

  useEffect(() => {
    if (!map) return;
    map.setShape({
      lines: linesOf(track, "whole"),
      stops: day.stops.flatMap((stop) =>
        stop.at ? [{ id: stop.start, at: [stop.at.longitude, stop.at.latitude] as [number, number] }] : [],
      ),
    });
  }, [map, track, day.stops]);
  useEffect(() => () => fleetMap.value?.setShape(null), [map]);

  const onCursor = useCallback(
    (cursorMs: number | null) => {
      const moment = cursorMs === null ? null : momentAt(track, cursorMs);
      if (moment) {
        map?.setFocus({ ...moment, icon: markerName("online", true), turn: moment.directionDeg });
      }
    },
    [map, track],
  );

  // The whole day once, or the moment that the address names; from then on the reader moves the map.
  useEffect(() => {
    if (!map || fitted.current || track.length === 0) return;
    fitted.current = true;
    const atMs = Number(query.at) * 1000;
    const moment = atMs ? momentAt(track, atMs) : null;
    const box = boundsOfTrack(track);
    if (moment) {
      map.goTo(moment.longitude, moment.latitude, 14);
      onCursor(atMs);
    } else if (box) map.fit(box, { maxZoom: 15 });
  }, [map, track]);

  return (
    <>
      <Charts rows={day.rows} onCursor={onCursor} />
      <h2>{t("device.trips")}</h2>
      <Timeline trips={day.trips} stops={day.stops} />
      <h2>{t("device.events")}</h2>
      <Events events={day.events} />
      <h2>{t("device.export")}</h2>
      <Export id={id} range={range} />
    </>
  );
}

function Charts({ rows, onCursor }: { rows: readonly Row[]; onCursor: (ms: number | null) => void }): JSX.Element {
  const [moment, setMoment] = useState<Row | null>(null);
  const [times, series, byTime] = useMemo(() => {
    const { times: seconds, values: some } = charted(rows, (row) => Date.parse(row.recorded_at), CHART_POINTS);
    const made: Series[] = [
      {
        label: t("device.speed"),
        colour: "--accent",
        fill: true,
        unit: "km/h",
        values: some.map((row) => (row ? speedOf(row) : null)),
      },
      {
        label: t("device.odometer"),
        colour: "--late-dot",
        unit: "km",
        values: some.map((row) => (row ? row.odometer_m / 1000 : null)),
      },
    ];
    return [seconds, made, new Map(some.map((row, index) => [seconds[index]! * 1000, row]))];
  }, [rows]);
  return (
    <figure class="figure">
      <figcaption>
        <span class="key key-speed">{t("device.speed")}</span>
        <span class="key key-odometer">{t("device.odometer")}</span>
        <span class="figure-now">
          {moment && (
            <>
              <Time ms={Date.parse(moment.recorded_at)} as="time" /> · {format.speed(moment.speed_kmh)} ·{" "}
              {format.distance(moment.odometer_m)}
            </>
          )}
        </span>
      </figcaption>
      <Chart
        times={times}
        series={series}
        height={168}
        label={`${t("device.speed")}, ${t("device.odometer")}`}
        format={(value, unit) => (unit === "km" ? format.count(Math.round(value)) : String(value))}
        onCursor={(cursorMs) => {
          setMoment(cursorMs === null ? null : (byTime.get(cursorMs) ?? null));
          onCursor(cursorMs);
        }}
      />
    </figure>
  );
}

type Entry = { kind: "trip"; at: number; trip: Trip } | { kind: "stop"; at: number; stop: Stop };

function Timeline({ trips: all, stops: stands }: { trips: Trip[]; stops: Stop[] }): JSX.Element {
  const map = useCell(fleetMap);
  const picked = useCell(pickedStop);
  const list = useRef<HTMLOListElement>(null);
  // A stop that was picked on the map is shown here, and the keyboard goes on from it.
  useEffect(() => {
    const found = picked && list.current?.querySelector<HTMLElement>(`[data-stop="${CSS.escape(picked.id)}"]`);
    if (!found) return;
    found.scrollIntoView({ block: "center" });
    found.focus();
  }, [picked]);
  const entries: Entry[] = [
    ...all.map((trip): Entry => ({ kind: "trip", at: Date.parse(trip.start), trip })),
    ...stands.map((stop): Entry => ({ kind: "stop", at: Date.parse(stop.start), stop })),
  ].sort((a, b) => a.at - b.at);
  if (entries.length === 0) return <p class="none">{t("trips.none")}</p>;
  return (
    <ol class="timeline" ref={list}>
      {entries.map((entry) => {
        const one = entry.kind === "trip" ? entry.trip : entry.stop;
        const place = entry.kind === "trip" ? entry.trip.from : entry.stop.at;
        return (
          <li key={`${entry.kind}${one.start}`} class={`timeline-${entry.kind}`}>
            <button
              type="button"
              disabled={!place}
              data-stop={entry.kind === "stop" ? one.start : undefined}
              class={entry.kind === "stop" && picked?.id === one.start ? "is-picked" : ""}
              onClick={() => place && map?.goTo(place.longitude, place.latitude, 14)}
            >
              <span class="timeline-when">
                <Time ms={Date.parse(one.start)} as="clock" />
                <span>{one.open ? t("trip.ongoing") : <Time ms={Date.parse(one.end)} as="clock" />}</span>
              </span>
              <span class="timeline-what">
                <strong>{t(`trip.${entry.kind}` as Key)}</strong>
                <span class="unit-sub">
                  {format.duration(one.duration_s)}
                  {entry.kind === "trip" && ` · ${format.speed(entry.trip.max_speed_kmh)}`}
                  {entry.kind === "trip" && entry.trip.unobserved && ` · ${t("trip.unobserved")}`}
                  {entry.kind === "stop" &&
                    entry.stop.idle_s > 0 &&
                    ` · ${t("col.idle")} ${format.duration(entry.stop.idle_s)}`}
                </span>
              </span>
              {entry.kind === "trip" && <span class="timeline-far">{format.distance(entry.trip.distance_m)}</span>}
            </button>
          </li>
        );
      })}
    </ol>
  );
}

export function eventDetail(event: Happening): string {
  if (event.peak_kmh !== undefined) return format.speed(event.peak_kmh);
  if (event.jump_m !== undefined) return format.distance(event.jump_m);
  return event.duration_s ? format.duration(event.duration_s) : event.open ? t("trip.ongoing") : "";
}

function Events({ events: all }: { events: Happening[] }): JSX.Element {
  const [most, setMost] = useState(12);
  if (all.length === 0) return <p class="none">{t("event.none")}</p>;
  return (
    <>
      <ul class="events">
        {all.slice(0, most).map((event, index) => (
          <li key={index}>
            <Time ms={Date.parse(event.start)} as="time" />
            <span>{t(`event.${event.event}` as Key)}</span>
            <span class="unit-sub">{eventDetail(event)}</span>
          </li>
        ))}
      </ul>
      {all.length > most && (
        <button type="button" class="button small" onClick={() => setMost(most + 50)}>
          {t("device.more")}
        </button>
      )}
    </>
  );
}

export function Export({ id, range }: { id: string; range: Range }): JSX.Element {
  const [failed, attempt] = useAttempt();
  const save = async (name: string): Promise<void> => {
    const query = {
      device_id: id,
      from: Math.floor(range.fromMs / 1000),
      to: Math.floor(range.toMs / 1000),
      tz: format.zone(),
      format: name === "csv" ? csvFormat(language()) : name,
      ...(name === "json" || name === "ndjson" || name === "geojson" ? { limit: 100_000 } : {}),
    };
    await attempt(() => download("/api/v1/report/", query, `positions-${segment(id).replaceAll(":", "-")}.${name}`));
  };
  return (
    <>
      <div class="exports">
        {FORMATS.map((name) => (
          <button type="button" class="button small" key={name} onClick={() => void save(name)}>
            <Icon name="download" size={14} />
            {formatName(name)}
          </button>
        ))}
      </div>
      {failed && <Failure text={failed} />}
    </>
  );
}
