// A range again, by time: the marker moves as the device did, as many times
// faster as one likes.

import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { type Range, rows, type Stop, stops } from "../api/history";
import { boundsOfTrack } from "../map/bounds";
import type { FleetMap } from "../map/fleet-map";
import { markerName } from "../map/icons";
import { fleetMap, go, pickedStop, route, tune } from "../state/app";
import { useCell } from "../state/cell";
import { nowMs } from "../state/clock";
import { useLive } from "../state/live";
import { rangeOf } from "../state/ranges";
import { advance, charted, type Moment, momentAt, type Point, splitAt, trackOf } from "../state/track";
import * as format from "../text/format";
import { t } from "../text/language";
import { Empty, Failure, Spinner, Time, useLoad } from "../ui/basics";
import { Chart, type Series } from "../ui/chart";
import { DevicePicker } from "../ui/device-picker";
import { Icon } from "../ui/icons";
import { RangePicker } from "./range-picker";

const RATES = [1, 10, 30, 60, 120, 300, 600] as const;
const USUAL_RATE = 60;
/** The address follows this often, not with every frame. */
const ADDRESS_EVERY_MS = 1000;
const CHART_POINTS = 700;

interface Recorded {
  track: Point[];
  stops: Stop[];
  frames: number;
}

export function ReplayView(): JSX.Element {
  const now = useCell(route);
  const source = useLive();
  const id = now.device;
  const { fromMs, toMs } = rangeOf(now.query, nowMs());
  const range = useMemo(() => ({ fromMs, toMs }), [fromMs, toMs]);
  return (
    <div class="replay">
      <h1>{t("replay.title")}</h1>
      <DevicePicker
        label={t("report.pick")}
        value={id ? (source?.fleet.units.get(id)?.name ?? id) : ""}
        onPick={(unit) => go({ view: "replay", device: unit.id, query: { ...now.query, at: "" } })}
      />
      <RangePicker range={range} />
      {id ? <Load key={`${id}${fromMs}${toMs}`} id={id} range={range} /> : <Empty title={t("replay.pick")} />}
    </div>
  );
}

function Load({ id, range }: { id: string; range: Range }): JSX.Element {
  const [count, setCount] = useState(0);
  const map = useCell(fleetMap);
  const [loaded, again] = useLoad<Recorded>(`${id}${range.fromMs}${range.toMs}`, async (signal) => {
    const [all, stands] = await Promise.all([
      rows(id, range, signal, setCount),
      stops({ devices: [id] }, range, format.zone(), signal),
    ]);
    return { track: trackOf(all), stops: stands, frames: all.length };
  });

  useEffect(() => {
    map?.showFleet(false);
    return () => {
      fleetMap.value?.showFleet(true);
      fleetMap.value?.setShape(null);
      fleetMap.value?.setFocus(null);
    };
  }, [map]);

  if (loaded.state === "failed") return <Failure text={loaded.text} retry={again} />;
  if (!loaded.value) return <Spinner label={t("replay.loading", { count: format.count(count) })} />;
  if (loaded.value.track.length === 0) return <Empty title={t("replay.empty")} />;
  return <Player recorded={loaded.value} />;
}

function draw(map: FleetMap, recorded: Recorded, ms: number): void {
  map.setShape({
    lines: splitAt(recorded.track, ms),
    stops: recorded.stops.flatMap((stop) =>
      stop.at ? [{ id: stop.start, at: [stop.at.longitude, stop.at.latitude] as [number, number] }] : [],
    ),
  });
}

