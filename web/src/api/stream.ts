// The live stream: a socket that is opened again with growing pauses and goes on
// after the last event it had. What it says is handed on in lists, as it came.

import { serverSaid } from "../state/clock";
import { ApiError, change } from "./client";
import type { Alarm, Status } from "./types";

export interface PositionEvent {
  type: "position";
  id: string;
  device_id: string;
  recorded_at: string;
  received_at: string;
  latitude: number | null;
  longitude: number | null;
  /** Of a server of before it was told: live. */
  position_from?: "live" | "history" | null;
  speed_kmh: number | null;
  direction_deg: number | null;
  ignition: boolean | null;
  gps_fix: boolean | null;
  odometer_m: number | null;
  hour_meter_min: number | null;
  status: Status;
}

export interface StatusEvent {
  type: "status";
  id: string;
  device_id: string;
  status: Status;
  at: string;
}

/** What a channel says; `cut` where it is only the beginning of a longer text. */
export interface StreamValue {
  channel: string;
  unit: string | null;
  value: number | boolean | string | null;
  cut?: boolean;
  recorded_at: string;
}

export interface ValuesEvent {
  type: "values";
  id: string;
  device_id: string;
  values: StreamValue[];
}

/** An alarm opened or changed, with how it stands now. */
export interface AlarmEvent {
  type: "alarm";
  id: string;
  device_id: string;
  step: string;
  alarm: Alarm;
}

export type StreamEvent =
  | PositionEvent
  | StatusEvent
  | ValuesEvent
  | AlarmEvent
  | { type: "hello"; id: string | null; heartbeat_s: number; gap: boolean; at?: string }
  | { type: "heartbeat"; id?: string; at?: string }
  | { type: "thinned" }
  | { type: "end"; reason: string };

export type Connection = "connecting" | "live" | "lost";

export interface StreamListener {
  events(events: StreamEvent[]): void;
  connection(state: Connection): void;
  /** Events are missing: what is known has to be read again. */
  gap(): void;
}

/** Pause before attempt n (0, 1, ...): doubles to 15 s, with a third of chance in it. */
export function pauseMs(attempt: number, chance: number): number {
  const base = Math.min(15_000, 500 * 2 ** Math.min(attempt, 10));
  return Math.round(base * (1 - chance / 3));
}

/** What the server is taken to promise until it says so itself. */
const USUAL_HEARTBEAT_S = 4;
/** A way to the server that takes longer than this is none. */
const TICKET_WITHIN_MS = 9_000;

/** After so long without a word the connection counts as dead: a heartbeat was missed, and the next. */
export function silentMs(heartbeatS: number): number {
  return (2 * heartbeatS + 1) * 1000;
}

export class Stream {
  private socket: WebSocket | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private watch: ReturnType<typeof setTimeout> | undefined;
  private attempt = 0;
  private latest: string | null = null;
  private closed = false;
  private heartbeatS = USUAL_HEARTBEAT_S;

  /** What is asked for; with `snapshot` it begins anew each time instead of where it stopped. */
  constructor(
    private readonly listener: StreamListener,
    private readonly query: Record<string, string>,
  ) {
    window.addEventListener("online", this.hurry);
    window.addEventListener("offline", this.lose);
    document.addEventListener("visibilitychange", this.hurry);
    void this.open();
  }

  close(): void {
    this.closed = true;
    window.removeEventListener("online", this.hurry);
    window.removeEventListener("offline", this.lose);
    document.removeEventListener("visibilitychange", this.hurry);
    clearTimeout(this.timer);
    clearTimeout(this.watch);
    this.socket?.close();
    this.socket = null;
  }

  /** The network came back, or someone looks again: do not sit out a long pause. */
  private readonly hurry = (): void => {
    if (this.timer === undefined || document.hidden || !navigator.onLine) return;
    clearTimeout(this.timer);
    this.timer = undefined;
    void this.open();
  };

  /** The browser knows that it has no network: nothing more will come. */
  private readonly lose = (): void => {
    this.attempt = 0;
    this.again();
  };

  private async open(): Promise<void> {
    this.timer = undefined;
    if (this.closed) return;
    // What was lost is lost until the server has spoken again.
    if (this.attempt === 0) this.listener.connection("connecting");
    try {
      const within = AbortSignal.timeout(TICKET_WITHIN_MS);
      const { ticket } = await change<{ ticket: string }>("POST", "/api/v1/stream/ticket", {}, within);
      // Meanwhile the browser may have lost the network, and another attempt is due.
      if (this.closed || this.timer !== undefined) return;
      this.connect(ticket);
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return;
      this.again();
    }
  }

  private connect(ticket: string): void {
    const query = new URLSearchParams({ ...this.query, ticket });
    if (this.latest !== null && this.query.snapshot === undefined) query.set("latest_id", this.latest);
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/api/v1/stream/ws?${query}`);
    this.socket = socket;
    socket.onmessage = (message: MessageEvent<string>) => {
      if (this.socket === socket) this.take(message.data);
    };
    socket.onclose = () => {
      if (this.socket === socket) this.again();
    };
    this.beat();
  }

  private take(text: string): void {
    const parsed = JSON.parse(text) as StreamEvent | StreamEvent[];
    const events = Array.isArray(parsed) ? parsed : [parsed];
    for (const event of events) {
      if ("id" in event && typeof event.id === "string") this.latest = event.id;
      if (event.type === "hello" || event.type === "heartbeat") serverSaid(event.at);
      if (event.type === "hello") {
        this.heartbeatS = event.heartbeat_s || this.heartbeatS;
        this.attempt = 0;
        this.listener.connection("live");
        if (event.gap) this.listener.gap();
      } else if (event.type === "thinned") {
        this.listener.gap();
      } else if (event.type === "end") {
        this.socket?.close();
      }
    }
    this.beat();
    this.listener.events(events);
  }

  private beat(): void {
    clearTimeout(this.watch);
    this.watch = setTimeout(() => this.again(), silentMs(this.heartbeatS));
  }

  private again(): void {
    clearTimeout(this.watch);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    if (this.closed || this.timer !== undefined) return;
    this.listener.connection("lost");
    this.timer = setTimeout(() => void this.open(), pauseMs(this.attempt, Math.random()));
    this.attempt += 1;
  }
}
