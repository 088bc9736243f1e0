// A channel in the fleet's list: which one, its newest value of every device, and what
// of them is shown.

import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";

import { channelNames } from "../api/channels";
import { route, showsPast, tune } from "../state/app";
import { Cell, useCell } from "../state/cell";
import type { ChannelColumn } from "../state/fleet";
import { COMPARISONS, isAsked, listItem, type Newest, only, ValueFeed } from "../state/values";
import * as format from "../text/format";
import { t } from "../text/language";
import { useLoad } from "../ui/basics";
import { comparisonOf } from "./filters";

const NEVER = new Cell(0);

/** The channel that the address names: what it says of devices, newly made when that changes. */
export function useColumn(query: Record<string, string>): [column: ChannelColumn | null, newest: Newest | undefined] {
  const { ch: channel, cmpv: text = "" } = query;
  const comparison = comparisonOf(query);
  const [feed, setFeed] = useState<ValueFeed | null>(null);
  useEffect(() => {
    const made = channel ? new ValueFeed({ channels: listItem(channel) }) : null;
    setFeed(made);
    return () => made?.close();
  }, [channel]);
  const version = useCell(feed?.version ?? NEVER);
  const column = useMemo(() => {
    if (!feed) return null;
    const value = (id: string) => only(feed.newest, id)?.value ?? null;
    return { value, isAsked: (id: string) => isAsked(value(id), comparison, text) };
  }, [feed, version, comparison, text]);
  return [column, feed?.newest];
}

/** A choice among what devices report; nothing where none reports anything. */
export function ChannelFilter(): JSX.Element | null {
  const { query } = useCell(route);
  const [loaded] = useLoad("channels", (signal) => (showsPast() ? channelNames(signal) : Promise.resolve([])));
  const chosen = query.ch ?? "";
  const names = useMemo(() => {
    const all = new Map((loaded.value ?? []).map(({ name, unit }) => [name, unit]));
    if (chosen && !all.has(chosen)) all.set(chosen, null);
    return [...all];
  }, [loaded.value, chosen]);
  if (names.length === 0) return null;
  return (
    <div class="filter-row">
      <select
        aria-label={t("fleet.channel")}
        value={chosen}
        onChange={(event) => {
          const ch = event.currentTarget.value || null;
          tune({
            ch,
            ...(ch ? {} : { cmp: null, cmpv: null, sort: query.sort === "value" ? null : (query.sort ?? null) }),
          });
        }}
      >
        <option value="">{t("fleet.channel.none")}</option>
        {names.map(([name, unit]) => (
          <option key={name} value={name}>
            {format.unit(unit) ? `${name} (${format.unit(unit)})` : name}
          </option>
        ))}
      </select>
      {chosen && (
        <>
          <select
            aria-label={t("fleet.compare")}
            value={comparisonOf(query)}
            onChange={(event) => tune({ cmp: event.currentTarget.value })}
          >
            {COMPARISONS.map((one) => (
              <option key={one} value={one}>
                {t(`fleet.compare.${one}`)}
              </option>
            ))}
          </select>
          <input
            type="text"
            class="compare"
            aria-label={t("fleet.compare.value")}
            placeholder={t("fleet.compare.value")}
            value={query.cmpv ?? ""}
            onInput={(event) => tune({ cmpv: event.currentTarget.value || null })}
          />
        </>
      )}
    </div>
  );
}
