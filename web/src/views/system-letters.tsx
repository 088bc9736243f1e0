// What could not be stored and why, with a second chance for each.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { change, get } from "../api/client";
import type { Letter, LetterPage, Retried } from "../api/types";
import { segment } from "../state/route";
import type { Key } from "../text/en";
import * as format from "../text/format";
import { isKey, t } from "../text/language";
import { Failure, Pager, Pending, Time, Told, useAttempt, useLoad } from "../ui/basics";
import { Icon } from "../ui/icons";
import { Table } from "../ui/table";

const MOST = 20;
const SHOWN_DIGITS = 48;

function said(retried: Retried): string {
  if (retried.outcome !== "resolved") return t(`retry.${retried.outcome}` as Key);
  return t("retry.resolved", {
    stored: format.count(retried.stored),
    again: format.count(retried.duplicates),
    pings: format.count(retried.pings),
  });
}

export function LettersCard(): JSX.Element {
  const [pages, setPages] = useState<string[]>([]);
  const cursor = pages.at(-1) ?? null;
  const [loaded, again] = useLoad<LetterPage>(`letters${cursor}`, (signal) =>
    get<LetterPage>("/api/v1/dead-letters/", { limit: MOST, cursor }, signal),
  );
  const [failed, attempt] = useAttempt();
  const [told, setTold] = useState<string | null>(null);
  const [busy, setBusy] = useState<number | null>(null);
  const retry = async (letter: Letter): Promise<void> => {
    setBusy(letter.id);
    await attempt(async () => {
      const retried = await change<Retried>("POST", `/api/v1/dead-letters/${letter.id}/retry`);
      setTold(t("retry.told", { id: letter.id, outcome: said(retried) }));
      again();
    });
    setBusy(null);
  };
  const letters = loaded.value?.dead_letters;
  return (
    <section class="card">
      <div class="card-head">
        <h2>{t("system.dead")}</h2>
        <button type="button" class="button small quiet" onClick={again}>
          {t("common.refresh")}
        </button>
      </div>
      {told && <Told text={told} />}
      {failed && <Failure text={failed} />}
      <Pending loaded={loaded} again={again} />
      {letters?.length === 0 && (
        <p class="verdict">
          <Icon name="check" />
          {t("system.dead.none")}
        </p>
      )}
      {letters && letters.length > 0 && <Letters letters={letters} busy={busy} retry={(one) => void retry(one)} />}
      <Pager pages={pages} next={loaded.value?.next_cursor ?? null} turn={setPages} />
    </section>
  );
}

/** A frame that waits for its device to be known is taken in with it. */
const act = ({ reason: why }: Letter): string => t(why === "quarantined" ? "system.dead.known" : "system.dead.retry");

/** Why a frame was refused: in words, and the code that logs and metrics have. */
export function Reason({ code }: { code: string }): JSX.Element {
  const key = `reason.${code}`;
  return (
    <>
      <strong>{isKey(key) ? t(key) : code}</strong>
      <code class="unit-sub cell-sub">{code}</code>
    </>
  );
}

function Letters(props: { letters: Letter[]; busy: number | null; retry: (letter: Letter) => void }): JSX.Element {
  return (
    <Table
      label={t("system.dead")}
      heads={[
        t("device.received"),
        t("col.reason"),
        t("col.device"),
        t("col.topic"),
        t("col.bytes"),
        { name: t("system.dead.retry"), is: "actions" },
      ]}
    >
      {props.letters.map((letter) => (
        <tr key={letter.id}>
          <td>
            <Time ms={Date.parse(letter.received_at)} />
          </td>
          <td class="names">
            <Reason code={letter.reason} />
          </td>
          <td>
            {letter.device_id ? (
              <a href={`#/device/${segment(letter.device_id)}`}>{letter.device_id}</a>
            ) : (
              format.NOTHING
            )}
          </td>
          <td>
            <code>{letter.topic}</code>
          </td>
          <td>
            <code title={letter.bytes}>
              {letter.bytes.slice(0, SHOWN_DIGITS)}
              {letter.length * 2 > SHOWN_DIGITS && "…"}
            </code>
            <span class="unit-sub cell-sub">{t("system.dead.bytes", { count: format.count(letter.length) })}</span>
          </td>
          <td class="number">
            <button
              type="button"
              class="button small"
              aria-label={`${act(letter)} ${letter.id}`}
              disabled={props.busy === letter.id}
              onClick={() => props.retry(letter)}
            >
              {act(letter)}
            </button>
          </td>
        </tr>
      ))}
    </Table>
  );
}
