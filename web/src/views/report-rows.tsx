// The rows of a report: sorted by any column, a page at a time, all of them on paper,
// with their totals, ways to the map and the replay, and files.

import { type JSX, options } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";

import { download, saveAs } from "../api/client";
import { type Range, type Whose, whoseQuery } from "../api/history";
import { route, tune } from "../state/app";
import { useCell } from "../state/cell";
import { nowMs } from "../state/clock";
import { nextOrder, orderOf, pageOf, sorted, totalOf, waysOf } from "../state/report";
import { formatRoute } from "../state/route";
import { BYTE_ORDER_MARK, csvOf, styleOf } from "../text/csv";
import * as format from "../text/format";
import { language, t } from "../text/language";
import { Failure, useAttempt } from "../ui/basics";
import { Icon } from "../ui/icons";
import { formatName } from "./device-day";
import type { AnyRow, Column, Kind, Table } from "./report-tables";

const PAGE = 100;
/** Made by the server; CSV is what the table shows. */
const FORMATS = ["xlsx", "json", "ndjson", "parquet", "geojson", "gpx", "kml"] as const;
/** A sum is nowhere. */
const OF_PLACES: readonly string[] = ["geojson", "gpx", "kml"];

export interface RowsProps {
  table: Table<AnyRow>;
  rows: AnyRow[];
  kind: Kind;
  whose: Whose;
  whoseName: string;
  range: Range;
  limit: number | null;
  nameOf: (id: string) => string;
}

/** Whether the page is being printed: what is drawn then is all there is. */
function usePrinting(): boolean {
  const [printing, setPrinting] = useState(false);
  useEffect(() => {
    // The browser takes its picture when the listener returns: the page is drawn at once.
    const now = (value: boolean) => (): void => {
      const usual = options.debounceRendering;
      options.debounceRendering = (draw) => draw();
      setPrinting(value);
      if (usual) options.debounceRendering = usual;
      else delete options.debounceRendering;
    };
    const [before, after] = [now(true), now(false)];
    window.addEventListener("beforeprint", before);
    window.addEventListener("afterprint", after);
    return () => {
      window.removeEventListener("beforeprint", before);
      window.removeEventListener("afterprint", after);
    };
  }, []);
  return printing;
}

/** Above a report on paper: what was asked for, and when. */
export function PrintHead({ kind, whoseName, range }: Pick<RowsProps, "kind" | "whoseName" | "range">): JSX.Element {
  return (
    <header class="print-only">
      <h1>{t(`report.${kind}`)}</h1>
      <p>{whoseName}</p>
      <p>
        {format.dateTime(range.fromMs)} – {format.dateTime(range.toMs)} ({format.zone()}) ·{" "}
        {t("report.printed", { time: format.dateTime(nowMs()) })}
      </p>
    </header>
  );
}

/** The column that a row begins with, and those of its kind. */
function columnsOf({ table, nameOf }: RowsProps): Column<AnyRow>[] {
  const device: Column<AnyRow> = {
    name: "col.device",
    show: (row) => nameOf(row.device_id),
    file: ["name", (row) => nameOf(row.device_id)],
  };
  return [device, ...table.columns];
}

export function Rows(props: RowsProps): JSX.Element {
  const { table, rows, kind } = props;
  const { query } = useCell(route);
  const [wanted, setWanted] = useState(0);
  const printing = usePrinting();
  const columns = columnsOf(props);
  const order = orderOf(
    query.sort,
    columns.map(({ file }) => file[0]),
  );
  const ordered = useMemo(() => {
    const column = order && columns.find(({ file }) => file[0] === order.column);
    return column ? sorted(rows, column.file[1], order.descending) : rows;
  }, [rows, order?.column, order?.descending]);
  const { page, pages, first, end } = pageOf(rows.length, PAGE, wanted);
  const shown = printing ? ordered : ordered.slice(first, end);

  return (
    <section class="result">
      <div class="result-bar">
        <p role="status">
          {rows.length === 1 ? t("report.row") : t("report.rows", { count: format.count(rows.length) })}
          {pages > 1 && ` · ${t("report.shown", { first: format.count(first + 1), last: format.count(end) })}`}
        </p>
        <Files {...props} columns={columns} ordered={ordered} />
      </div>
      <div class="table-scroll" tabIndex={0} role="region" aria-label={t(`report.${kind}`)}>
        <table class="report-table">
          <thead>
            <tr>
              {columns.map((column) => (
                <Head
                  key={column.name}
                  column={column}
                  order={order?.column === column.file[0] ? (order.descending ? "descending" : "ascending") : "none"}
                  sort={() => {
                    setWanted(0);
                    tune({ sort: nextOrder(order, column.file[0]) });
                  }}
                />
              ))}
              <th scope="col" class="no-print">
                <span class="hidden">{t("admin.actions")}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((row, index) => (
              <tr key={first + index}>
                {columns.map((column) => (
                  <td key={column.name} class={column.number ? "number" : ""}>
                    {column.show(row)}
                  </td>
                ))}
                <td class="ways no-print">
                  <Ways row={row} table={table} name={props.nameOf(row.device_id)} />
                </td>
              </tr>
            ))}
          </tbody>
          {rows.length > 1 && columns.some(({ total }) => total) && <Totals columns={columns} rows={rows} />}
        </table>
      </div>
      {pages > 1 && <Pager page={page} pages={pages} go={setWanted} />}
    </section>
  );
}

