// A receiver as its form has it, and as the API takes it. Pure.

import type { Digest, Quiet, Receiver, ReceiverBody, ReceiverKind, ReceiverLanguage } from "../api/receivers";

/** A field of a kind's target. */
export interface TargetField {
  name: string;
  is: "text" | "url" | "email" | "secret";
  /** May be left out: made by the server, or not needed. */
  optional?: boolean;
}

export const TARGET_FIELDS: Record<ReceiverKind, readonly TargetField[]> = {
  mail: [{ name: "address", is: "email" }],
  webhook: [
    { name: "url", is: "url" },
    { name: "secret", is: "secret", optional: true },
  ],
  ntfy: [
    { name: "url", is: "url" },
    { name: "topic", is: "text" },
    { name: "token", is: "secret", optional: true },
  ],
  telegram: [
    { name: "bot_token", is: "secret" },
    { name: "chat_id", is: "text" },
    { name: "url", is: "url", optional: true },
  ],
  pagerduty: [
    { name: "routing_key", is: "secret" },
    { name: "url", is: "url", optional: true },
  ],
  alertmanager: [{ name: "url", is: "url" }],
  mqtt: [{ name: "topic", is: "text" }],
};

/** Programs get everything at once and in one language. */
export const isForPeople = (kind: ReceiverKind): boolean => ["mail", "ntfy", "telegram"].includes(kind);

/** What is typed first. */
const BEGUN: Partial<Record<ReceiverKind, Record<string, string>>> = {
  ntfy: { url: "https://ntfy.sh" },
  mqtt: { topic: "/alert-message/" },
};

export interface ReceiverForm {
  name: string;
  kind: ReceiverKind;
  /** By name; an empty secret of a receiver that has one stays as it is. */
  target: Record<string, string>;
  enabled: boolean;
  shared: boolean;
  isQuiet: boolean;
  quietFrom: string;
  quietTo: string;
  exceptCritical: boolean;
  digest: "none" | "hourly" | "daily";
  dailyAt: string;
  language: ReceiverLanguage;
  zone: string;
}

export const targetBegun = (kind: ReceiverKind): Record<string, string> => ({ ...BEGUN[kind] });

export const newReceiver = (kind: ReceiverKind, language: ReceiverLanguage, zone: string): ReceiverForm => ({
  name: "",
  kind,
  target: targetBegun(kind),
  enabled: true,
  shared: true,
  isQuiet: false,
  quietFrom: "22:00",
  quietTo: "07:00",
  exceptCritical: true,
  digest: "none",
  dailyAt: "07:00",
  language,
  zone,
});

const digestOf = (digest: Digest | null | undefined): ReceiverForm["digest"] =>
  !digest ? "none" : digest === "hourly" ? "hourly" : "daily";

export function formOfReceiver(receiver: Receiver): ReceiverForm {
  const { quiet, digest, target } = receiver;
  const texts = TARGET_FIELDS[receiver.kind].map(({ name, is }) => [
    name,
    is === "secret" || typeof target?.[name] !== "string" ? "" : target[name],
  ]);
  const begun = newReceiver(receiver.kind, receiver.language, receiver.zone ?? "UTC");
  return {
    ...begun,
    name: receiver.name,
    target: Object.fromEntries(texts) as Record<string, string>,
    enabled: receiver.enabled,
    shared: receiver.shared,
    isQuiet: Boolean(quiet),
    quietFrom: quiet?.from ?? begun.quietFrom,
    quietTo: quiet?.to ?? begun.quietTo,
    exceptCritical: quiet?.except_critical ?? true,
    digest: digestOf(digest),
    dailyAt: digest && digest !== "hourly" ? digest.daily_at : begun.dailyAt,
  };
}

/** Whether a secret that is left empty is one that the server has. */
export const hasSecret = (receiver: Receiver | null, name: string): boolean =>
  receiver?.target?.[`${name}_set`] === true;

export function bodyOfReceiver(form: ReceiverForm): ReceiverBody {
  const { zone } = form;
  const quiet: Quiet = { from: form.quietFrom, to: form.quietTo, zone, except_critical: form.exceptCritical };
  const typed = TARGET_FIELDS[form.kind]
    .map(({ name }) => [name, (form.target[name] ?? "").trim()] as const)
    .filter(([, text]) => text !== "");
  const digest: Digest | null =
    form.digest === "none" ? null : form.digest === "hourly" ? "hourly" : { daily_at: form.dailyAt, zone };
  return {
    name: form.name.trim(),
    kind: form.kind,
    target: Object.fromEntries(typed),
    enabled: form.enabled,
    shared: form.shared,
    ...(form.isQuiet ? { quiet } : {}),
    ...(digest ? { digest } : {}),
    language: form.language,
    zone,
  };
}

/** What of a target may be read, in a line. */
export function targetWords({ kind, target }: Receiver): string {
  return TARGET_FIELDS[kind]
    .filter(({ is }) => is !== "secret")
    .map(({ name }) => target?.[name])
    .filter((text): text is string => typeof text === "string" && text !== "")
    .join(" · ");
}
