// Reports over several devices: choose, see as a chart and a table, take away.

import type { ComponentChildren, JSX } from "preact";
import { useMemo, useState } from "preact/hooks";

import { download, get } from "../api/client";
import {
  type Day,
  type Happening,
  type OfDevice,
  type Range,
  type Stop,
  type Trip,
  type Whose,
  days,
  events,
  stops,
  trips,
  whoseQuery,
} from "../api/history";
import type { Group } from "../api/types";
import { route, tune } from "../state/app";
import { useCell } from "../state/cell";
import { useLive } from "../state/live";
import { rangeOf } from "../state/ranges";
import { csvOf } from "../text/csv";
import type { Key } from "../text/en";
import * as format from "../text/format";
import { t } from "../text/language";
import { Empty, Failure, Spinner, Time, reason, useLoad } from "../ui/basics";
import { Chart, type Series } from "../ui/chart";
import { DevicePicker } from "../ui/device-picker";
import { Icon } from "../ui/icons";
import { eventDetail, formatName } from "./device-day";
import { RangePicker } from "./range-picker";

const KINDS = ["trips", "stops", "summary", "events"] as const;
type Kind = (typeof KINDS)[number];
/** As many as an address can hold; a group may have more. */
const MOST_DEVICES = 100;
const MOST_ROWS_SHOWN = 500;
/** Made by the server; CSV is what the table shows. */
const FORMATS = ["xlsx", "json", "ndjson", "parquet", "geojson", "gpx", "kml"] as const;
/** A sum is nowhere. */
const OF_PLACES: readonly string[] = ["geojson", "gpx", "kml"];

interface Column<T> {
  name: Key;
  number?: boolean;
  show: (row: T) => ComponentChildren;
  /** In a file: plain, with the unit of the column's name. */
  file: [name: string, value: (row: T) => string | number | null];
}

interface Table<T> {
  columns: Column<T>[];
  /** Of the chart: what adds up by local day. */
  measure: { name: Key; unit: string; at: (row: T) => number; value: (row: T) => number } | null;
}

const ms = (text: string | null | undefined): number | null => (text ? Date.parse(text) : null);
const km = (metres: number): number => Math.round(metres / 100) / 10;

const start: Column<{ start: string }> = {
  name: "col.start",
  show: (row) => <Time ms={ms(row.start)} />,
  file: ["start", (row) => row.start],
};
const end: Column<{ end: string | null; open: boolean }> = {
  name: "col.end",
  show: (row) => (row.open ? t("trip.ongoing") : <Time ms={ms(row.end)} />),
  file: ["end", (row) => (row.open ? null : row.end)],
};
const lasted: Column<{ duration_s: number | null }> = {
  name: "col.duration",
  number: true,
  show: (row) => format.duration(row.duration_s),
  file: ["duration_s", (row) => row.duration_s],
};
const far: Column<{ distance_m: number }> = {
  name: "col.distance",
  number: true,
  show: (row) => format.distance(row.distance_m),
  file: ["distance_m", (row) => row.distance_m],
};
const top: Column<{ max_speed_kmh: number | null }> = {
  name: "col.max",
  number: true,
  show: (row) => format.speed(row.max_speed_kmh),
  file: ["max_speed_kmh", (row) => row.max_speed_kmh],
};
const idle: Column<{ idle_s: number }> = {
  name: "col.idle",
  number: true,
  show: (row) => format.duration(row.idle_s),
  file: ["idle_s", (row) => row.idle_s],
};
const engine: Column<{ engine_s: number }> = {
  name: "col.engine",
  number: true,
  show: (row) => format.duration(row.engine_s),
  file: ["engine_s", (row) => row.engine_s],
};

const dayMs = (row: Day): number => Date.parse(`${row.date}T12:00:00`);

