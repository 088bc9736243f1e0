// A small line without axes: how a value went, beside the number that says what it is now.

import type { JSX } from "preact";

const WIDTH = 100;
const HEIGHT = 26;
const MARGIN = 2;

/** A path with a gap where there is no value; a value alone is a dot's breadth. */
export function sparkPath(times: readonly number[], values: readonly (number | null)[]): string {
  const known = values.filter((value): value is number => value !== null);
  const [first, last] = [times[0], times[times.length - 1]];
  if (known.length === 0 || first === undefined || last === undefined) return "";
  // Not by spreading: there may be more than a call takes.
  const least = known.reduce((a, b) => Math.min(a, b));
  const most = known.reduce((a, b) => Math.max(a, b));
  const x = (ms: number): number => (last === first ? WIDTH / 2 : ((ms - first) / (last - first)) * WIDTH);
  const y = (value: number): number =>
    most === least ? HEIGHT / 2 : HEIGHT - MARGIN - ((value - least) / (most - least)) * (HEIGHT - 2 * MARGIN);
  let path = "";
  let drawing = false;
  values.forEach((value, index) => {
    if (value === null) {
      drawing = false;
      return;
    }
    path += `${drawing ? "L" : "M"}${x(times[index]!).toFixed(1)} ${y(value).toFixed(1)}`;
    if (!drawing && (values[index + 1] ?? null) === null) path += "h1";
    drawing = true;
  });
  return path;
}

export function Spark(props: { times: readonly number[]; values: readonly (number | null)[] }): JSX.Element {
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <path d={sparkPath(props.times, props.values)} vector-effect="non-scaling-stroke" />
    </svg>
  );
}
