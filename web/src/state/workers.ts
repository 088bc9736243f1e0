// What processes say of themselves, and rates from two tellings. Pure.

/** A process that is alive, as `/api/v1/workers/` tells it. */
export interface Worker {
  name: string;
  role: string;
  version: string;
  host: string;
  started_at: string;
  seen_at: string;
  clock_ahead_ms: number;
  figures: Record<string, number>;
}

export interface Telling {
  atMs: number;
  workers: Worker[];
}

/** Tells that are older than this are forgotten: rates are those of now. */
const KEPT_MS = 60_000;

/** The tellings to keep, with the newest behind them; one that says nothing new is not kept. */
export function kept(before: readonly Telling[], next: Telling): Telling[] {
  return [...before.filter(({ atMs }) => next.atMs - atMs <= KEPT_MS), next];
}

const figure = (worker: Worker, names: readonly string[]): number | null => {
  const known = names.map((name) => worker.figures[name]).filter((value) => value !== undefined);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0);
};

/** Per second, of figures that only grow. Null until it was told twice, or after a restart. */
export function rate(tellings: readonly Telling[], name: string, names: readonly string[]): number | null {
  const points = tellings.flatMap(({ workers }) => {
    const worker = workers.find((one) => one.name === name);
    const value = worker && figure(worker, names);
    return worker && value !== null && value !== undefined
      ? [{ atMs: Date.parse(worker.seen_at), started: worker.started_at, value }]
      : [];
  });
  const last = points.at(-1);
  // Only this life of the process, and only tellings that differ in time.
  const first = points.find(({ started, atMs }) => started === last?.started && atMs < last.atMs);
  if (!first || !last || last.value < first.value) return null;
  return ((last.value - first.value) * 1000) / (last.atMs - first.atMs);
}

export const IN = ["messages_taken"] as const;
const PARSED_BY_PARSER = ["frames_parsed"] as const;
/** What a frame becomes in the step that parses and commits it, as a node does. */
const SETTLED = ["stored", "duplicates", "pings", "dead_letters"] as const;
/** Of a parser what it counts itself; of a node, which parses what its door takes, what became of it. */
export function parsedBy(worker: Worker): readonly string[] {
  return "frames_parsed" in worker.figures || !("messages_taken" in worker.figures) ? PARSED_BY_PARSER : SETTLED;
}
export const STORED = ["stored", "duplicates", "dead_letters"] as const;
export const REQUESTS = ["requests"] as const;

/** Over all processes; null where none has the figure. */
export function total(tellings: readonly Telling[], of: (name: string) => number | null): number | null {
  const now = tellings.at(-1)?.workers ?? [];
  const known = now.map(({ name }) => of(name)).filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0);
}

export function sumOf(workers: readonly Worker[], name: string): number | null {
  const known = workers.map(({ figures }) => figures[name]).filter((value) => value !== undefined);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0);
}

export function mostOf(workers: readonly Worker[], name: string): number | null {
  const known = workers.map(({ figures }) => figures[name]).filter((value) => value !== undefined);
  return known.length === 0 ? null : Math.max(...known);
}
