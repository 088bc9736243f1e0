// Small parts that every view is made of.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { ApiError } from "../api/client";
import type { Status } from "../api/types";
import { nowMs } from "../state/clock";
import type { Key } from "../text/en";
import * as format from "../text/format";
import { t } from "../text/language";
import { Icon } from "./icons";

/** The server's time, renewed every so often while the page is looked at. */
export function useNow(everyMs = 1000): number {
  const [now, setNow] = useState(nowMs());
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) setNow(nowMs());
    }, everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

/** A moment in the viewer's zone, UTC on hover. */
export function Time({
  ms,
  as = "dateTime",
}: {
  ms: number | null;
  as?: "dateTime" | "time" | "clock" | "day";
}): JSX.Element {
  if (ms === null) return <span>{format.NOTHING}</span>;
  return (
    <time dateTime={new Date(ms).toISOString()} title={format.utc(ms)}>
      {format[as](ms)}
    </time>
  );
}

/** How long ago, exact moment on hover. */
export function Ago({ ms, short = false }: { ms: number | null; short?: boolean }): JSX.Element {
  const now = useNow();
  const text = short ? format.age(ms, now) : format.ago(ms, now);
  const title = ms === null ? undefined : `${format.dateTime(ms)} · ${format.utc(ms)}`;
  return <span title={title}>{text}</span>;
}

export function StatusDot({ status }: { status: Status }): JSX.Element {
  return <span class={`dot dot-${status}`} aria-hidden="true" />;
}

export function StatusBadge({ status }: { status: Status }): JSX.Element {
  return (
    <span class={`badge badge-${status}`} title={t(`status.${status}.why` as Key)}>
      <StatusDot status={status} />
      {t(`status.${status}` as Key)}
    </span>
  );
}

/** Turns the pages of a list; `pages` are the cursors that led to the one shown. Nothing where there is one page. */
export function Pager({
  pages,
  next,
  turn,
}: {
  pages: string[];
  next: string | null;
  turn: (pages: string[]) => void;
}): JSX.Element | null {
  if (next === null && pages.length === 0) return null;
  return (
    <div class="pager">
      <button type="button" class="button small" disabled={pages.length === 0} onClick={() => turn(pages.slice(0, -1))}>
        {t("common.newer")}
      </button>
      <button
        type="button"
        class="button small"
        disabled={next === null}
        onClick={() => next !== null && turn([...pages, next])}
      >
        {t("common.older")}
      </button>
    </div>
  );
}

export function Empty({
  title,
  hint,
  children,
}: {
  title: string;
  hint?: string;
  children?: ComponentChildren;
}): JSX.Element {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {hint && <p class="empty-hint">{hint}</p>}
      {children}
    </div>
  );
}

export function Spinner({ label }: { label?: string }): JSX.Element {
  return (
    <div class="loading" role="status">
      <span class="spinner" aria-hidden="true" />
      <span>{label ?? t("common.loading")}</span>
    </div>
  );
}

export function Failure({ text, retry }: { text: string; retry?: () => void }): JSX.Element {
  return (
    <div class="failure" role="alert">
      <Icon name="warning" />
      <span>{text}</span>
      {retry && (
        <button type="button" class="button small" onClick={retry}>
          {t("error.retry")}
        </button>
      )}
    </div>
  );
}

export function reason(error: unknown): string {
  if (error instanceof ApiError && error.kind === "unreachable") return t("error.unreachable");
  return error instanceof Error ? error.message : String(error);
}

/** What was done, in words that are also heard. */
export function Told({ text }: { text: string }): JSX.Element {
  return (
    <p class="told" role="status">
      {text}
    </p>
  );
}

/** Does what may fail: `null` where it did, and then why, until the next attempt. */
export function useAttempt(): [
  failed: string | null,
  attempt: <T>(work: () => Promise<T>) => Promise<T | null>,
  fail: (text: string) => void,
] {
  const [failed, setFailed] = useState<string | null>(null);
  const attempt = async <T,>(work: () => Promise<T>): Promise<T | null> => {
    setFailed(null);
    try {
      return await work();
    } catch (error) {
      setFailed(reason(error));
      return null;
    }
  };
  return [failed, attempt, setFailed];
}

export type Loaded<T> =
  | { state: "loading"; value: T | null }
  | { state: "done"; value: T }
  | { state: "failed"; value: null; error: unknown; text: string };

/**
 * Loads when `key` changes; what it was doing before is given up. The first function asks
 * again and shows that it does; the second does so unseen, and what is shown stays when it fails.
 */
export function useLoad<T>(
  key: string,
  load: (signal: AbortSignal) => Promise<T>,
): [loaded: Loaded<T>, again: () => void, refresh: () => void] {
  const [loaded, setLoaded] = useState<Loaded<T>>({ state: "loading", value: null });
  const [turn, setTurn] = useState({ quiet: false });
  const asked = useRef<string | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    const isOther = asked.current !== key;
    const quiet = turn.quiet && !isOther;
    asked.current = key;
    if (!quiet) setLoaded((before) => ({ state: "loading", value: isOther ? null : before.value }));
    load(abort.signal).then(
      (value) => {
        if (!abort.signal.aborted) setLoaded({ state: "done", value });
      },
      (error: unknown) => {
        if (abort.signal.aborted) return;
        setLoaded((before) =>
          quiet && before.value !== null ? before : { state: "failed", value: null, error, text: reason(error) },
        );
      },
    );
    return () => abort.abort();
  }, [key, turn]);
  const next = (quiet: boolean): void => setTurn({ quiet });
  return [loaded, () => next(false), () => next(true)];
}

/** Instead of what has not come yet: that it is on its way, or why it does not come. */
export function Pending<T>({ loaded, again }: { loaded: Loaded<T>; again?: () => void }): JSX.Element | null {
  if (loaded.state === "failed") return <Failure text={loaded.text} {...(again ? { retry: again } : {})} />;
  return loaded.value === null ? <Spinner /> : null;
}

/** Calls when `value` changes, not more often than every so often, and not while nobody looks. */
export function useNews(value: unknown, everyMs: number, act: () => void): void {
  const doing = useRef(act);
  doing.current = act;
  const last = useRef({ value, atMs: 0 });
  useEffect(() => {
    if (Object.is(value, last.current.value)) return;
    const dueMs = Math.max(0, last.current.atMs + everyMs - performance.now());
    const timer = setTimeout(function due() {
      if (document.hidden) return;
      last.current = { value, atMs: performance.now() };
      doing.current();
    }, dueMs);
    const look = (): void => {
      if (document.hidden || Object.is(value, last.current.value)) return;
      last.current = { value, atMs: performance.now() };
      doing.current();
    };
    document.addEventListener("visibilitychange", look);
    return () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [value, everyMs]);
}
