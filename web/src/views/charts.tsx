// Channels of one or several devices over each other, down to every value.

import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";

import { type Columns, channelsOf, series } from "../api/channels";
import { saveAs } from "../api/client";
import type { Range } from "../api/history";
import { route, tune } from "../state/app";
import { useCell } from "../state/cell";
import {
  countOf,
  csvOfChart,
  FEW_VALUES,
  formatLines,
  type Line,
  MOST_LINES,
  OF_POSITIONS,
  parseLines,
  rangeOfQuery,
  shifted,
  sideBySide,
  withGaps,
  without,
  zoomed,
} from "../state/charts";
import { nowMs } from "../state/clock";
import type { Unit } from "../state/fleet";
import { useLive } from "../state/live";
import { BYTE_ORDER_MARK, styleOf } from "../text/csv";
import type { Key } from "../text/en";
import * as format from "../text/format";
import { language, t } from "../text/language";
import { Empty, Failure, Spinner, useLoad } from "../ui/basics";
import { Chart, type Series } from "../ui/chart";
import { DevicePicker } from "../ui/device-picker";
import { Icon } from "../ui/icons";

const SPANS: readonly [name: string, ms: number][] = [
  ["hour", 3_600_000],
  ["hours", 6 * 3_600_000],
  ["day", 86_400_000],
  ["week", 7 * 86_400_000],
  ["month", 30 * 86_400_000],
];
/** A range that ends now is read again this often. */
const MOVES_EVERY_MS = 15_000;

/** A line as it was read. */
interface Read {
  line: Line;
  columns: Columns;
  /** Which of the columns is drawn. */
  shown: string;
}

/** By windows, and where there are few values, each of them. */
async function read(line: Line, range: Range, signal: AbortSignal): Promise<Read> {
  const windows = await series(line.device, line.channel, range, "auto", "mean,last,count", signal);
  const shown = windows.kind === "state" ? "last" : "mean";
  if (countOf(windows) > FEW_VALUES) return { line, columns: windows, shown };
  const columns = await series(line.device, line.channel, range, "raw", null, signal);
  return { line, columns, shown: Object.keys(columns.values)[0] ?? "value" };
}

export function ChartsView(): JSX.Element {
  const { query } = useCell(route);
  const lines = useMemo(() => parseLines(query.s), [query.s]);
  const [turn, setTurn] = useState(0);
  const range = useMemo(() => rangeOfQuery(query, nowMs()), [query.from, query.to, query.span, turn]);
  useEffect(() => {
    if (!range.moves) return;
    const timer = setInterval(() => {
      if (!document.hidden) setTurn((before) => before + 1);
    }, MOVES_EVERY_MS);
    return () => clearInterval(timer);
  }, [range.moves]);
  const show = (next: Range): void =>
    tune({ from: String(Math.round(next.fromMs)), to: String(Math.round(next.toMs)), span: null });
  const draw = (next: readonly Line[]): void => tune({ s: formatLines(next) });
  return (
    <div class="page-inner charts">
      <header class="page-head">
        <h1>{t("nav.charts")}</h1>
      </header>
      <Adder lines={lines} add={(line) => draw([...lines, line])} />
      <RangeBar range={range} show={show} />
      {lines.length === 0 ? (
        <Empty title={t("charts.empty")} hint={t("charts.empty.hint")} />
      ) : (
        <Overlay lines={lines} range={range} show={show} remove={(line) => draw(without(lines, line))} />
      )}
    </div>
  );
}

function Adder({ lines, add }: { lines: readonly Line[]; add: (line: Line) => void }): JSX.Element {
  const [unit, setUnit] = useState<Unit | null>(null);
  if (lines.length >= MOST_LINES) return <p class="why">{t("charts.full", { count: MOST_LINES })}</p>;
  return (
    <div class="charts-add" role="group" aria-label={t("charts.add")}>
      <DevicePicker label={t("charts.device")} value={unit?.name ?? ""} onPick={setUnit} />
      {unit && <ChannelChoice key={unit.id} unit={unit} lines={lines} add={add} />}
    </div>
  );
}

interface Choice {
  name: string;
  label: string;
  unit: string | null;
}

