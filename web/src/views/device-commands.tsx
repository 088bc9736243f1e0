// Commands for one device, for who may send them: what was asked of it, by whom, and what
// became of it.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { commandsOf, sendCommand, withdrawCommand } from "../api/commands";
import type { Command } from "../api/types";
import { readable, typed } from "../state/command";
import type { Key } from "../text/en";
import * as format from "../text/format";
import { t } from "../text/language";
import { Ago, Failure, Pending, Time, Told, useAttempt, useLoad } from "../ui/basics";

/** Shown at first, and after "Show more". */
const FEW = 5;
const MOST = 100;
/** How often an open command is looked at. */
const EVERY_MS = 2_000;
const HOUR_S = 3600;
const EXPIRIES_H = [1, 8, 24, 168, 720] as const;

const hoursOrDays = (hours: number): string =>
  hours < 48 ? t("duration.hours", { count: hours }) : t("duration.days", { count: hours / 24 });

const isOpen = ({ state }: Command): boolean => state === "queued" || state === "sent";

export function DeviceCommands({ id }: { id: string }): JSX.Element {
  const [limit, setLimit] = useState(FEW);
  const [loaded, again, refresh] = useLoad(`${id}\n${limit}`, (signal) => commandsOf(id, limit, signal));
  const [failed, attempt] = useAttempt();
  const commands = loaded.value?.commands ?? [];
  const waits = commands.some(isOpen);
  useEffect(() => {
    if (!waits) return;
    const timer = setInterval(() => {
      if (!document.hidden) refresh();
    }, EVERY_MS);
    return () => clearInterval(timer);
  }, [waits]);
  const withdraw = (command: Command): Promise<unknown> =>
    attempt(async () => {
      await withdrawCommand(id, command);
      refresh();
    });
  return (
    <section aria-label={t("commands")}>
      <h2>{t("commands")}</h2>
      <NewCommand id={id} sent={refresh} />
      {failed && <Failure text={failed} />}
      <Pending loaded={loaded} again={again} />
      {commands.length > 0 && (
        <ul class="commands">
          {commands.map((command) => (
            <Line key={command.id} command={command} withdraw={() => void withdraw(command)} />
          ))}
        </ul>
      )}
      {loaded.value?.next_cursor && limit < MOST && (
        <button type="button" class="button small" onClick={() => setLimit(MOST)}>
          {t("commands.more")}
        </button>
      )}
    </section>
  );
}

function NewCommand({ id, sent }: { id: string; sent: () => void }): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  const [asHex, setAsHex] = useState(false);
  const [hours, setHours] = useState<number>(EXPIRIES_H[0]);
  const [busy, setBusy] = useState(false);
  const [told, setTold] = useState<string | null>(null);
  const [failed, attempt, fail] = useAttempt();
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setTold(null);
    const read = typed(input.current!.value, asHex);
    if ("fault" in read) return fail(t(`commands.fault.${read.fault}`));
    setBusy(true);
    const answer = await attempt(() => sendCommand(id, read.payload, hours * HOUR_S));
    setBusy(false);
    if (!answer) return;
    input.current!.value = "";
    setTold(t(`commands.to.${answer.delivered_to}` as Key));
    sent();
  };
  return (
    <>
      <form class="command-form" onSubmit={(event) => void submit(event)}>
        <input
          ref={input}
          class="mono"
          required
          spellcheck={false}
          autocomplete="off"
          aria-label={t("commands.new")}
          placeholder={t(asHex ? "commands.new.hex" : "commands.new.text")}
        />
        <select
          aria-label={t("commands.as")}
          value={asHex ? "hex" : "text"}
          onChange={(event) => setAsHex(event.currentTarget.value === "hex")}
        >
          <option value="text">{t("commands.as.text")}</option>
          <option value="hex">{t("commands.as.hex")}</option>
        </select>
        <select
          aria-label={t("commands.expires")}
          value={String(hours)}
          onChange={(event) => setHours(Number(event.currentTarget.value))}
        >
          {EXPIRIES_H.map((count) => (
            <option key={count} value={String(count)}>
              {t("commands.within", { duration: hoursOrDays(count) })}
            </option>
          ))}
        </select>
        <button type="submit" class="button primary" disabled={busy}>
          {t("commands.send")}
        </button>
      </form>
      {told && <Told text={told} />}
      {failed && <Failure text={failed} />}
    </>
  );
}

/** A state as colour and word. */
const BADGE: Record<Command["state"], string> = {
  queued: "badge",
  sent: "badge",
  answered: "badge badge-online",
  failed: "badge badge-late",
  expired: "badge badge-offline",
};

function Bytes({ hex }: { hex: string }): JSX.Element {
  const { text, isText } = readable(hex);
  return (
    <code class="bytes" title={isText ? hex : undefined}>
      {text}
    </code>
  );
}

function Line({ command, withdraw }: { command: Command; withdraw: () => void }): JSX.Element {
  const { state, reason, answer_hex: answer, closed_at: closed, expires_at: expires, attempts } = command;
  return (
    <li class="command">
      <div class="command-head">
        <Bytes hex={command.hex} />
        <span class={BADGE[state]} title={t(`command.${state}.why` as Key)}>
          {t(`command.${state}` as Key)}
        </span>
      </div>
      {answer && (
        <p class="command-answer">
          {t("commands.answer")} <Bytes hex={answer} />
        </p>
      )}
      <div class="command-head">
        <p class="unit-sub">
          {command.asked_by} · <Ago ms={Date.parse(command.created_at)} />
          {reason && ` · ${t(`command.reason.${reason}` as Key)}`}
          {attempts > 1 && ` · ${t("commands.attempts", { count: format.count(attempts) })}`}
          {isOpen(command) && (
            <>
              {` · ${t("commands.until")} `}
              <Time ms={Date.parse(expires)} />
            </>
          )}
          {closed && state === "answered" && (
            <>
              {` · ${t("commands.answered")} `}
              <Time ms={Date.parse(closed)} as="time" />
            </>
          )}
        </p>
        {isOpen(command) && (
          <button
            type="button"
            class="button small"
            aria-label={t("commands.withdraw.one", { command: readable(command.hex).text })}
            onClick={withdraw}
          >
            {t("commands.withdraw")}
          </button>
        )}
      </div>
    </li>
  );
}