const TABLES: { [K in Kind]: Table<never> } = {
  trips: {
    columns: [start, end, lasted, far, top, {
      name: "col.mean", number: true,
      show: (row: Trip) => format.speed(row.mean_speed_kmh),
      file: ["mean_speed_kmh", (row: Trip) => row.mean_speed_kmh],
    }, idle],
    measure: { name: "col.distance", unit: "km", at: (row: Trip) => Date.parse(row.start), value: (row: Trip) => km(row.distance_m) },
  } as Table<Trip> as never,
  stops: {
    columns: [start, end, lasted, idle, engine, {
      name: "col.place",
      show: (row: Stop) => <code>{row.at ? format.coordinates(row.at.latitude, row.at.longitude) : format.NOTHING}</code>,
      file: ["place", (row: Stop) => (row.at ? `${row.at.latitude} ${row.at.longitude}` : null)],
    }],
    measure: { name: "col.duration", unit: "h", at: (row: Stop) => Date.parse(row.start), value: (row: Stop) => row.duration_s / 3600 },
  } as Table<Stop> as never,
  summary: {
    columns: [{
      name: "col.day",
      show: (row: Day) => <Time ms={dayMs(row)} as="day" />,
      file: ["day", (row: Day) => row.date],
    }, far, {
      name: "col.moving", number: true,
      show: (row: Day) => format.duration(row.moving_s),
      file: ["moving_s", (row: Day) => row.moving_s],
    }, idle, engine, top],
    measure: { name: "col.distance", unit: "km", at: dayMs, value: (row: Day) => km(row.distance_m) },
  } as Table<Day> as never,
  events: {
    columns: [start, {
      name: "col.event",
      show: (row: Happening) => t(`event.${row.event}` as Key),
      file: ["event", (row: Happening) => row.event],
    }, {
      name: "col.detail",
      show: eventDetail,
      file: ["detail", (row: Happening) => row.peak_kmh ?? row.jump_m ?? row.duration_s],
    }, {
      name: "col.place",
      show: (row: Happening) => <code>{row.at ? format.coordinates(row.at.latitude, row.at.longitude) : format.NOTHING}</code>,
      file: ["place", (row: Happening) => (row.at ? `${row.at.latitude} ${row.at.longitude}` : null)],
    }],
    measure: null,
  } as Table<Happening> as never,
};

export function ReportsView(): JSX.Element {
  const { query } = useCell(route);
  const source = useLive();
  const chosen = (query.devices ?? "").split(",").filter(Boolean);
  const kind = KINDS.find((known) => known === query.kind) ?? "trips";
  const { fromMs, toMs } = rangeOf(query, Date.now());
  const range = useMemo(() => ({ fromMs, toMs }), [fromMs, toMs]);
  const nameOf = (id: string): string => source?.fleet.units.get(id)?.name ?? id;
  const [groups] = useLoad("groups", async (signal) => {
    return (await get<{ groups: Group[] }>("/api/v1/groups/", {}, signal)).groups;
  });
  const known = groups.value ?? [];
  const group = query.group ?? null;
  const groupName = known.find(({ group_id }) => String(group_id) === group)?.name ?? group;
  const choose = (ids: string[]): void => tune({ devices: ids.join(",") || null, group: null });
  const whose: Whose = group === null ? { devices: chosen } : { group };

  return (
    <div class="page-inner">
      <h1>{t("report.title")}</h1>
      <div class="card report-form">
        <div class="field">
          <span>{t("report.devices")}</span>
          <DevicePicker
            label={t("report.pick")}
            onPick={({ id }) => chosen.length < MOST_DEVICES && choose([...new Set([...chosen, id])])}
          />
          {known.length > 0 && (
            <select
              aria-label={t("report.group")}
              value={group ?? ""}
              onChange={(event) => tune({ group: event.currentTarget.value || null, devices: null })}
            >
              <option value="">{t("report.group")}</option>
              {known.map(({ group_id, name, devices }) => (
                <option key={group_id} value={String(group_id)}>
                  {name} ({format.count(devices)})
                </option>
              ))}
            </select>
          )}
          <div class="chosen">
            {group !== null && (
              <span class="tag">
                {groupName}
                <button
                  type="button"
                  aria-label={t("report.remove", { name: groupName ?? "" })}
                  onClick={() => tune({ group: null })}
                >
                  <Icon name="close" size={12} />
                </button>
              </span>
            )}
            {chosen.map((id) => (
              <span class="tag" key={id}>
                {nameOf(id)}
                <button
                  type="button"
                  aria-label={t("report.remove", { name: nameOf(id) })}
                  onClick={() => choose(chosen.filter((other) => other !== id))}
                >
                  <Icon name="close" size={12} />
                </button>
              </span>
            ))}
            {chosen.length >= MOST_DEVICES && (
              <small>{t("report.toomany", { count: MOST_DEVICES })}</small>
            )}
          </div>
        </div>
        <RangePicker range={range} />
        <div class="field">
          <span>{t("report.kind")}</span>
          <div class="segmented" role="group" aria-label={t("report.kind")}>
            {KINDS.map((known) => (
              <button
                type="button"
                key={known}
                aria-pressed={known === kind}
                onClick={() => tune({ kind: known })}
              >
                {t(`report.${known}`)}
              </button>
            ))}
          </div>
          {kind === "events" && (
            <label class="field limit">
              <span>{t("report.limit")}</span>
              <input
                type="number"
                min={1}
                max={254}
                value={query.limit ?? ""}
                onChange={(event) => tune({ limit: event.currentTarget.value || null })}
              />
            </label>
          )}
        </div>
      </div>
      {chosen.length === 0 && group === null ? (
        <Empty title={t("report.choose")} />
      ) : (
        <Result
          key={kind}
          kind={kind}
          whose={whose}
          range={range}
          limit={Number(query.limit) || null}
          nameOf={nameOf}
        />
      )}
    </div>
  );
}

