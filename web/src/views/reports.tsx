// Reports over several devices: choose, see as a chart and a table, take away.

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";

import { get } from "../api/client";
import { days, events, type Range, stops, trips, type Whose } from "../api/history";
import type { Group } from "../api/types";
import { route, tune } from "../state/app";
import { useCell } from "../state/cell";
import { nowMs } from "../state/clock";
import { rangeOf } from "../state/ranges";
import { fromSegment, segment } from "../state/route";
import * as format from "../text/format";
import { t } from "../text/language";
import { Empty, Pending, useLoad } from "../ui/basics";
import { Chart, type Series } from "../ui/chart";
import { Chosen, ChosenDevices, useNames } from "../ui/chosen";
import { RangePicker } from "./range-picker";
import { PrintHead, Rows } from "./report-rows";
import { type AnyRow, KINDS, type Kind, TABLES, type Table } from "./report-tables";

/** As many as an address can hold; a group may have more. */
const MOST_DEVICES = 100;

export function ReportsView(): JSX.Element {
  const { query } = useCell(route);
  const chosen = [...new Set((query.devices ?? "").split(",").flatMap((text) => fromSegment(text) ?? []))];
  const kind = KINDS.find((known) => known === query.kind) ?? "trips";
  const { fromMs, toMs } = rangeOf(query, nowMs());
  const range = useMemo(() => ({ fromMs, toMs }), [fromMs, toMs]);
  const nameOf = useNames();
  const [groups] = useLoad("groups", async (signal) => {
    return (await get<{ groups: Group[] }>("/api/v1/groups/", {}, signal)).groups;
  });
  const known = groups.value ?? [];
  const group = query.group ?? null;
  const groupName = known.find(({ group_id }) => String(group_id) === group)?.name ?? group;
  const choose = (ids: string[]): void => tune({ devices: ids.map(segment).join(",") || null, group: null });
  const whose: Whose = group === null ? { devices: chosen } : { group };

  return (
    <div class="page-inner">
      <h1 class="no-print">{t("report.title")}</h1>
      <div class="card report-form no-print">
        <div class="field">
          <span>{t("report.devices")}</span>
          <ChosenDevices
            ids={chosen}
            beside={
              known.length > 0 && (
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
              )
            }
            add={(id) => chosen.length < MOST_DEVICES && choose([...new Set([...chosen, id])])}
            remove={(id) => choose(chosen.filter((other) => other !== id))}
          >
            {group !== null && <Chosen name={groupName ?? ""} remove={() => tune({ group: null })} />}
            {chosen.length >= MOST_DEVICES && <small>{t("report.toomany", { count: MOST_DEVICES })}</small>}
          </ChosenDevices>
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
                onClick={() => tune({ kind: known, sort: null })}
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
          whoseName={group === null ? chosen.map(nameOf).join(", ") : (groupName ?? "")}
        />
      )}
    </div>
  );
}

interface ResultProps {
  kind: Kind;
  whose: Whose;
  whoseName: string;
  range: Range;
  limit: number | null;
  nameOf: (id: string) => string;
}

type Loader = (whose: Whose, range: Range, tz: string, signal: AbortSignal, limit: number | null) => Promise<AnyRow[]>;
const LOADERS: Record<Kind, Loader> = { trips, stops, summary: days, events };

function Result(props: ResultProps): JSX.Element {
  const { kind, whose, range, limit } = props;
  const zone = format.zone();
  const [loaded, again] = useLoad<AnyRow[]>(
    [kind, JSON.stringify(whose), range.fromMs, range.toMs, limit].join(),
    (signal) => LOADERS[kind](whose, range, zone, signal, limit),
  );
  if (!loaded.value) return <Pending loaded={loaded} again={again} />;
  if (loaded.value.length === 0) return <Empty title={t("report.none")} />;
  const table = TABLES[kind];
  return (
    <>
      <PrintHead {...props} />
      {table.measure && <DayChart table={table} rows={loaded.value} />}
      <Rows {...props} table={table} rows={loaded.value} />
    </>
  );
}

function DayChart({ table, rows }: { table: Table<AnyRow>; rows: AnyRow[] }): JSX.Element | null {
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
      <Chart
        times={times}
        series={series}
        height={160}
        label={t(measure.name)}
        format={(value) => format.count(value)}
        dayTicks
      />
    </figure>
  );
}
