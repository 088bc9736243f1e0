// For administrators: whether the server is ready, who works and how fast, what
// came in and what became of it, and what could not be stored.

import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";

import { ApiError, get } from "../api/client";
import { type Found, lookUpFrame } from "../api/history";
import { isAdmin } from "../state/app";
import { segment } from "../state/route";
import type { Key } from "../text/en";
import * as format from "../text/format";
import { t } from "../text/language";
import { Empty, Failure, Time, useAttempt, useLoad } from "../ui/basics";
import { Icon } from "../ui/icons";
import { FrameBytes } from "./frame-bytes";
import { BooksCard } from "./system-books";
import { LettersCard, Reason } from "./system-letters";
import { StorageCard } from "./system-storage";
import { WorkersCards } from "./system-workers";

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
      </header>
      <WorkersCards />
      <BooksCard />
      <LettersCard />
      <div class="card-pair">
        <StorageCard />
        <LookUp />
      </div>
    </div>
  );
}

function LookUp(): JSX.Element {
  const form = useRef<HTMLFormElement>(null);
  const [found, setFound] = useState<Found | null>(null);
  const [failed, attempt] = useAttempt();
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const frame = String(new FormData(form.current!).get("frame") ?? "").replace(/\s/g, "");
    setFound(null);
    setFound(await attempt(() => lookUpFrame(frame)));
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
              <a href={`#/device/${segment(row.device_id)}`}>{row.device_id}</a> ·{" "}
              <Time ms={Date.parse(row.recorded_at)} /> · {format.speed(row.speed_kmh)} · {t("frame.hash")}{" "}
              <code>{row.frame_hash}</code>
              {row.duplicates > 0 && ` · ${t("frame.again", { count: format.count(row.duplicates) })}`}
            </p>
          ))}
          {found.rows.map((row) => row.frame && <FrameBytes key={row.frame_hash} hex={row.frame} />)}
          {found.dead_letters.map((letter) => (
            <p key={letter.id}>
              <Reason code={letter.reason} /> · <Time ms={Date.parse(letter.received_at)} /> · {t("col.topic")}{" "}
              <code>{letter.topic}</code> · {t("col.bytes")} <code class="bytes">{letter.bytes}</code>
            </p>
          ))}
        </div>
      )}
    </section>
  );
}
