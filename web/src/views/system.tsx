// For administrators: whether the server is ready, what came in and what became
// of it, and the fate of a single frame.

import type { JSX } from "preact";
import { useMemo, useRef, useState } from "preact/hooks";

import { ApiError, get } from "../api/client";
import { type Found, lookUpFrame } from "../api/history";
import { isAdmin } from "../state/app";
import { type BookLine, type Sums, perMinute, workers } from "../state/books";
import type { Key } from "../text/en";
import * as format from "../text/format";
import { t } from "../text/language";
import { Ago, Empty, Failure, Spinner, Time, reason, useLoad } from "../ui/basics";
import { Chart, type Series } from "../ui/chart";
import { Icon } from "../ui/icons";

interface Books {
  totals: Sums;
  lines: BookLine[];
  next_cursor: string | null;
}

const DAY_S = 86_400;

/** A day by minute and worker: a few pages of 10 000 lines. */
async function books(signal: AbortSignal): Promise<Books> {
  const to = Math.floor(Date.now() / 1000);
  const query = { from: to - DAY_S, to, limit: 10_000 };
  const first = await get<Books>("/api/v1/books", query, signal);
  let { next_cursor: cursor } = first;
  while (cursor !== null) {
    const page: Books = await get<Books>("/api/v1/books", { ...query, cursor }, signal);
    first.lines.push(...page.lines);
    cursor = page.next_cursor;
  }
  return first;
}

async function health(signal: AbortSignal): Promise<string | null> {
  try {
    await get("/readyz", {}, signal);
    return null;
  } catch (error) {
    if (error instanceof ApiError) return error.message;
    throw error;
  }
}

export function SystemView(): JSX.Element {
  const [loaded, again] = useLoad("books", books);
  const [ready] = useLoad("ready", health);
  if (!isAdmin()) return <Empty title={t("system.admins")} />;
  return (
    <div class="page-inner">
      <header class="page-head">
        <h1>{t("system.title")}</h1>
        {ready.state === "done" && (
          <span class={ready.value === null ? "badge badge-online" : "badge badge-late"}>
            <Icon name={ready.value === null ? "check" : "warning"} size={15} />
            {ready.value ?? t("system.ready")}
          </span>
        )}
        <button type="button" class="button small" onClick={again}>
          {t("common.refresh")}
        </button>
      </header>
      {loaded.state === "failed" && <Failure text={loaded.text} retry={again} />}
      {loaded.state === "loading" && !loaded.value && <Spinner />}
      {loaded.value && <BooksOf books={loaded.value} />}
      <LookUp />
    </div>
  );
}

const PARTS = ["received", "stored", "duplicates", "dead_letters", "pings", "refused"] as const;
const PART_NAMES: Record<(typeof PARTS)[number], Key> = {
  received: "col.received",
  stored: "col.stored",
  duplicates: "col.duplicates",
  dead_letters: "col.dead",
  pings: "col.pings",
  refused: "col.refused",
};

function BooksOf({ books: all }: { books: Books }): JSX.Element {
  const [times, series] = useMemo(() => {
    const minutes = perMinute(all.lines);
    const made: Series[] = [
      {
        label: t("col.received"),
        colour: "--accent",
        fill: true,
        unit: "",
        values: minutes.map(({ received }) => received),
      },
      {
        label: t("col.dead"),
        colour: "--bad",
        unit: "",
        values: minutes.map(({ dead }) => dead),
      },
    ];
    return [minutes.map(({ s }) => s), made];
  }, [all]);
  return (
    <>
      <section class="card">
        <h2>{t("system.books")}</h2>
        <p class={all.totals.balanced ? "verdict" : "verdict is-bad"}>
          <Icon name={all.totals.balanced ? "check" : "warning"} />
          {t(all.totals.balanced ? "system.books.good" : "system.books.bad")}
        </p>
        <dl class="sums">
          {PARTS.filter((part) => all.totals[part] !== undefined).map((part) => (
            <div key={part}>
              <dt>{t(PART_NAMES[part])}</dt>
              <dd>{format.count(all.totals[part] ?? 0)}</dd>
            </div>
          ))}
        </dl>
        <figure class="figure">
          <figcaption>
            <span class="key">{t("system.rate")}</span>
          </figcaption>
          <Chart
            times={times}
            series={series}
            height={190}
            label={t("system.rate")}
            format={(value) => format.count(value)}
          />
        </figure>
      </section>
      <section class="card">
        <h2>{t("system.workers")}</h2>
        <div class="table-scroll" tabIndex={0} role="region" aria-label={t("system.workers")}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t("col.worker")}</th>
                <th scope="col">{t("col.minute")}</th>
                {(["received", "stored", "duplicates", "dead_letters"] as const).map((part) => (
                  <th scope="col" class="number" key={part}>
                    {t(PART_NAMES[part])}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {workers(all.lines).map((worker) => (
                <tr key={worker.name}>
                  <td>
                    <strong>{worker.name}</strong>
                  </td>
                  <td>
                    <Ago ms={worker.lastMs} />
                  </td>
                  {(["received", "stored", "duplicates", "dead_letters"] as const).map((part) => (
                    <td class="number" key={part}>
                      {format.count(worker.sums[part])}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </section>
    </>
  );
}

function LookUp(): JSX.Element {
  const form = useRef<HTMLFormElement>(null);
  const [found, setFound] = useState<Found | null>(null);
  const [failed, setFailed] = useState<string | null>(null);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const frame = String(new FormData(form.current!).get("frame") ?? "").replace(/\s/g, "");
    setFailed(null);
    setFound(null);
    try {
      setFound(await lookUpFrame(frame));
    } catch (error) {
      setFailed(reason(error));
    }
  };
  return (
    <section class="card">
      <h2>{t("system.lookup")}</h2>
      <form class="inline-form" ref={form} onSubmit={(event) => void submit(event)}>
        <input
          name="frame"
          class="mono"
          required
          spellcheck={false}
          autocomplete="off"
          aria-label={t("system.lookup.hint")}
          placeholder={t("system.lookup.hint")}
        />
        <button type="submit" class="button primary">
          {t("system.lookup.do")}
        </button>
      </form>
      {failed && <Failure text={failed} />}
      {found && (
        <div class="found" role="status">
          <p class="big">{t(`outcome.${found.outcome}` as Key)}</p>
          {found.rows.map((row) => (
            <p key={row.frame_hash}>
              <a href={`#/device/${row.device_id}`}>{row.device_id}</a> ·{" "}
              <Time ms={Date.parse(row.recorded_at)} /> · {format.speed(row.speed_kmh)} · {t("frame.hash")}{" "}
              <code>{row.frame_hash}</code> · {t("frame.again")} {format.count(row.duplicates)}
            </p>
          ))}
          {found.dead_letters.map((letter) => (
            <p key={letter.id}>
              <strong>{letter.reason}</strong> · <Time ms={Date.parse(letter.received_at)} /> · {t("col.topic")}{" "}
              <code>{letter.topic}</code> · {t("col.bytes")} <code class="bytes">{letter.bytes}</code>
            </p>
          ))}
        </div>
      )}
    </section>
  );
}