function Head(props: {
  column: Column<AnyRow>;
  order: "ascending" | "descending" | "none";
  sort: () => void;
}): JSX.Element {
  const { column, order } = props;
  return (
    <th scope="col" class={column.number ? "number" : ""} aria-sort={order}>
      <button type="button" class="sorter" title={t("report.sort")} onClick={props.sort}>
        {t(column.name)}
        <span aria-hidden="true">{order === "none" ? "" : order === "ascending" ? " ▲" : " ▼"}</span>
      </button>
    </th>
  );
}

/** To the device's day and to the replay, at the moment of the row. */
function Ways({ row, table, name }: { row: AnyRow; table: Table<AnyRow>; name: string }): JSX.Element {
  const span = table.span(row);
  const ways = waysOf(row.device_id, span);
  const when = format.dateTime(span.fromMs);
  return (
    <>
      {(["map", "replay"] as const).map((way) => {
        const label = `${t(`report.to.${way}`)}: ${name}, ${when}`;
        return (
          <a
            key={way}
            class="button icon-only small quiet"
            href={formatRoute(ways[way])}
            aria-label={label}
            title={label}
          >
            <Icon name={way === "map" ? "fleet" : "replay"} size={16} />
          </a>
        );
      })}
    </>
  );
}

function Totals({ columns, rows }: { columns: Column<AnyRow>[]; rows: AnyRow[] }): JSX.Element {
  return (
    <tfoot>
      <tr>
        {columns.map(({ name, number, total, file }, index) => {
          const value = total ? totalOf(rows, file[1], total[0]) : null;
          return index === 0 ? (
            <th key={name} scope="row">
              {t("report.total")}
            </th>
          ) : (
            <td key={name} class={number ? "number" : ""}>
              {total && value !== null ? total[1](value) : ""}
            </td>
          );
        })}
        <td class="no-print" />
      </tr>
    </tfoot>
  );
}

function Pager({ page, pages, go }: { page: number; pages: number; go: (page: number) => void }): JSX.Element {
  // A button that the reader is on is not taken away under the finger.
  const step = (to: number, name: "first" | "previous" | "next" | "last"): JSX.Element => (
    <button
      type="button"
      class="button small"
      aria-disabled={to < 0 || to >= pages || to === page}
      onClick={() => to >= 0 && to < pages && go(to)}
    >
      {t(`page.${name}`)}
    </button>
  );
  return (
    <nav class="pager no-print" aria-label={t("page.pages")}>
      {step(0, "first")}
      {step(page - 1, "previous")}
      <span>{t("page.of", { page: format.count(page + 1), pages: format.count(pages) })}</span>
      {step(page + 1, "next")}
      {step(pages - 1, "last")}
    </nav>
  );
}

function Files(props: RowsProps & { columns: Column<AnyRow>[]; ordered: AnyRow[] }): JSX.Element {
  const { kind, columns, ordered } = props;
  const [failed, attempt] = useAttempt();
  const csv = (): void => {
    const head = ["device_id", ...columns.map((column) => column.file[0])];
    const body = ordered.map((row) => [row.device_id, ...columns.map((column) => column.file[1](row))]);
    const text = BYTE_ORDER_MARK + csvOf([head, ...body], styleOf(language()));
    saveAs(new Blob([text], { type: "text/csv;charset=utf-8" }), `${kind}.csv`);
  };
  const fetched = async (name: string): Promise<void> => {
    const query = {
      ...whoseQuery(props.whose),
      from: Math.floor(props.range.fromMs / 1000),
      to: Math.floor(props.range.toMs / 1000),
      tz: format.zone(),
      format: name,
      speed_limit_kmh: kind === "events" ? props.limit : null,
    };
    await attempt(() => download(`/api/v1/report/${kind}`, query, `${kind}.${name}`));
  };
  return (
    <div class="exports no-print">
      <button type="button" class="button small" onClick={() => window.print()}>
        <Icon name="print" size={14} /> {t("report.print")}
      </button>
      <button type="button" class="button small" onClick={csv}>
        <Icon name="download" size={14} /> CSV
      </button>
      {FORMATS.filter((name) => kind !== "summary" || !OF_PLACES.includes(name)).map((name) => (
        <button type="button" class="button small" key={name} onClick={() => void fetched(name)}>
          <Icon name="download" size={14} /> {formatName(name)}
        </button>
      ))}
      {failed && <Failure text={failed} />}
    </div>
  );
}
