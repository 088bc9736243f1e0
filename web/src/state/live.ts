// Keeps the fleet up to date while someone is signed in: reads the list, follows
// the stream, reads the list again when events are missing, and tells views at a
// pace that people can follow.

import { ApiError, devices } from "../api/client";
import { type Connection, Stream, type StreamEvent } from "../api/stream";
import { Cell, useCell } from "./cell";
import { nowMs } from "./clock";
import { emptyFleet, type Fleet, keepOnly, takeEvents, takePage } from "./fleet";

/** Changes reach the map this often: far below what an eye takes for late. */
const MAP_EVERY_MS = 120;
/** And the list, which people read. */
const LIST_EVERY_MS = 600;
/** Strangers on the stream have a name: the list is read again, not at once. */
const STRANGER_AFTER_MS = 2_000;
const RETRY_MS = 3_000;

export class Live {
  readonly fleet: Fleet = emptyFleet();
  readonly connection = new Cell<Connection>("connecting");
  readonly loading = new Cell<boolean>(true);
  readonly failed = new Cell<string | null>(null);
  /** Grows when the list should be drawn again. */
  readonly version = new Cell<number>(0);
  /** Grows when an alarm has opened or changed, or may have. */
  readonly alarms = new Cell<number>(0);
  /** Whether the server's stream has alarms. */
  hasAlarms = false;
  /** When the server was last heard of, Unix milliseconds. */
  heardMs: number | null = null;

  private readonly changes = new Set<(ids: ReadonlySet<string>) => void>();
  private readonly stream: Stream;
  private readonly abort = new AbortController();
  private mapTimer: ReturnType<typeof setTimeout> | undefined;
  private listTimer: ReturnType<typeof setTimeout> | undefined;
  private readTimer: ReturnType<typeof setTimeout> | undefined;
  private reading = false;

  constructor() {
    this.stream = new Stream(
      {
        events: (events) => this.take(events),
        connection: (state) => {
          this.connection.set(state);
          // What happened without a connection was not heard.
          if (state === "live") this.tellAlarms();
        },
        gap: () => {
          this.readSoon(0);
          this.tellAlarms();
        },
      },
      // Values come by streams of their own, for what is looked at (values.ts).
      { values: "false" },
    );
    void this.read();
  }

  close(): void {
    this.abort.abort();
    this.stream.close();
    for (const timer of [this.mapTimer, this.listTimer, this.readTimer]) clearTimeout(timer);
  }

  /** Reads the list again, after something was changed by hand. */
  refresh(): void {
    this.readSoon(0);
  }

  /** Calls with the ids of devices that changed, some times a second. */
  onChange(listener: (ids: ReadonlySet<string>) => void): () => void {
    this.changes.add(listener);
    return () => void this.changes.delete(listener);
  }

  private take(events: StreamEvent[]): void {
    this.heardMs = nowMs();
    const known = this.fleet.units.size;
    takeEvents(this.fleet, events);
    if (events.some(({ type }) => type === "alarm")) {
      this.hasAlarms = true;
      this.tellAlarms();
    }
    if (this.fleet.units.size > known) this.readSoon(STRANGER_AFTER_MS);
    this.tell();
  }

  private tell(): void {
    if (this.fleet.changed.size > 0) {
      this.mapTimer ??= setTimeout(() => {
        this.mapTimer = undefined;
        this.tellMap();
      }, MAP_EVERY_MS);
    }
    if (this.fleet.version !== this.version.value) {
      this.listTimer ??= setTimeout(() => {
        this.listTimer = undefined;
        this.version.set(this.fleet.version);
      }, LIST_EVERY_MS);
    }
  }

  private tellNow(): void {
    this.version.set(this.fleet.version);
    this.tellMap();
  }

  private tellMap(): void {
    const changed = this.fleet.changed;
    this.fleet.changed = new Set();
    for (const listener of this.changes) listener(changed);
  }

  private tellAlarms(): void {
    this.alarms.set(this.alarms.value + 1);
  }

  private readSoon(afterMs: number): void {
    this.readTimer ??= setTimeout(() => {
      this.readTimer = undefined;
      void this.read();
    }, afterMs);
  }

  private async read(): Promise<void> {
    if (this.reading) return this.readSoon(500);
    this.reading = true;
    const ids = new Set<string>();
    try {
      await devices(this.abort.signal, (page) => {
        for (const device of page.devices) ids.add(device.device_id);
        takePage(this.fleet, page);
        this.heardMs = nowMs();
        // Someone waits for the first look: at once. What follows comes at the usual pace.
        if (this.loading.value && ids.size === page.devices.length) this.tellNow();
        else this.tell();
      });
      keepOnly(this.fleet, ids);
      this.failed.set(null);
      this.loading.set(false);
      this.tellNow();
    } catch (error) {
      if (this.abort.signal.aborted) return;
      this.failed.set(error instanceof ApiError ? error.message : String(error));
      if (!(error instanceof ApiError) || error.status !== 401) this.readSoon(RETRY_MS);
    } finally {
      this.reading = false;
    }
  }
}

/** There while someone is signed in. */
export const live = new Cell<Live | null>(null);

const NEVER = new Cell(0);

/** The fleet's source, and a new drawing whenever its list should be drawn again. */
export function useLive(): Live | null {
  const source = useCell(live);
  useCell(source?.version ?? NEVER);
  return source;
}
