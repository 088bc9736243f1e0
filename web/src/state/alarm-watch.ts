// Keeps the open alarms up to date while someone is signed in, whichever view is open: what
// the bell counts, and what is announced.

import { alarms } from "../api/alarms";
import { ApiError } from "../api/client";
import type { Alarm } from "../api/types";
import { announce, isListening } from "./alarm-signal";
import { type AlarmCounts, countAlarms, isUrgent, newAlarms } from "./alarms";
import { Cell } from "./cell";
import type { Live } from "./live";

/** Until the stream has brought an alarm, since servers of before do not. */
const EVERY_MS = 5_000;
/** Silences end without a word. */
const SELDOM_MS = 60_000;
/** Of several events that come together, one look. */
const TOLD_AFTER_MS = 300;
/** More open alarms than this are counted as "200+". */
export const MOST_COUNTED = 200;

export interface Watched {
  counts: AlarmCounts;
  /** There are more than were read. */
  isMore: boolean;
  /** What came since the look before. */
  news: readonly Alarm[];
}

const NONE: Watched = { counts: countAlarms([]), isMore: false, news: [] };

export class AlarmWatch {
  readonly watched = new Cell<Watched>(NONE);
  /** Grows when an alarm has opened, changed or ended. */
  readonly version = new Cell<number>(0);
  private known: ReadonlySet<number> | null = null;
  private before = "";
  private timer: ReturnType<typeof setTimeout> | undefined;
  private reading = false;
  /** Something happened while it was read. */
  private isStale = false;
  private readonly abort = new AbortController();
  private readonly deaf: () => void;
  private telling: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly source: Live) {
    document.addEventListener("visibilitychange", this.look);
    this.deaf = source.alarms.subscribe(() => {
      this.telling ??= setTimeout(() => this.told(), TOLD_AFTER_MS);
    });
    void this.read();
  }

  close(): void {
    document.removeEventListener("visibilitychange", this.look);
    this.deaf();
    this.abort.abort();
    clearTimeout(this.timer);
    clearTimeout(this.telling);
  }

  /** Reads at once, after something was changed by hand. */
  refresh(): void {
    clearTimeout(this.timer);
    void this.read();
  }

  /** Something happened, perhaps to an alarm that is not counted: lists are read again in any case. */
  private told(): void {
    this.telling = undefined;
    this.version.set(this.version.value + 1);
    this.refresh();
  }

  private readonly look = (): void => {
    if (!document.hidden) this.refresh();
  };

  private async read(): Promise<void> {
    // A page that nobody looks at asks only if it is to make itself heard.
    if (document.hidden && !isListening()) return this.later();
    if (this.reading) {
      this.isStale = true;
      return;
    }
    this.reading = true;
    this.isStale = false;
    try {
      const page = await alarms({ open: true, late: false, limit: MOST_COUNTED }, this.abort.signal);
      this.take(page.alarms, page.next_cursor !== null);
    } catch (error) {
      if (this.abort.signal.aborted) return;
      // A server of before there were alarms, or a session that has ended.
      if (error instanceof ApiError && [401, 403, 404].includes(error.status)) return;
    } finally {
      this.reading = false;
    }
    if (this.isStale) void this.read();
    else this.later();
  }

  private later(): void {
    clearTimeout(this.timer);
    const afterMs = this.source.hasAlarms ? SELDOM_MS : EVERY_MS;
    if (!this.abort.signal.aborted) this.timer = setTimeout(() => void this.read(), afterMs);
  }

  private take(open: Alarm[], isMore: boolean): void {
    const text = JSON.stringify(open);
    if (text === this.before && this.known !== null) return;
    this.before = text;
    const urgent = open.filter(isUrgent);
    const news = newAlarms(this.known, urgent);
    // Those that were announced once are not announced again when they are silenced no more.
    this.known = new Set([...(this.known ?? []), ...open.map(({ id }) => id)]);
    this.watched.set({ counts: countAlarms(urgent), isMore, news });
    this.version.set(this.version.value + 1);
    announce(news);
  }
}

/** There while someone is signed in; share links have none. */
export const alarmWatch = new Cell<AlarmWatch | null>(null);