function ChannelChoice(props: { unit: Unit; lines: readonly Line[]; add: (line: Line) => void }): JSX.Element {
  const { unit, lines, add } = props;
  const [loaded] = useLoad(unit.id, (signal) => channelsOf(unit.id, signal));
  const drawn = (name: string): boolean => lines.some((line) => line.device === unit.id && line.channel === name);
  if (loaded.state === "failed") return <Failure text={loaded.text} />;
  if (loaded.value === null) return <Spinner />;
  const own: Choice[] = loaded.value
    .filter(({ kind }) => kind !== "text" && kind !== "event")
    .map(({ name, label, unit: ucum }) => ({ name, label: label ?? name, unit: ucum }));
  const ofPositions: Choice[] = OF_POSITIONS.map(([name, words, ucum]) => ({ name, label: t(words), unit: ucum }));
  const choices = [...own, ...(unit.recordedMs === null ? [] : ofPositions)].filter(({ name }) => !drawn(name));
  return (
    <select
      aria-label={t("charts.channel")}
      value=""
      onChange={(event) => {
        if (event.currentTarget.value) add({ device: unit.id, channel: event.currentTarget.value });
      }}
    >
      <option value="">{t(choices.length > 0 ? "charts.channel.choose" : "charts.channel.none")}</option>
      {choices.map(({ name, label, unit: ucum }) => (
        <option key={name} value={name}>
          {format.unit(ucum) ? `${label} (${format.unit(ucum)})` : label}
        </option>
      ))}
    </select>
  );
}

function RangeBar({ range, show }: { range: Range & { moves: boolean }; show: (range: Range) => void }): JSX.Element {
  const spanMs = range.toMs - range.fromMs;
  return (
    <div class="charts-range" role="group" aria-label={t("charts.range")}>
      {SPANS.map(([name, ms]) => (
        <button
          type="button"
          class="button small"
          key={name}
          aria-pressed={range.moves && Math.abs(spanMs - ms) < 1000}
          onClick={() => tune({ from: null, to: null, span: String(ms) })}
        >
          {t(`charts.span.${name}` as Key)}
        </button>
      ))}
      <span class="charts-moves">
        <IconButton icon="back" name={t("charts.earlier")} act={() => show(shifted(range, -0.5))} />
        <IconButton icon="next" name={t("charts.later")} act={() => show(shifted(range, 0.5))} />
        <IconButton icon="plus" name={t("charts.in")} act={() => show(zoomed(range, 0.5))} />
        <IconButton icon="minus" name={t("charts.out")} act={() => show(zoomed(range, 2))} />
      </span>
    </div>
  );
}

function IconButton(props: { icon: "back" | "next" | "plus" | "minus"; name: string; act: () => void }): JSX.Element {
  return (
    <button type="button" class="button icon-only quiet" aria-label={props.name} title={props.name} onClick={props.act}>
      <Icon name={props.icon} />
    </button>
  );
}

interface OverlayProps {
  lines: readonly Line[];
  range: Range;
  show: (range: Range) => void;
  remove: (line: Line) => void;
}

