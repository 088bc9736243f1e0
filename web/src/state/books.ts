// Sums over the lines of the books. Pure.

export interface Sums {
  received: number;
  stored: number;
  duplicates: number;
  dead_letters: number;
  pings: number;
  refused?: number;
  balanced: boolean;
}

export interface BookLine extends Sums {
  minute: string;
  worker: string;
}

export interface Minute {
  /** Unix seconds. */
  s: number;
  received: number;
  dead: number;
}

/** All workers together; minutes without a line between two that have one are zero. */
export function perMinute(lines: readonly BookLine[]): Minute[] {
  const minutes = new Map<number, Minute>();
  for (const line of lines) {
    const s = Date.parse(line.minute) / 1000;
    const minute = minutes.get(s) ?? { s, received: 0, dead: 0 };
    minute.received += line.received;
    minute.dead += line.dead_letters;
    minutes.set(s, minute);
  }
  const known = [...minutes.keys()].sort((a, b) => a - b);
  const first = known[0];
  const last = known[known.length - 1];
  if (first === undefined || last === undefined) return [];
  const all: Minute[] = [];
  for (let s = first; s <= last; s += 60) all.push(minutes.get(s) ?? { s, received: 0, dead: 0 });
  return all;
}

const USUAL_SHARE = 0.95;
/** So much higher than what is usual is a peak of its own: the memory of a fleet, a backfill. */
const PEAK = 4;
const FEW = 20;

/** The top of a chart where a few values tower over the rest; `null` where all of them fit. */
export function usualTop(values: readonly number[]): number | null {
  if (values.length < FEW) return null;
  const ordered = [...values].sort((a, b) => a - b);
  const usual = Math.max(10, ordered[Math.floor((values.length - 1) * USUAL_SHARE)]!);
  return ordered.at(-1)! > PEAK * usual ? usual * 1.5 : null;
}

export interface Worker {
  name: string;
  lastMs: number;
  sums: Sums;
}

export function workers(lines: readonly BookLine[]): Worker[] {
  const byName = new Map<string, Worker>();
  for (const line of lines) {
    const worker = byName.get(line.worker) ?? {
      name: line.worker,
      lastMs: 0,
      sums: { received: 0, stored: 0, duplicates: 0, dead_letters: 0, pings: 0, balanced: true },
    };
    worker.lastMs = Math.max(worker.lastMs, Date.parse(line.minute));
    for (const part of ["received", "stored", "duplicates", "dead_letters", "pings"] as const) {
      worker.sums[part] += line[part];
    }
    worker.sums.balanced &&= line.balanced;
    byName.set(line.worker, worker);
  }
  return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
