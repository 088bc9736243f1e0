// What came in and what became of it, by the books of the last day.

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";

import { get } from "../api/client";
import { type BookLine, perMinute, type Sums, usualTop } from "../state/books";
import { nowMs } from "../state/clock";
import type { Key } from "../text/en";
import * as format from "../text/format";
import { t } from "../text/language";
import { Pending, useLoad } from "../ui/basics";
import { Chart, type Series } from "../ui/chart";
import { Icon } from "../ui/icons";

interface Books {
  totals: Sums;
  lines: BookLine[];
  next_cursor: string | null;
}

const DAY_S = 86_400;
const PARTS = ["received", "stored", "duplicates", "dead_letters", "pings", "refused"] as const;
const PART_NAMES: Record<(typeof PARTS)[number], Key> = {
  received: "col.received",
  stored: "col.stored",
  duplicates: "col.duplicates",
  dead_letters: "col.dead",
  pings: "col.pings",
  refused: "col.refused",
};

/** A day by minute and worker: a few pages of 10 000 lines. */
async function books(signal: AbortSignal): Promise<Books> {
  const to = Math.floor(nowMs() / 1000);
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

export function BooksCard(): JSX.Element {
  const [loaded, again] = useLoad("books", books);
  return (
    <section class="card">
      <div class="card-head">
        <h2>{t("system.books")}</h2>
        <button type="button" class="button small quiet" onClick={again}>
          {t("common.refresh")}
        </button>
      </div>
      <Pending loaded={loaded} again={again} />
      {loaded.value && <BooksOf books={loaded.value} />}
    </section>
  );
}

function BooksOf({ books: all }: { books: Books }): JSX.Element {
  const [times, series, most, peak] = useMemo(() => {
    // The minute that runs is not over: it would look like a fall.
    const minutes = perMinute(all.lines).slice(0, -1);
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
    const top = usualTop(minutes.map(({ received }) => received));
    const highest = minutes.reduce((a, b) => (b.received > a.received ? b : a), { s: 0, received: 0 });
    return [minutes.map(({ s }) => s), made, top, highest] as const;
  }, [all]);
  return (
    <>
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
      {times.length > 1 && (
        <figure class="figure">
          <figcaption>
            <span class="key">{t("system.rate")}</span>
            <span class="key key-bad">{t("col.dead")}</span>
            {most !== null && (
              <span class="figure-now">
                {t("system.peak", { count: format.count(peak.received), time: format.clock(peak.s * 1000) })}
              </span>
            )}
          </figcaption>
          <Chart
            times={times}
            series={series}
            height={170}
            label={t("system.rate")}
            format={(value) => format.count(value)}
            most={most}
          />
        </figure>
      )}
    </>
  );
}
