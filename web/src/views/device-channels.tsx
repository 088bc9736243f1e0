// What a device reports by name: a card a channel with its newest value, live, and how
// it went in the last hours.

import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";

import { type Channel, type Columns, channelsOf, series } from "../api/channels";
import { useCell } from "../state/cell";
import { chartRoute } from "../state/charts";
import { nowMs } from "../state/clock";
import { formatRoute, segment } from "../state/route";
import { byChannel, type NewestValue, ValueFeed } from "../state/values";
import * as format from "../text/format";
import { t } from "../text/language";
import { Ago, Pending, useLoad, useNews } from "../ui/basics";
import { Icon } from "../ui/icons";
import { Spark } from "../ui/spark";

const HOUR_MS = 3_600_000;
const HOURS = 6;
const STEP = "5m";
/** Small charts are read again this often; what is new is added meanwhile. */
const AGAIN_MS = 5 * 60_000;
/** Cards at first: more than people look at, and a read each. */
const FEW = 24;
/** Channels that are computed from others are read again this often while these move. */
const COMPUTED_EVERY_MS = 5_000;
/** Charts that are read at once: reports of a person take turns at the server. */
const AT_ONCE = 3;

/** Calls so many at once, in turn. */
function inTurns(): <T>(work: () => Promise<T>) => Promise<T> {
  let free = AT_ONCE;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve));
    else free -= 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    }
  };
}

/** Newest values of a device while it is looked at. */
function useFeed(id: string): ValueFeed | null {
  const [feed, setFeed] = useState<ValueFeed | null>(null);
  useEffect(() => {
    const made = new ValueFeed({ device_ids: segment(id) });
    setFeed(made);
    return () => made.close();
  }, [id]);
  return feed;
}

export function DeviceChannels({ id }: { id: string }): JSX.Element | null {
  const [loaded, again, refresh] = useLoad(id, (signal) => channelsOf(id, signal));
  const feed = useFeed(id);
  // A device without channels has no section, and one that cannot be read says so.
  if (loaded.state === "done" && loaded.value.length === 0 && !feed) return null;
  return (
    <>
      {loaded.state === "failed" && <Pending loaded={loaded} again={again} />}
      {loaded.value && feed && <Cards id={id} channels={loaded.value} feed={feed} refresh={refresh} />}
    </>
  );
}

function Cards(props: { id: string; channels: Channel[]; feed: ValueFeed; refresh: () => void }): JSX.Element | null {
  const { id, channels, feed, refresh } = props;
  const version = useCell(feed.version);
  const [all, setAll] = useState(false);
  const turns = useMemo(inTurns, [id]);
  // The server may write the device in another way than the address did.
  const newest = byChannel(feed.newest, feed.newest.keys().next().value ?? id, channels);
  const strangers = [...newest.keys()].filter((name) => !channels.some((channel) => channel.name === name)).join("\n");
  // A channel that came since is in the list by now.
  useEffect(() => {
    if (!strangers) return;
    const timer = setTimeout(refresh, 2_000);
    return () => clearTimeout(timer);
  }, [strangers]);
  // What is computed from others is computed by the server.
  const computed = channels.some(({ source }) => source !== null);
  useNews(computed ? version : 0, COMPUTED_EVERY_MS, refresh);
  if (channels.length === 0) return null;
  const shown = all ? channels : channels.slice(0, FEW);
  const drawn = channels.filter(isDrawn).map((channel) => ({ device: id, channel: channel.name }));
  return (
    <section aria-label={t("channels")}>
      <div class="section-head">
        <h2>{t("channels")}</h2>
        {drawn.length > 0 && (
          <a class="button small" href={formatRoute(chartRoute(drawn.slice(0, 4)))}>
            <Icon name="charts" size={15} />
            {t("channels.chart")}
          </a>
        )}
      </div>
      <ul class="channels">
        {shown.map((channel) => (
          <ChannelCard key={channel.name} id={id} channel={channel} live={newest.get(channel.name)} turns={turns} />
        ))}
      </ul>
      {shown.length < channels.length && (
        <button type="button" class="button small" onClick={() => setAll(true)}>
          {t("channels.all", { count: format.count(channels.length) })}
        </button>
      )}
    </section>
  );
}

/** Texts and events make no line. */
const isDrawn = ({ kind }: Channel): boolean => kind !== "text" && kind !== "event";

interface CardProps {
  id: string;
  channel: Channel;
  live: NewestValue | undefined;
  turns: <T>(work: () => Promise<T>) => Promise<T>;
}

function ChannelCard({ id, channel, live, turns }: CardProps): JSX.Element {
  const askedMs = channel.recorded_at === null ? null : Date.parse(channel.recorded_at);
  const newer = live && !live.cut && (askedMs === null || live.recordedMs >= askedMs) ? live : undefined;
  const value = newer ? newer.value : (channel.value as NewestValue["value"]);
  const atMs = newer ? newer.recordedMs : askedMs;
  const label = channel.label ?? channel.name;
  return (
    <li class="channel">
      <span class="channel-name" title={channel.name}>
        {label}
      </span>
      <span class={typeof value === "string" ? "channel-value is-text" : "channel-value"}>
        {format.measured(value, channel.unit, channel.decimals)}
      </span>
      {isDrawn(channel) ? (
        <a
          class="channel-chart"
          href={formatRoute(chartRoute([{ device: id, channel: channel.name }]))}
          aria-label={t("channels.chart.of", { name: label })}
        >
          <Went id={id} channel={channel} value={value} atMs={atMs} turns={turns} />
        </a>
      ) : (
        <span />
      )}
      <span class="unit-sub">
        <Ago ms={atMs} />
      </span>
    </li>
  );
}

/** How the channel went in the last hours, with what it says now at the end. */
function Went(props: Omit<CardProps, "live"> & { value: NewestValue["value"]; atMs: number | null }): JSX.Element {
  const { id, channel, value, atMs, turns } = props;
  const [turn, setTurn] = useState(0);
  const agg = channel.kind === "state" ? "last" : "mean";
  const [loaded] = useLoad(`${id}\n${channel.name}\n${turn}`, (signal) => {
    const toMs = nowMs();
    const range = { fromMs: toMs - HOURS * HOUR_MS, toMs };
    return turns(() => series(id, channel.name, range, STEP, agg, signal));
  });
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) setTurn((before) => before + 1);
    }, AGAIN_MS);
    return () => clearInterval(timer);
  }, []);
  const { times, values } = useMemo(() => withNewest(loaded.value, agg, value, atMs), [loaded.value, value, atMs]);
  return <Spark times={times} values={values} />;
}

const asNumber = (value: unknown): number | null =>
  typeof value === "number" ? value : typeof value === "boolean" ? Number(value) : null;

function withNewest(
  read: Columns | null,
  agg: string,
  value: NewestValue["value"],
  atMs: number | null,
): { times: number[]; values: (number | null)[] } {
  const times = [...(read?.t ?? [])];
  const values = (read?.values[agg] ?? []).map(asNumber);
  const number = asNumber(value);
  if (read && number !== null && atMs !== null && atMs >= (times[times.length - 1] ?? atMs)) {
    times.push(atMs);
    values.push(number);
  }
  return { times, values };
}
