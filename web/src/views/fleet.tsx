// The list beside the map: counters, filters, and a row for each device.

import type { JSX } from "preact";
import { useEffect, useMemo } from "preact/hooks";

import { fleetMap, go, lastDevice, route, tune } from "../state/app";
import { useCell } from "../state/cell";
import { counts, groupNames, isOld, NO_FILTER, STATUSES, shown, type Unit } from "../state/fleet";
import { type Live, live } from "../state/live";
import { type NewestValue, only } from "../state/values";
import type { Key } from "../text/en";
import * as format from "../text/format";
import { t } from "../text/language";
import { Empty, Failure, Spinner, StatusDot, useNow } from "../ui/basics";
import { Icon } from "../ui/icons";
import { VirtualList } from "../ui/virtual-list";
import { filterOf, SORTS, sortOf } from "./filters";
import { ChannelFilter, useColumn } from "./fleet-channel";

const ROW_HEIGHT = 60;

export function FleetView(): JSX.Element | null {
  const source = useCell(live);
  const map = useCell(fleetMap);
  useEffect(() => {
    map?.showFleet(true);
    map?.setShape(null);
    map?.setFocus(null);
  }, [map]);
  return source && <FleetList source={source} />;
}

function Counters({ source }: { source: Live }): JSX.Element {
  const { query } = useCell(route);
  const version = useCell(source.version);
  const filter = filterOf(query);
  const sums = useMemo(() => counts(source.fleet, filter), [version, JSON.stringify(filter)]);
  return (
    <div class="counters" role="group" aria-label={t("fleet.sort.status")}>
      <button
        type="button"
        class="counter"
        aria-pressed={filter.statuses.length === 0}
        onClick={() => tune({ status: null })}
      >
        <span class="counter-number">{format.count(sums.total)}</span>
        <span class="counter-name">{t("fleet.all")}</span>
      </button>
      {STATUSES.map((status) => {
        const pressed = filter.statuses.includes(status);
        const next = pressed ? filter.statuses.filter((other) => other !== status) : [...filter.statuses, status];
        return (
          <button
            type="button"
            key={status}
            class={`counter counter-${status}`}
            aria-pressed={pressed}
            title={t(`status.${status}.why` as Key)}
            onClick={() => tune({ status: next.join(",") || null })}
          >
            <span class="counter-number">{format.count(sums[status])}</span>
            <span class="counter-name">
              <StatusDot status={status} />
              {t(`status.${status}` as Key)}
            </span>
          </button>
        );
      })}
    </div>
  );
}

function Filters({ source }: { source: Live }): JSX.Element {
  const { query } = useCell(route);
  const version = useCell(source.version);
  const groups = useMemo(() => groupNames(source.fleet), [version]);
  const pick = (name: string) => (event: JSX.TargetedEvent<HTMLSelectElement>) =>
    tune({ [name]: event.currentTarget.value || null });
  return (
    <div class="filters">
      <label class="search">
        <Icon name="search" size={16} />
        <span class="hidden">{t("fleet.search")}</span>
        <input
          type="search"
          placeholder={t("fleet.search")}
          value={query.q ?? ""}
          onInput={(event) => tune({ q: event.currentTarget.value || null })}
        />
      </label>
      <div class="filter-row">
        {groups.length > 0 && (
          <select aria-label={t("fleet.group")} value={query.group ?? ""} onChange={pick("group")}>
            <option value="">{t("fleet.group.all")}</option>
            {groups.map((group) => (
              <option key={group} value={group}>
                {group}
              </option>
            ))}
          </select>
        )}
        <select aria-label={t("fleet.ignition")} value={query.ignition ?? ""} onChange={pick("ignition")}>
          <option value="">{t("fleet.ignition.any")}</option>
          <option value="on">{t("fleet.ignition.on")}</option>
          <option value="off">{t("fleet.ignition.off")}</option>
        </select>
        <select aria-label={t("fleet.sort")} value={sortOf(query)} onChange={pick("sort")}>
          {SORTS.filter((sort) => sort !== "value" || query.ch).map((sort) => (
            <option key={sort} value={sort}>
              {`${t("fleet.sort.by")} ${t(`fleet.sort.${sort}` as Key).toLowerCase()}`}
            </option>
          ))}
        </select>
      </div>
      <ChannelFilter />
    </div>
  );
}

