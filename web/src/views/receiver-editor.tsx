// One receiver: where it is, when it may be disturbed, and how it is spoken to.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import {
  addReceiver,
  changeReceiver,
  type KindOfReceiver,
  RECEIVER_KINDS,
  type Receiver,
  type ReceiverKind,
} from "../api/receivers";
import { isOperator } from "../state/app";
import {
  bodyOfReceiver,
  formOfReceiver,
  hasSecret,
  isForPeople,
  newReceiver,
  type ReceiverForm,
  TARGET_FIELDS,
  targetBegun,
} from "../state/receiver-form";
import * as format from "../text/format";
import { language, t } from "../text/language";
import { Failure, useAttempt } from "../ui/basics";
import { Choice } from "../ui/sentence";

type Change = (changes: Partial<ReceiverForm>) => void;

interface EditorProps {
  /** `null` is a new one. */
  receiver: Receiver | null;
  kinds: readonly KindOfReceiver[];
  close: (saved: Receiver | null) => void;
}

const MOST_NAME = 100;

function begin({ receiver, kinds }: EditorProps): ReceiverForm {
  if (receiver) return formOfReceiver(receiver);
  const first = RECEIVER_KINDS.find((kind) => kinds.some((known) => known.kind === kind && known.available));
  const form = newReceiver(first ?? "webhook", language() === "pt" ? "pt-BR" : "en", format.zone());
  return { ...form, shared: isOperator() };
}

export function ReceiverEditor(props: EditorProps): JSX.Element {
  const { receiver, kinds, close } = props;
  const [form, setForm] = useState(() => begin(props));
  const [failed, attempt] = useAttempt();
  const [busy, setBusy] = useState(false);
  const change: Change = (changes) => setForm((before) => ({ ...before, ...changes }));
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    const body = bodyOfReceiver(form);
    const saved = await attempt(() => (receiver ? changeReceiver(receiver.id, body) : addReceiver(body)));
    setBusy(false);
    if (saved) close(saved);
  };
  return (
    <form
      class="card receiver-form"
      aria-label={t(receiver ? "receiver.edit" : "receivers.new")}
      onSubmit={(event) => void save(event)}
    >
      <h2>{t(receiver ? "receiver.edit" : "receivers.new")}</h2>
      <div class="form-grid">
        <label class="field">
          <span>{t("admin.name")}</span>
          <input
            required
            maxLength={MOST_NAME}
            autocomplete="off"
            value={form.name}
            onInput={(event) => change({ name: event.currentTarget.value })}
          />
        </label>
        {receiver === null && <KindField form={form} change={change} kinds={kinds} />}
      </div>
      {receiver === null && <Missing kinds={kinds} />}
      <Target form={form} change={change} receiver={receiver} />
      {isForPeople(form.kind) && <When form={form} change={change} />}
      {isForPeople(form.kind) && <Speech form={form} change={change} />}
      {isOperator() && receiver === null && (
        <label class="check">
          <input
            type="checkbox"
            checked={form.shared}
            onChange={(event) => change({ shared: event.currentTarget.checked })}
          />
          <span>
            {t("alarms.shared")} <small>{t("alarms.shared.hint")}</small>
          </span>
        </label>
      )}
      {failed && <Failure text={failed} />}
      <div class="form-end">
        <button type="submit" class="button primary" disabled={busy}>
          {t("admin.save")}
        </button>
        <button type="button" class="button" onClick={() => close(null)}>
          {t("admin.cancel")}
        </button>
      </div>
    </form>
  );
}

interface PartProps {
  form: ReceiverForm;
  change: Change;
}

const cannotBe = (kinds: readonly KindOfReceiver[]): readonly KindOfReceiver[] =>
  kinds.filter(({ available }) => !available);

function KindField({ form, change, kinds }: PartProps & { kinds: readonly KindOfReceiver[] }): JSX.Element {
  const cannot = cannotBe(kinds);
  return (
    <label class="field">
      <span>{t("receiver.kind")}</span>
      <select
        value={form.kind}
        onChange={(event) => {
          const kind = event.currentTarget.value as ReceiverKind;
          change({ kind, target: targetBegun(kind) });
        }}
      >
        {RECEIVER_KINDS.map((kind) => (
          <option key={kind} value={kind} disabled={cannot.some((other) => other.kind === kind)}>
            {t(`receiver.kind.${kind}`)}
          </option>
        ))}
      </select>
    </label>
  );
}