function Player({ recorded }: { recorded: Recorded }): JSX.Element {
  const { track } = recorded;
  const startMs = track[0]!.ms;
  const endMs = track[track.length - 1]!.ms;
  const map = useCell(fleetMap);
  const { query } = useCell(route);
  const clampMs = (ms: number): number => Math.min(endMs, Math.max(startMs, ms));
  const [ms, setMs] = useState(() => clampMs(Number(query.at) * 1000 || startMs));
  const [playing, setPlaying] = useState(false);
  const [follow, setFollow] = useState(true);
  const rate = RATES.find((known) => String(known) === query.speed) ?? USUAL_RATE;
  const moment = momentAt(track, ms);
  const here = useRef(ms);
  here.current = ms;

  useEffect(() => {
    if (!playing) return;
    let last = performance.now();
    let frame = requestAnimationFrame(function step(now) {
      const next = advance(here.current, now - last, rate, endMs);
      last = now;
      setMs(next);
      if (next >= endMs) setPlaying(false);
      else frame = requestAnimationFrame(step);
    });
    return () => cancelAnimationFrame(frame);
  }, [playing, rate, endMs]);

  useEffect(() => {
    const box = map && boundsOfTrack(track);
    if (box) map.fit(box, { maxZoom: 15, animate: false });
  }, [map, track]);

  useEffect(() => {
    if (!map || !moment) return;
    draw(map, recorded, ms);
    const moving = (moment.speedKmh ?? 0) > 0 || moment.silent;
    map.setFocus({
      ...moment,
      icon: markerName(moment.silent ? "offline" : "online", moving),
      turn: moving ? moment.directionDeg : 0,
    });
    if (follow && playing) map.keepAt(moment.longitude, moment.latitude);
  }, [map, ms, recorded]);

  useEffect(() => {
    const timer = setTimeout(() => tune({ at: String(Math.floor(ms / 1000)) }), ADDRESS_EVERY_MS);
    return () => clearTimeout(timer);
  }, [playing ? Math.floor(ms / (ADDRESS_EVERY_MS * rate)) : ms]);

  const seek = (to: number): void => {
    setMs(clampMs(to));
    const at = momentAt(track, clampMs(to));
    if (at && follow) map?.keepAt(at.longitude, at.latitude);
  };
  // A stop that is picked on the map is a moment, too.
  const picked = useCell(pickedStop);
  useEffect(() => {
    if (picked && recorded.stops.some(({ start }) => start === picked.id)) seek(Date.parse(picked.id));
  }, [picked]);
  const starts = recorded.stops.map((stop) => Date.parse(stop.start));
  const before = starts.filter((start) => start < ms - 1000).at(-1);
  const after = starts.find((start) => start > ms);
  const stopHere = recorded.stops.find(
    (stop) => Date.parse(stop.start) <= ms && (stop.open || Date.parse(stop.end) >= ms),
  );

  return (
    <section class="player" aria-label={t("replay.title")}>
      <p class="player-time">
        <Time ms={ms} as="time" />
        <span>
          <Time ms={ms} as="day" />
        </span>
      </p>
      <Readout moment={moment} stop={stopHere} />
      <input
        type="range"
        class="scrub"
        aria-label={t("replay.scrub")}
        aria-valuetext={format.dateTime(ms)}
        min={startMs}
        max={endMs}
        step={1000}
        value={ms}
        onInput={(event) => seek(Number(event.currentTarget.value))}
      />
      <div class="player-ends">
        <Time ms={startMs} as="clock" />
        <Time ms={endMs} as="clock" />
      </div>
      <div class="player-keys">
        <button
          type="button"
          class="button icon-only"
          aria-label={t("replay.prev")}
          title={t("replay.prev")}
          aria-disabled={before === undefined}
          onClick={() => before !== undefined && seek(before)}
        >
          <Icon name="prevStop" />
        </button>
        <button
          type="button"
          class="button primary play"
          aria-label={t(playing ? "replay.pause" : "replay.play")}
          onClick={() => {
            if (!playing && ms >= endMs) setMs(startMs);
            setPlaying(!playing);
          }}
        >
          <Icon name={playing ? "pause" : "play"} />
        </button>
        <button
          type="button"
          class="button icon-only"
          aria-label={t("replay.next")}
          title={t("replay.next")}
          aria-disabled={after === undefined}
          onClick={() => after !== undefined && seek(after)}
        >
          <Icon name="nextStop" />
        </button>
        <select
          aria-label={t("replay.speed")}
          value={String(rate)}
          onChange={(event) => tune({ speed: event.currentTarget.value })}
        >
          {RATES.map((known) => (
            <option key={known} value={String(known)}>
              {known}×
            </option>
          ))}
        </select>
        <button type="button" class="button toggle" aria-pressed={follow} onClick={() => setFollow(!follow)}>
          <Icon name="target" size={16} />
          {t("replay.follow")}
        </button>
      </div>
      <SpeedChart track={track} ms={ms} onPick={seek} />
      <ul class="stops-list">
        {recorded.stops.map((stop) => (
          <li key={stop.start}>
            <button type="button" onClick={() => seek(Date.parse(stop.start))}>
              <Time ms={Date.parse(stop.start)} as="clock" />
              <span>{t("replay.stop", { duration: format.duration(stop.duration_s) })}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Readout({ moment, stop }: { moment: Moment | null; stop: Stop | undefined }): JSX.Element {
  return (
    <p class="readout">
      <span class="big">{moment?.silent ? t("replay.silence") : format.speed(moment?.speedKmh)}</span>
      <span class="unit-sub">
        {stop ? t("replay.stop", { duration: format.duration(stop.duration_s) }) : format.heading(moment?.directionDeg)}
      </span>
    </p>
  );
}

function SpeedChart(props: { track: Point[]; ms: number; onPick: (ms: number) => void }): JSX.Element {
  const { track } = props;
  const [times, series] = useMemo(() => {
    const { times: seconds, values: some } = charted(track, (point) => point.ms, CHART_POINTS);
    const made: Series[] = [
      {
        label: t("device.speed"),
        colour: "--accent",
        fill: true,
        unit: "km/h",
        values: some.map((point) => point?.speedKmh ?? null),
      },
    ];
    return [seconds, made];
  }, [track]);
  return (
    <Chart
      times={times}
      series={series}
      height={110}
      label={t("device.speed")}
      format={(value) => String(value)}
      markMs={props.ms}
      onPick={props.onPick}
    />
  );
}