function Row({ unit, now, said }: { unit: Unit; now: number; said: NewestValue | null | undefined }): JSX.Element {
  const old = isOld(unit);
  const moving = (unit.speedKmh ?? 0) > 0 && !old && unit.status !== "offline" && unit.status !== "never";
  return (
    <div class="unit">
      <StatusDot status={unit.status} />
      <div class="unit-main">
        <span class="unit-name">{unit.name}</span>
        <span class="unit-sub">
          {t(`status.${unit.status}` as Key)}
          {old && (
            <strong class="old-position" title={format.utc(unit.positionMs)}>
              {` · ${t("fleet.old", { age: format.age(unit.positionMs, now) })}`}
            </strong>
          )}
          {unit.name !== unit.id && ` · ${unit.id}`}
          {unit.vehicle && ` · ${unit.vehicle}`}
        </span>
      </div>
      <div class="unit-end">
        {said === undefined ? (
          <span class={moving ? "unit-speed" : "unit-speed is-still"}>
            {unit.status === "never" || unit.speedKmh === null ? "" : format.speed(unit.speedKmh)}
          </span>
        ) : (
          <span
            class={said === null ? "unit-value is-still" : "unit-value"}
            title={said === null ? "" : `${format.dateTime(said.recordedMs)} · ${format.utc(said.recordedMs)}`}
          >
            {said === null ? format.NOTHING : format.measured(said.value, said.unit)}
          </span>
        )}
        <span class="unit-sub">
          {unit.ignition !== null && (
            <span
              class={unit.ignition ? "ignition is-on" : "ignition"}
              title={t(unit.ignition ? "fleet.ignition.on" : "fleet.ignition.off")}
            >
              <Icon name="bolt" size={12} />
            </span>
          )}
          <span title={unit.seenMs === null ? "" : `${format.dateTime(unit.seenMs)} · ${format.utc(unit.seenMs)}`}>
            {unit.seenMs === null && unit.status === "never" ? t("fleet.never") : format.age(unit.seenMs, now)}
          </span>
        </span>
      </div>
    </div>
  );
}

function FleetList({ source }: { source: Live }): JSX.Element {
  const { query } = useCell(route);
  const version = useCell(source.version);
  const loading = useCell(source.loading);
  const failed = useCell(source.failed);
  const now = useNow();
  const filter = filterOf(query);
  const sort = sortOf(query);
  const key = JSON.stringify(filter);
  const [column, newest] = useColumn(query);
  const units = useMemo(() => shown(source.fleet, filter, sort, column), [version, key, sort, column]);
  const total = source.fleet.units.size;
  const filtered = key !== JSON.stringify(NO_FILTER) || Boolean(column && query.cmpv);

  return (
    <div class="fleet">
      <h1 class="hidden">{t("nav.fleet")}</h1>
      <Counters source={source} />
      <Filters source={source} />
      {failed && total === 0 && <Failure text={failed} />}
      {loading && total === 0 && !failed && <Spinner label={t("fleet.loading")} />}
      {!loading && total === 0 && <Empty title={t("fleet.empty")} hint={t("fleet.empty.hint")} />}
      {total > 0 && units.length === 0 && (
        <Empty title={t("fleet.none")}>
          <button
            type="button"
            class="button"
            onClick={() => tune({ q: null, status: null, group: null, ignition: null, cmpv: null })}
          >
            {t("fleet.clear")}
          </button>
        </Empty>
      )}
      {units.length > 0 && (
        <>
          {filtered && (
            <p class="fleet-count" role="status">
              {t("fleet.count", { shown: format.count(units.length), total: format.count(total) })}
            </p>
          )}
          <VirtualList
            items={units}
            rowHeight={ROW_HEIGHT}
            label={t("fleet.list")}
            idOf={(unit) => unit.id}
            selected={null}
            start={lastDevice.value}
            onOpen={(unit) => go({ view: "device", device: unit.id, query: {} })}
            row={(unit) => <Row unit={unit} now={now} said={newest && only(newest, unit.id)} />}
          />
        </>
      )}
    </div>
  );
}