/** What this server cannot send by, and why. */
function Missing({ kinds }: { kinds: readonly KindOfReceiver[] }): JSX.Element {
  return (
    <>
      {cannotBe(kinds).map(({ kind, reason }) => (
        <p class="why" key={kind}>
          {t("receiver.kind.cannot", { kind: t(`receiver.kind.${kind}`), reason: reason ?? "" })}
        </p>
      ))}
    </>
  );
}

const TYPES = { text: "text", url: "url", email: "email", secret: "password" } as const;

function Target({ form, change, receiver }: PartProps & { receiver: Receiver | null }): JSX.Element {
  return (
    <div class="form-grid">
      {TARGET_FIELDS[form.kind].map(({ name, is, optional }) => {
        const isSet = hasSecret(receiver, name);
        return (
          <label class="field" key={name}>
            <span>{t(`receiver.field.${name}` as "receiver.field.url")}</span>
            <input
              type={TYPES[is]}
              required={!optional && !isSet}
              autocomplete={is === "secret" ? "new-password" : "off"}
              spellcheck={false}
              value={form.target[name] ?? ""}
              onInput={(event) => change({ target: { ...form.target, [name]: event.currentTarget.value } })}
            />
            {isSet && <small>{t("receiver.secret.set")}</small>}
            {!isSet && form.kind === "webhook" && name === "secret" && <small>{t("receiver.secret.made")}</small>}
          </label>
        );
      })}
    </div>
  );
}

/** Quiet hours and digests. */
function When({ form, change }: PartProps): JSX.Element {
  return (
    <fieldset class="field receiver-when">
      <legend>{t("receiver.when")}</legend>
      <div class="sentence">
        <p>
          <Choice
            label={t("receiver.digest")}
            value={form.digest}
            options={(["none", "hourly", "daily"] as const).map((one) => [one, t(`receiver.digest.${one}`)] as const)}
            change={(digest) => change({ digest })}
          />
          {form.digest === "daily" && (
            <input
              type="time"
              required
              aria-label={t("receiver.daily.at")}
              value={form.dailyAt}
              onInput={(event) => change({ dailyAt: event.currentTarget.value })}
            />
          )}
        </p>
      </div>
      <label class="check">
        <input
          type="checkbox"
          checked={form.isQuiet}
          onChange={(event) => change({ isQuiet: event.currentTarget.checked })}
        />
        <span>{t("receiver.quiet")}</span>
      </label>
      {form.isQuiet && (
        <div class="receiver-quiet">
          <label>
            {t("receiver.quiet.from")}{" "}
            <input
              type="time"
              required
              value={form.quietFrom}
              onInput={(event) => change({ quietFrom: event.currentTarget.value })}
            />
          </label>
          <label>
            {t("receiver.quiet.to")}{" "}
            <input
              type="time"
              required
              value={form.quietTo}
              onInput={(event) => change({ quietTo: event.currentTarget.value })}
            />
          </label>
          <label class="check">
            <input
              type="checkbox"
              checked={form.exceptCritical}
              onChange={(event) => change({ exceptCritical: event.currentTarget.checked })}
            />
            <span>{t("receiver.quiet.critical")}</span>
          </label>
        </div>
      )}
    </fieldset>
  );
}

/** All zones that the browser knows, where it says so. */
const zones = (): readonly string[] =>
  "supportedValuesOf" in Intl
    ? (Intl as unknown as { supportedValuesOf(of: string): string[] }).supportedValuesOf("timeZone")
    : [];

function Speech({ form, change }: PartProps): JSX.Element {
  return (
    <div class="form-grid">
      <label class="field">
        <span>{t("menu.language")}</span>
        <select
          value={form.language}
          onChange={(event) => change({ language: event.currentTarget.value as ReceiverForm["language"] })}
        >
          <option value="en">English</option>
          <option value="pt-BR">Português</option>
        </select>
      </label>
      <label class="field">
        <span>{t("receiver.zone")}</span>
        <input
          required
          list="zones"
          autocomplete="off"
          value={form.zone}
          onInput={(event) => change({ zone: event.currentTarget.value })}
        />
        <datalist id="zones">
          {zones().map((zone) => (
            <option key={zone} value={zone} />
          ))}
        </datalist>
      </label>
    </div>
  );
}