function Overlay({ lines, range, show, remove }: OverlayProps): JSX.Element {
  const source = useLive();
  const key = `${formatLines(lines)}\n${range.fromMs}\n${range.toMs}`;
  const [loaded, again] = useLoad(key, (signal) => Promise.all(lines.map((line) => read(line, range, signal))));
  // What was drawn stays until there is something else.
  const [held, setHeld] = useState<Read[]>([]);
  useEffect(() => {
    if (loaded.state === "done") setHeld(loaded.value);
  }, [loaded.state, loaded.value]);
  const reads = (loaded.state === "done" ? loaded.value : held).filter(({ line }) =>
    lines.some((other) => other.device === line.device && other.channel === line.channel),
  );
  const [cursorMs, setCursorMs] = useState<number | null>(null);
  const devices = new Set(reads.map(({ line }) => line.device));
  const nameOf = ({ line, columns: { label } }: Read): string => {
    const device = source?.fleet.units.get(line.device)?.name ?? line.device;
    const words = OF_POSITIONS.find(([name]) => name === line.channel)?.[1];
    const channel = words ? t(words) : (label ?? line.channel);
    return devices.size > 1 ? `${device} · ${channel}` : channel;
  };
  const drawn = useMemo(() => sideBySide(reads.map(pointsOf)), [reads.map(({ columns }) => columns)]);
  const series: Series[] = reads.map((one, index) => ({
    label: nameOf(one),
    colour: `--line-${index + 1}`,
    unit: one.columns.unit ?? (one.columns.kind === "state" ? "state" : "none"),
    steps: one.columns.kind === "state",
    values: drawn.columns[index] ?? [],
  }));
  const raw = reads.length > 0 && reads.every(({ columns }) => columns.step === "raw");
  const exportCsv = (): void => {
    const names = reads.map((one) => (one.columns.unit ? `${nameOf(one)} [${one.columns.unit}]` : nameOf(one)));
    const text = BYTE_ORDER_MARK + csvOfChart(names, drawn, styleOf(language()));
    saveAs(new Blob([text], { type: "text/csv" }), "chart.csv");
  };
  if (loaded.state === "failed" && reads.length === 0) return <Failure text={loaded.text} retry={again} />;
  if (reads.length === 0) return <Spinner />;
  const step = reads.find(({ columns }) => columns.step !== "raw")?.columns.step ?? "";
  return (
    <figure class="charts-figure">
      {loaded.state === "failed" && <Failure text={loaded.text} retry={again} />}
      {drawn.times.length === 0 ? (
        <Empty title={t("charts.none")} />
      ) : (
        <Chart
          times={drawn.times}
          series={series}
          height={360}
          span={[range.fromMs / 1000, range.toMs / 1000]}
          label={t("charts.label", { names: reads.map(nameOf).join(", ") })}
          format={(value, unit) =>
            unit === "state" ? (Number.isInteger(value) ? format.said(value === 1) : "") : format.said(value)
          }
          onCursor={setCursorMs}
          onZoom={(fromMs, toMs) => show({ fromMs, toMs })}
        />
      )}
      <figcaption class="charts-caption">
        <span>{raw ? t("charts.raw") : t("charts.windows", { step })}</span>
        <button type="button" class="button small" disabled={drawn.times.length === 0} onClick={exportCsv}>
          <Icon name="download" size={15} />
          {t("charts.export")}
        </button>
      </figcaption>
      <ul class="charts-lines" aria-label={t("charts.lines")}>
        {reads.map((one, index) => (
          <li key={`${one.line.device}/${one.line.channel}`}>
            <span class="charts-key" style={{ background: `var(--line-${index + 1})` }} aria-hidden="true" />
            <span class="charts-name">{nameOf(one)}</span>
            <span class="charts-value">{valueAt(one, drawn.times, drawn.columns[index] ?? [], cursorMs)}</span>
            <button
              type="button"
              class="button icon-only quiet"
              aria-label={t("charts.remove", { name: nameOf(one) })}
              onClick={() => remove(one.line)}
            >
              <Icon name="close" size={15} />
            </button>
          </li>
        ))}
      </ul>
      <p class="unit-sub" role="status">
        {cursorMs === null ? t("charts.newest") : t("charts.at", { time: format.dateTime(cursorMs) })}
      </p>
    </figure>
  );
}

/** The drawn column; a state holds until the next one, so it has no gaps. */
function pointsOf({ columns, shown }: Read): { t: readonly number[]; values: readonly unknown[] } {
  const values = columns.values[shown] ?? [];
  return columns.step === "raw" && columns.kind !== "state" ? withGaps(columns.t, values) : { t: columns.t, values };
}

/** What a line says where the cursor is, or last. */
function valueAt(
  { columns: { unit, kind, decimals } }: Read,
  times: readonly number[],
  column: readonly (number | null | undefined)[],
  cursorMs: number | null,
): string {
  for (let index = times.length - 1; index >= 0; index -= 1) {
    if (cursorMs !== null && times[index]! * 1000 > cursorMs) continue;
    const value = column[index];
    // Another line's moment: the value before holds.
    if (value === undefined) continue;
    if (value === null) {
      if (cursorMs === null) continue;
      return format.NOTHING;
    }
    return kind === "state" ? format.said(value === 1) : format.measured(value, unit, decimals);
  }
  return format.NOTHING;
}
