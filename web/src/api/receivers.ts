// Where notifications of alarms go, and what became of each.

import { change, get, type Query } from "./client";

export const RECEIVER_KINDS = ["mail", "webhook", "ntfy", "telegram", "pagerduty", "alertmanager", "mqtt"] as const;
export type ReceiverKind = (typeof RECEIVER_KINDS)[number];

/** Texts by name; a secret is never told, only whether it is set (`secret_set`). */
export type Target = Record<string, string | boolean>;

export interface Quiet {
  /** Local times, as `22:00`. */
  from: string;
  to: string;
  zone: string;
  except_critical: boolean;
}

export type Digest = "hourly" | { daily_at: string; zone: string };
export type ReceiverLanguage = "en" | "pt-BR";

export interface ReceiverBody {
  name: string;
  kind: ReceiverKind;
  target: Record<string, string>;
  enabled: boolean;
  shared: boolean;
  quiet?: Quiet;
  digest?: Digest;
  language: ReceiverLanguage;
  zone: string;
}

export interface Receiver extends Omit<ReceiverBody, "target" | "quiet" | "digest" | "zone"> {
  id: number;
  /** `null` where the caller may not change it. */
  target: Target | null;
  quiet: Quiet | null;
  digest: Digest | null;
  /** `null` is UTC. */
  zone: string | null;
  editable: boolean;
  confirmed: boolean;
  state: "ok" | "failing" | "disabled";
  last_error: string | null;
  last_delivered_at: string | null;
  waiting: number;
}

const PATH = "/api/v1/receivers/";

interface Page {
  receivers: Receiver[];
  next_cursor: string | null;
}

const PAGE = 200;
/** Shown at most. */
const MOST_RECEIVERS = 1000;

export async function receivers(signal?: AbortSignal): Promise<Receiver[]> {
  const found: Receiver[] = [];
  for (let cursor: string | null = null; ; ) {
    const page: Page = await get<Page>(PATH, { limit: PAGE, cursor }, signal);
    found.push(...page.receivers);
    cursor = page.next_cursor;
    if (cursor === null || found.length >= MOST_RECEIVERS) return found;
  }
}

/** A webhook's secret is in this answer alone. */
export const addReceiver = (body: ReceiverBody): Promise<Receiver> => change<Receiver>("POST", PATH, body);

export const changeReceiver = (id: number, body: ReceiverBody): Promise<Receiver> =>
  change<Receiver>("PUT", `${PATH}${id}`, body);

export const removeReceiver = (id: number): Promise<unknown> => change("DELETE", `${PATH}${id}`);

export const confirmReceiver = (id: number, code: string): Promise<unknown> =>
  change("POST", `${PATH}${id}/confirm`, { code });

export const sendCode = (id: number): Promise<unknown> => change("POST", `${PATH}${id}/confirmation`, {});

export const testReceiver = (id: number): Promise<{ delivered: boolean; error: string | null }> =>
  change("POST", `${PATH}${id}/test`, {});

export const NOTIFICATION_STATES = ["waiting", "delivered", "suppressed", "failed"] as const;
export type NotificationState = (typeof NOTIFICATION_STATES)[number];

export interface Notification {
  id: number;
  alarm_id: number | null;
  rule_name: string | null;
  device_id: string | null;
  step: string;
  receiver_id: number;
  /** `null` where it was deleted. */
  receiver_name: string | null;
  state: NotificationState;
  attempts: number;
  next_at: string | null;
  last_error: string | null;
  /** Why it was suppressed, or waits. */
  reason: string | null;
  created_at: string;
  done_at: string | null;
}

export interface NotificationPage {
  notifications: Notification[];
  next_cursor: string | null;
}

export interface NotificationBooks {
  raised: number;
  delivered: number;
  suppressed: number;
  failed: number;
  waiting: number;
  balanced: boolean;
}

export interface KindOfReceiver {
  kind: ReceiverKind;
  available: boolean;
  reason: string | null;
}

const NOTIFICATIONS = "/api/v1/notifications/";

export const notifications = (query: Query, signal: AbortSignal): Promise<NotificationPage> =>
  get<NotificationPage>(NOTIFICATIONS, query, signal);

export const notificationBooks = (signal: AbortSignal): Promise<NotificationBooks> =>
  get<NotificationBooks>(`${NOTIFICATIONS}books`, {}, signal);

export const receiverKinds = async (signal: AbortSignal): Promise<KindOfReceiver[]> =>
  (await get<{ kinds: KindOfReceiver[] }>(`${NOTIFICATIONS}kinds`, {}, signal)).kinds;

export const sendAgain = (id: number): Promise<unknown> => change("POST", `${NOTIFICATIONS}${id}/send-again`, {});
