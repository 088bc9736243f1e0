// What became of each notification, and whether the sums add up.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { ApiError } from "../api/client";
import {
  notifications as listNotifications,
  receivers as listReceivers,
  NOTIFICATION_STATES,
  type Notification,
  notificationBooks,
  sendAgain,
} from "../api/receivers";
import { route, tune } from "../state/app";
import { useCell } from "../state/cell";
import { formatRoute, segment } from "../state/route";
import * as format from "../text/format";
import { isKey, t } from "../text/language";
import { Ago, Empty, Failure, Pager, Pending, Time, useAttempt, useLoad } from "../ui/basics";
import { useNames } from "../ui/chosen";
import { Icon } from "../ui/icons";
import { Table } from "../ui/table";
import { AlarmTabs } from "./alarm-tabs";

const EVERY_MS = 5_000;
const PAGE = 50;

/** Words where there are some, else the code. */
const words = (prefix: string, code: string): string => {
  const key = `${prefix}.${code}`;
  return isKey(key) ? t(key) : code;
};

export function DeliveriesTab(): JSX.Element {
  const { query } = useCell(route);
  const [pages, setPages] = useState<string[]>([]);
  const cursor = pages.at(-1) ?? null;
  const asked = { state: query.state, receiver_id: query.receiver, alarm_id: query.alarm, limit: PAGE, cursor };
  const [loaded, again, refresh] = useLoad(JSON.stringify(asked), (signal) => listNotifications(asked, signal));
  const [receivers] = useLoad("receivers", listReceivers);
  const [failed, attempt] = useAttempt();
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) refresh();
    }, EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => setPages([]), [query.state, query.receiver, query.alarm]);
  const all = loaded.value?.notifications;
  const repeat = (id: number): Promise<unknown> =>
    attempt(async () => {
      await sendAgain(id);
      refresh();
    });
  return (
    <div class="page-inner rules">
      <h1 class="hidden">{t("deliveries")}</h1>
      <AlarmTabs current="deliveries" />
      <Books turn={loaded.value} />
      <div class="filter-row deliveries-filter">
        <select
          aria-label={t("alarms.state")}
          value={query.state ?? ""}
          onChange={(event) => tune({ state: event.currentTarget.value || null })}
        >
          <option value="">{t("delivery.state.any")}</option>
          {NOTIFICATION_STATES.map((state) => (
            <option key={state} value={state}>
              {t(`delivery.state.${state}`)}
            </option>
          ))}
        </select>
        <select
          aria-label={t("delivery.receiver")}
          value={query.receiver ?? ""}
          onChange={(event) => tune({ receiver: event.currentTarget.value || null })}
        >
          <option value="">{t("delivery.receiver.any")}</option>
          {(receivers.value ?? []).map(({ id, name }) => (
            <option key={id} value={String(id)}>
              {name}
            </option>
          ))}
        </select>
      </div>
      {failed && <Failure text={failed} />}
      <Pending loaded={loaded} again={again} />
      {all?.length === 0 && <Empty title={t("delivery.none")} hint={t("delivery.none.hint")} />}
      {all && all.length > 0 && <Deliveries all={all} repeat={(id) => void repeat(id)} />}
      <Pager pages={pages} next={loaded.value?.next_cursor ?? null} turn={setPages} />
    </div>
  );
}

/** Raised is delivered, suppressed, failed and waiting together. */
function Books({ turn }: { turn: unknown }): JSX.Element | null {
  const [loaded, again, refresh] = useLoad("books", notificationBooks);
  useEffect(() => {
    if (turn !== null) refresh();
  }, [turn]);
  const books = loaded.value;
  // They are of all notifications, which not everybody may know.
  if (loaded.state === "failed" && loaded.error instanceof ApiError && loaded.error.status === 403) return null;
  return (
    <section class="card">
      <h2>{t("delivery.books")}</h2>
      <Pending loaded={loaded} again={again} />
      {books && (
        <>
          <p class={books.balanced ? "verdict" : "verdict is-bad"}>
            <Icon name={books.balanced ? "check" : "warning"} />
            {t(books.balanced ? "delivery.books.good" : "delivery.books.bad")}
          </p>
          <dl class="sums">
            {(["raised", "delivered", "suppressed", "failed", "waiting"] as const).map((name) => (
              <div key={name}>
                <dt>{t(name === "raised" ? "delivery.raised" : `delivery.state.${name}`)}</dt>
                <dd>{format.count(books[name])}</dd>
              </div>
            ))}
          </dl>
        </>
      )}
    </section>
  );
}

const BADGE: Record<Notification["state"], string> = {
  delivered: "badge badge-online",
  waiting: "badge badge-late",
  suppressed: "badge badge-offline",
  failed: "badge is-bad",
};

function Deliveries({ all, repeat }: { all: Notification[]; repeat: (id: number) => void }): JSX.Element {
  const nameOf = useNames();
  return (
    <Table
      stack
      label={t("deliveries")}
      heads={[
        t("admin.created"),
        t("delivery.alarm"),
        t("delivery.receiver"),
        t("alarms.state"),
        { name: t("delivery.attempts"), is: "number" },
        t("col.detail"),
        { name: t("admin.actions"), is: "actions" },
      ]}
    >
      {all.map((one) => (
        <tr key={one.id}>
          <td data-label={t("admin.created")}>
            <Time ms={Date.parse(one.created_at)} />
          </td>
          <td class="names">
            {one.alarm_id === null ? (
              (one.rule_name ?? format.NOTHING)
            ) : (
              <a href={formatRoute({ view: "alarms", device: null, query: { alarm: String(one.alarm_id) } })}>
                {one.rule_name ?? one.alarm_id}
              </a>
            )}
            <span class="unit-sub cell-sub">
              {words("delivery.step", one.step)}
              {one.device_id !== null && (
                <>
                  {" · "}
                  <a href={`#/device/${segment(one.device_id)}`}>{nameOf(one.device_id)}</a>
                </>
              )}
            </span>
          </td>
          <td class="names" data-label={t("delivery.receiver")}>
            {one.receiver_name ?? t("delivery.receiver.gone")}
          </td>
          <td data-label={t("alarms.state")}>
            <span class={BADGE[one.state]}>{t(`delivery.state.${one.state}`)}</span>
          </td>
          <td class="number" data-label={t("delivery.attempts")}>
            {format.count(one.attempts)}
          </td>
          <td class="names" data-label={t("col.detail")}>
            <Detail one={one} />
          </td>
          <td class="number">
            {one.state === "failed" && (
              <button
                type="button"
                class="button small"
                aria-label={`${t("delivery.again")} ${one.id}`}
                onClick={() => repeat(one.id)}
              >
                {t("delivery.again")}
              </button>
            )}
          </td>
        </tr>
      ))}
    </Table>
  );
}

/** Why, or when: whatever says most of its state. */
function Detail({ one }: { one: Notification }): JSX.Element {
  const { reason, last_error: error, next_at: next, done_at: done } = one;
  return (
    <>
      {reason !== null && words("delivery.reason", reason)}
      {error !== null && <span class="receiver-error">{error}</span>}
      {next !== null && (
        <span class="unit-sub cell-sub">
          {t("delivery.next")} <Time ms={Date.parse(next)} as="time" />
        </span>
      )}
      {reason === null && error === null && done !== null && <Ago ms={Date.parse(done)} />}
    </>
  );
}
