// Who works, and how fast: what each process tells of itself every few seconds,
// and the rates that follow from two tellings.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { ApiError, get } from "../api/client";
import { nowMs } from "../state/clock";
import {
  IN,
  kept,
  mostOf,
  parsedBy,
  REQUESTS,
  rate,
  STORED,
  sumOf,
  type Telling,
  total,
  type Worker,
} from "../state/workers";
import type { Key } from "../text/en";
import * as format from "../text/format";
import { t } from "../text/language";
import { Ago, Failure, reason, Time } from "../ui/basics";
import { Table } from "../ui/table";

/** Processes tell every 5 s; asking twice as often shows each telling soon. */
const ASK_EVERY_MS = 2500;
/** More waits than a moment's queue. */
const LATE_AFTER_S = 5;
/** A quarter of an hour is usual; from here on `nemeses status` and the alert complain, too. */
const SUMS_LATE_AFTER_S = 3600;
/** Tiles that are readable side by side. */
const MOST_COLUMNS = 7;

/** In rows of about equal length. */
const columns = (tiles: number): number => Math.ceil(tiles / Math.ceil(tiles / MOST_COLUMNS));

function useTellings(): { tellings: Telling[]; failed: string | null } {
  const [tellings, setTellings] = useState<Telling[]>([]);
  const [failed, setFailed] = useState<string | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async (): Promise<void> => {
      try {
        if (!document.hidden) {
          const { workers } = await get<{ workers: Worker[] }>("/api/v1/workers/", {}, abort.signal);
          setTellings((before) => kept(before, { atMs: nowMs(), workers }));
          setFailed(null);
        }
      } catch (error) {
        if (abort.signal.aborted) return;
        // A server of before there was a register has no such path.
        if (error instanceof ApiError && error.kind === "not-found") return;
        setFailed(reason(error));
      }
      if (!abort.signal.aborted) timer = setTimeout(() => void ask(), ASK_EVERY_MS);
    };
    void ask();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, []);
  return { tellings, failed };
}

export function WorkersCards(): JSX.Element | null {
  const { tellings, failed } = useTellings();
  const workers = tellings.at(-1)?.workers;
  if (!workers) return failed ? <Failure text={failed} /> : null;
  return (
    <>
      {failed && <Failure text={failed} />}
      {pipelineTrouble(workers).map((key) => (
        <Failure key={key} text={t(key)} />
      ))}
      <Tiles tellings={tellings} workers={workers} />
      <section class="card">
        <h2>{t("system.workers")}</h2>
        <Workers tellings={tellings} workers={workers} />
      </section>
    </>
  );
}

interface Tile {
  name: Key;
  text: string;
  /** In small letters below it. */
  beside?: string | null;
  bad?: boolean;
}

/** How far the sums of days are behind what arrives. */
function sumsTile(workers: Worker[]): Tile[] {
  const lag = mostOf(workers, "daily_lag_s");
  if (lag === null) return [];
  const days = mostOf(workers, "daily_waiting_days") ?? 0;
  const beside = days > 0 ? t("system.sums.days", { count: format.count(days) }) : null;
  return [{ name: "system.sums", text: format.duration(lag), beside, bad: lag > SUMS_LATE_AFTER_S }];
}

/** How long a canary takes through broker, parser and exporter; stations alone have one. */
function pipelineTile(workers: Worker[]): Tile[] {
  const delay = mostOf(workers, "pipeline_delay_s");
  if (delay === null) return [];
  return [{ name: "system.pipeline", text: format.shortTime(delay), bad: pipelineTrouble(workers).length > 0 }];
}

const TROUBLES: Record<number, Key> = {
  1: "pipeline.unknown",
  2: "pipeline.partly",
  3: "pipeline.notsent",
  4: "pipeline.notcommitted",
  5: "pipeline.nottaken",
};

/** What the worst of the workers' canaries say is wrong. */
function pipelineTrouble(workers: Worker[]): Key[] {
  const trouble = TROUBLES[mostOf(workers, "pipeline_state") ?? 0];
  return trouble ? [trouble] : [];
}

function Tiles({ tellings, workers }: { tellings: Telling[]; workers: Worker[] }): JSX.Element {
  const all = (names: readonly string[]) => total(tellings, (name) => rate(tellings, name, names));
  const oldest = mostOf(workers, "oldest_unstored_s");
  const tiles: Tile[] = [
    { name: "system.in", text: format.perSecond(all(IN)) },
    { name: "system.stored", text: format.perSecond(all(STORED)) },
    { name: "system.queued", text: format.maybeCount(sumOf(workers, "queued_rows")) },
    {
      name: "system.oldest",
      text: oldest === null ? format.NOTHING : format.shortTime(oldest),
      bad: (oldest ?? 0) > LATE_AFTER_S,
    },
    ...pipelineTile(workers),
    ...sumsTile(workers),
    { name: "system.connections", text: format.maybeCount(sumOf(workers, "connections")) },
    { name: "system.viewers", text: format.maybeCount(sumOf(workers, "stream_clients")) },
  ];
  return (
    <dl class="tiles" style={{ "--columns": columns(tiles.length) }}>
      {tiles.map(({ name, text, beside, bad }) => (
        <div key={name} class={bad ? "tile is-bad" : "tile"}>
          <dt>{t(name)}</dt>
          <dd>{text}</dd>
          {beside && <dd class="tile-beside">{beside}</dd>}
        </div>
      ))}
    </dl>
  );
}

const FIGURES = ["col.in", "col.parsed", "col.out", "col.queued", "col.livewaiting", "col.requests"] as const;

function Workers({ tellings, workers }: { tellings: Telling[]; workers: Worker[] }): JSX.Element {
  const of = (worker: Worker, names: readonly string[]): string => format.perSecond(rate(tellings, worker.name, names));
  const figure = (worker: Worker, name: string): string => format.maybeCount(worker.figures[name] ?? null);
  return (
    <Table
      label={t("system.workers")}
      heads={[
        t("col.worker"),
        t("col.heard"),
        t("col.since"),
        ...FIGURES.map((key) => ({ name: t(key), is: "number" as const })),
      ]}
    >
      {workers.map((worker) => (
        <tr key={worker.name}>
          <td>
            <span class="with-dot">
              <span class="dot dot-online" aria-hidden="true" />
              <span>
                <strong>{worker.name}</strong>
                <span class="unit-sub cell-sub">
                  {worker.role} · {worker.version}
                </span>
              </span>
            </span>
          </td>
          <td>
            <Ago ms={Date.parse(worker.seen_at)} />
          </td>
          <td>
            <Time ms={Date.parse(worker.started_at)} />
          </td>
          <td class="number">{of(worker, IN)}</td>
          <td class="number">{of(worker, parsedBy(worker))}</td>
          <td class="number">{of(worker, STORED)}</td>
          <td class="number">{figure(worker, "queued_rows")}</td>
          <td class="number">{figure(worker, "live_waiting")}</td>
          <td class="number">{of(worker, REQUESTS)}</td>
        </tr>
      ))}
    </Table>
  );
}
