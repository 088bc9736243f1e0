// One chart over time (uPlot): lines in the colours of the page, with a cursor
// that tells where it is. The text beside it says the same to those who cannot see.

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import { dark } from "../state/app";
import { useCell } from "../state/cell";
import { clock, dayShort, time } from "../text/format";

const DAY_S = 86_400;
const DAYS = [1, 2, 7, 14, 28, 91, 182, 365] as const;

export interface Series {
  label: string;
  /** A CSS variable. */
  colour: string;
  fill?: boolean;
  bars?: boolean;
  /** Of the axis, which series of the same unit share. */
  unit: string;
  /** `undefined`: another line's moment, the line goes on; `null`: a gap. */
  values: (number | null | undefined)[];
  /** Steps instead of slopes, as for states. */
  steps?: boolean;
}

export interface ChartProps {
  /** Unix seconds, ascending. */
  times: number[];
  series: Series[];
  height: number;
  label: string;
  format: (value: number, unit: string) => string;
  onCursor?: (ms: number | null) => void;
  /** A moment to mark with a line. */
  markMs?: number;
  /** A click names a moment. */
  onPick?: (ms: number) => void;
  dayTicks?: boolean;
  /** A stretch that was drawn with the mouse, Unix milliseconds. */
  onZoom?: (fromMs: number, toMs: number) => void;
  /** The whole axis, Unix seconds, where it is more than there are values. */
  span?: readonly [number, number];
  /** What is above is cut off, so that one peak does not flatten all else. */
  most?: number | null;
}

const dataOf = ({ times, series }: ChartProps): uPlot.AlignedData => [times, ...series.map(({ values }) => values)];

/** A click is no stretch: so many pixels are. */
const LEAST_SELECTED = 6;

/** Over more than two days the day matters, over less than ten minutes the second. */
function tick({ scales }: uPlot, days: boolean): (ms: number) => string {
  const spanS = (scales.x?.max ?? 0) - (scales.x?.min ?? 0);
  return days || spanS > 2 * DAY_S ? dayShort : spanS < 600 ? time : clock;
}

export function Chart(props: ChartProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const isDark = useCell(dark);
  const { times, series, height } = props;
  const shown = useRef(props);
  shown.current = props;
  const drawn = useRef<uPlot | null>(null);
  const isEmpty = times.length === 0;
  // New values are drawn in place, so that the cursor stays where it is.
  const kind = JSON.stringify(series.map(({ values, ...look }) => look));
  // What changes often does not make the chart anew.
  const marked = useRef(props.markMs);
  marked.current = props.markMs;
  const picked = useRef(props.onPick);
  picked.current = props.onPick;
  const placing = useRef<(() => void) | null>(null);

  useEffect(() => {
    const element = box.current;
    if (!element || isEmpty) return;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const units = [...new Set(series.map(({ unit }) => unit))];
    const grid = { stroke: colour("--line"), width: 1 };
    const zooms = props.onZoom !== undefined;
    const axis = { stroke: colour("--ink-3"), font, ticks: { show: false } };
    const plot = new uPlot(
      {
        width: element.clientWidth,
        height,
        padding: [10, 20, 0, 0],
        legend: { show: false },
        cursor: { drag: { x: zooms, y: false, setScale: false }, points: { size: 7 } },
        scales: Object.fromEntries<uPlot.Scale>([
          // Bars are as wide as their day: half a day of room at both ends.
          [
            "x",
            props.dayTicks
              ? { range: (_: uPlot, min: number, max: number) => [min - DAY_S / 2, max + DAY_S / 2] }
              : props.span
                ? { range: () => [...shown.current.span!] }
                : {},
          ],
          ...units.map((unit): [string, uPlot.Scale] => [
            unit,
            {
              range: (_: uPlot, min: number | null, max: number | null): uPlot.Range.MinMax =>
                series.some((one) => one.unit === unit && one.fill)
                  ? [0, shown.current.most ?? Math.max(10, (max ?? 10) * 1.1)]
                  : [min ?? 0, (max ?? 1) === min ? (min ?? 0) + 1 : (max ?? 1)],
            },
          ]),
        ]),
        series: [
          {},
          ...series.map(({ label, colour: name, fill, bars, steps, unit }) => ({
            label,
            scale: unit,
            stroke: colour(name),
            width: 1.6,
            points: { show: false },
            ...(steps ? { paths: uPlot.paths.stepped!({ align: 1 }) } : {}),
            ...(bars ? { paths: uPlot.paths.bars!({ size: [0.72, 40], radius: 0.15 }) } : {}),
            ...(fill || bars ? { fill: `${colour(name)}${bars ? "" : "26"}` } : {}),
          })),
        ],
        axes: [
          {
            ...axis,
            grid: { show: false },
            size: 26,
            ...(props.dayTicks ? { incrs: DAYS.map((days) => days * DAY_S) } : {}),
            values: (self: uPlot, ticks: number[]) => ticks.map((s) => tick(self, props.dayTicks === true)(s * 1000)),
            space: 64,
          },
          ...units.map((unit, index) => ({
            ...axis,
            scale: unit,
            side: index === 0 ? 3 : 1,
            grid: index === 0 ? grid : { show: false },
            size: 54,
            space: 34,
            values: (_: uPlot, ticks: number[]) => ticks.map((value) => shown.current.format(value, unit)),
          })),
        ],
        hooks: {
          setSelect: [
            (self: uPlot) => {
              const { left, width } = self.select;
              if (width < LEAST_SELECTED) return;
              shown.current.onZoom?.(self.posToVal(left, "x") * 1000, self.posToVal(left + width, "x") * 1000);
              self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            },
          ],
          setCursor: [
            (self: uPlot) => {
              const index = self.cursor.idx;
              const over = index !== null && index !== undefined && (self.cursor.left ?? -1) >= 0;
              const second = over ? shown.current.times[index] : undefined;
              shown.current.onCursor?.(second === undefined ? null : second * 1000);
            },
          ],
        },
      },
      dataOf(shown.current),
      element,
    );
    drawn.current = plot;
    const place = (): void => {
      const at = marked.current;
      mark.hidden = at === undefined;
      if (at === undefined) return;
      mark.style.transform = `translateX(${Math.round(plot.valToPos(at / 1000, "x"))}px)`;
    };
    const mark = document.createElement("div");
    mark.className = "chart-mark";
    plot.over.append(mark);
    placing.current = place;
    place();
    plot.over.addEventListener("click", (event) => {
      const { left } = plot.over.getBoundingClientRect();
      picked.current?.(plot.posToVal(event.clientX - left, "x") * 1000);
    });
    const observer = new ResizeObserver(() => {
      plot.setSize({ width: element.clientWidth, height });
      place();
    });
    observer.observe(element);
    return () => {
      placing.current = null;
      drawn.current = null;
      observer.disconnect();
      plot.destroy();
    };
  }, [kind, isEmpty, height, isDark]);

  useEffect(() => {
    drawn.current?.setData(dataOf(shown.current));
    placing.current?.();
  }, [times, series, props.span?.[0], props.span?.[1]]);

  useEffect(() => placing.current?.(), [props.markMs]);

  return <div class="chart" ref={box} role="img" aria-label={props.label} style={{ height: `${height}px` }} />;
}