interface ResultProps {
  kind: Kind;
  whose: Whose;
  range: Range;
  limit: number | null;
  nameOf: (id: string) => string;
}

const LOADERS = { trips, stops, summary: days, events } as const;

function Result({ kind, whose, range, limit, nameOf }: ResultProps): JSX.Element {
  const zone = format.zone();
  const [loaded, again] = useLoad<OfDevice<never>[]>(
    [kind, JSON.stringify(whose), range.fromMs, range.toMs, limit].join(),
    async (signal) =>
      (await (LOADERS[kind] as typeof events)(whose, range, zone, signal, limit)) as OfDevice<never>[],
  );
  if (loaded.state === "failed") return <Failure text={loaded.text} retry={again} />;
  if (!loaded.value) return <Spinner />;
  if (loaded.value.length === 0) return <Empty title={t("report.none")} />;
  const table = TABLES[kind];
  return (
    <>
      {table.measure && <DayChart table={table} rows={loaded.value} />}
      <Rows table={table} rows={loaded.value} nameOf={nameOf} kind={kind} whose={whose} range={range} limit={limit} />
    </>
  );
}

function DayChart({ table, rows }: { table: Table<never>; rows: OfDevice<never>[] }): JSX.Element | null {
  const measure = table.measure!;
  const [times, series] = useMemo(() => {
    const byDay = new Map<number, number>();
    for (const row of rows) {
      const date = new Date(measure.at(row));
      date.setHours(12, 0, 0, 0);
      const key = date.getTime() / 1000;
      byDay.set(key, (byDay.get(key) ?? 0) + measure.value(row));
    }
    const keys = [...byDay.keys()].sort((a, b) => a - b);
    const made: Series[] = [
      {
        label: t(measure.name),
        colour: "--accent",
        bars: true,
        fill: true,
        unit: measure.unit,
        values: keys.map((key) => Math.round(byDay.get(key)! * 10) / 10),
      },
    ];
    return [keys, made];
  }, [rows]);
  if (times.length < 2) return null;
  return (
    <figure class="card figure">
      <figcaption>
        <span class="key">
          {t(measure.name)}, {measure.unit}
        </span>
      </figcaption>
      <Chart times={times} series={series} height={160} label={t(measure.name)} format={(value) => format.count(value)} dayTicks />
    </figure>
  );
}

function Rows(props: {
  table: Table<never>;
  rows: OfDevice<never>[];
  kind: Kind;
  whose: Whose;
  range: Range;
  limit: number | null;
  nameOf: (id: string) => string;
}): JSX.Element {
  const { table, rows, nameOf } = props;
  const [failed, setFailed] = useState<string | null>(null);
  const deviceOf = (row: OfDevice<never>): string => (row as OfDevice<object>).device_id;
  const csv = (): void => {
    const head = ["device_id", "name", ...table.columns.map((column) => column.file[0])];
    const body = rows.map((row) => [
      deviceOf(row),
      nameOf(deviceOf(row)),
      ...table.columns.map((column) => column.file[1](row)),
    ]);
    save(csvOf([head, ...body]), "text/csv", `${props.kind}.csv`);
  };
  const saveAs = async (name: string): Promise<void> => {
    setFailed(null);
    try {
      await download(
        `/api/v1/report/${props.kind}`,
        {
          ...whoseQuery(props.whose),
          from: Math.floor(props.range.fromMs / 1000),
          to: Math.floor(props.range.toMs / 1000),
          tz: format.zone(),
          format: name,
          speed_limit_kmh: props.kind === "events" ? props.limit : null,
        },
        `${props.kind}.${name}`,
      );
    } catch (error) {
      setFailed(reason(error));
    }
  };
  return (
    <section class="result">
      <div class="result-bar">
        <p>{rows.length === 1 ? t("report.row") : t("report.rows", { count: format.count(rows.length) })}</p>
        <div class="exports">
          <button type="button" class="button small" onClick={csv}>
            <Icon name="download" size={14} /> CSV
          </button>
          {FORMATS.filter((name) => props.kind !== "summary" || !OF_PLACES.includes(name)).map((name) => (
            <button type="button" class="button small" key={name} onClick={() => void saveAs(name)}>
              <Icon name="download" size={14} /> {formatName(name)}
            </button>
          ))}
        </div>
      </div>
      {failed && <Failure text={failed} />}
      <div class="table-scroll" tabIndex={0} role="region" aria-label={t(`report.${props.kind}`)}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t("col.device")}</th>
              {table.columns.map((column) => (
                <th scope="col" key={column.name} class={column.number ? "number" : ""}>
                  {t(column.name)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, MOST_ROWS_SHOWN).map((row, index) => (
              <tr key={index}>
                <td>{nameOf(deviceOf(row))}</td>
                {table.columns.map((column) => (
                  <td key={column.name} class={column.number ? "number" : ""}>
                    {column.show(row)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function save(text: string, type: string, name: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 30_000);
}
