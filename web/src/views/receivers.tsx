// Where notifications go: each place with its state, a test, and for mail its confirmation.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import {
  changeReceiver,
  confirmReceiver,
  receivers as listReceivers,
  type Receiver,
  receiverKinds,
  removeReceiver,
  sendCode,
  testReceiver,
} from "../api/receivers";
import { route, tune } from "../state/app";
import { useCell } from "../state/cell";
import { bodyOfReceiver, formOfReceiver, targetWords } from "../state/receiver-form";
import * as format from "../text/format";
import { t } from "../text/language";
import { Ago, Empty, Failure, Pending, Told, useAttempt, useLoad } from "../ui/basics";
import { Icon } from "../ui/icons";
import { Secret } from "../ui/secret";
import { AlarmTabs } from "./alarm-tabs";
import { ReceiverEditor } from "./receiver-editor";

/** What is shown once, after a receiver was made. */
interface Made {
  name: string;
  secret: string | null;
  isToConfirm: boolean;
}

function madeOf({ name, target, confirmed, kind }: Receiver): Made {
  const secret = typeof target?.secret === "string" ? target.secret : null;
  return { name, secret, isToConfirm: kind === "mail" && !confirmed };
}

export function ReceiversTab(): JSX.Element {
  const { query } = useCell(route);
  const [loaded, again, refresh] = useLoad("receivers", listReceivers);
  const [kinds] = useLoad("kinds", receiverKinds);
  const [made, setMade] = useState<Made | null>(null);
  const all = loaded.value ?? [];
  const edited = all.find(({ id }) => String(id) === query.edit);
  const isEditing = loaded.value !== null && kinds.value !== null && (query.edit === "new" || edited);
  const close = (saved: Receiver | null): void => {
    setMade(saved && !edited ? madeOf(saved) : null);
    tune({ edit: null });
    refresh();
  };
  return (
    <div class="page-inner rules">
      <h1 class="hidden">{t("receivers")}</h1>
      <AlarmTabs current="receivers" />
      {isEditing ? (
        <ReceiverEditor key={query.edit} receiver={edited ?? null} kinds={kinds.value ?? []} close={close} />
      ) : (
        <>
          <header class="page-head">
            <p class="why">{t("receivers.about")}</p>
            <button type="button" class="button primary" onClick={() => tune({ edit: "new" })}>
              <Icon name="plus" size={16} />
              {t("receivers.new")}
            </button>
          </header>
          {made?.secret && (
            <Secret
              shown={{
                title: made.name,
                lines: [[t("receiver.field.secret"), made.secret]],
                hint: t("receiver.secret.hint"),
              }}
              close={() => setMade(null)}
            />
          )}
          {made?.isToConfirm && <Told text={t("receiver.code.sent", { name: made.name })} />}
          <Pending loaded={loaded} again={again} />
          {kinds.state === "failed" && <Failure text={kinds.text} />}
          {loaded.value?.length === 0 && <Empty title={t("receivers.none")} hint={t("receivers.none.hint")} />}
          {all.length > 0 && (
            <ul class="rule-list" aria-label={t("receivers")}>
              {all.map((receiver) => (
                <Line key={receiver.id} receiver={receiver} changed={refresh} />
              ))}
            </ul>
          )}
        </>
      )}
    </div>
  );
}

const BADGE: Record<Receiver["state"], string> = {
  ok: "badge badge-online",
  failing: "badge badge-late",
  disabled: "badge badge-offline",
};

function State({ receiver }: { receiver: Receiver }): JSX.Element {
  const { state, confirmed, enabled } = receiver;
  if (!confirmed) return <span class="badge badge-late">{t("receiver.unconfirmed")}</span>;
  if (!enabled) return <span class="badge badge-offline">{t("receiver.disabled")}</span>;
  return <span class={BADGE[state]}>{t(`receiver.state.${state}`)}</span>;
}

function Line({ receiver, changed }: { receiver: Receiver; changed: () => void }): JSX.Element {
  const [failed, attempt, fail] = useAttempt();
  const [told, setTold] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const { id, name, last_error: error, last_delivered_at: delivered, waiting } = receiver;
  const act = async (work: () => Promise<unknown>): Promise<void> => {
    setTold(null);
    setBusy(true);
    await attempt(async () => {
      await work();
      changed();
    });
    setBusy(false);
  };
  const test = (): Promise<void> =>
    act(async () => {
      const answer = await testReceiver(id);
      if (answer.delivered) setTold(t("receiver.test.done"));
      else fail(t("receiver.test.failed", { error: answer.error ?? "" }));
    });
  const turn = (enabled: boolean): Promise<void> =>
    act(() => changeReceiver(id, bodyOfReceiver({ ...formOfReceiver(receiver), enabled })));
  const remove = (): void => {
    if (confirm(t("receiver.delete.confirm", { name }))) void act(() => removeReceiver(id));
  };
  return (
    <li class={receiver.enabled ? "rule is-receiver" : "rule is-receiver is-off"}>
      <div class="rule-main">
        <h2>{name}</h2>
        <p>
          {t(`receiver.kind.${receiver.kind}`)}
          {targetWords(receiver) && ` · ${targetWords(receiver)}`}
        </p>
        <p class="rule-marks">
          <State receiver={receiver} />
          {waiting > 0 && <span>{t("receiver.waiting", { count: format.count(waiting) })}</span>}
          {delivered !== null && (
            <span class="unit-sub">
              {t("receiver.delivered")} <Ago ms={Date.parse(delivered)} />
            </span>
          )}
          {!receiver.shared && <span class="tag">{t("alarms.own")}</span>}
        </p>
        {error !== null && receiver.state !== "ok" && <p class="receiver-error">{error}</p>}
      </div>
      {receiver.editable && (
        <div class="rule-acts">
          <label class="check">
            <input
              type="checkbox"
              checked={receiver.enabled}
              disabled={busy}
              onChange={(event) => void turn(event.currentTarget.checked)}
            />
            <span>
              {t(receiver.enabled ? "receiver.enabled" : "receiver.disabled")}
              <span class="hidden">{` · ${name}`}</span>
            </span>
          </label>
          <button
            type="button"
            class="button small"
            aria-label={`${t("receiver.test")} ${name}`}
            disabled={busy || !receiver.confirmed}
            onClick={() => void test()}
          >
            {t("receiver.test")}
          </button>
          <button
            type="button"
            class="button small"
            aria-label={`${t("admin.edit")} ${name}`}
            onClick={() => tune({ edit: String(id) })}
          >
            {t("admin.edit")}
          </button>
          <button
            type="button"
            class="button small danger"
            aria-label={`${t("admin.delete")} ${name}`}
            onClick={remove}
          >
            {t("admin.delete")}
          </button>
        </div>
      )}
      {receiver.editable && !receiver.confirmed && (
        <Confirmation
          receiver={receiver}
          busy={busy}
          act={act}
          sent={() => setTold(t("receiver.code.sent", { name }))}
        />
      )}
      {told && <Told text={told} />}
      {failed && <Failure text={failed} />}
    </li>
  );
}

function Confirmation(props: {
  receiver: Receiver;
  busy: boolean;
  act: (work: () => Promise<unknown>) => Promise<void>;
  sent: () => void;
}): JSX.Element {
  const { receiver, busy, act } = props;
  return (
    <form
      class="receiver-code"
      onSubmit={(event) => {
        event.preventDefault();
        const code = String(new FormData(event.currentTarget).get("code")).trim();
        void act(() => confirmReceiver(receiver.id, code));
      }}
    >
      <p class="why">{t("receiver.confirm.hint")}</p>
      <input
        name="code"
        class="mono"
        required
        autocomplete="one-time-code"
        maxLength={64}
        aria-label={t("receiver.code")}
        placeholder={t("receiver.code")}
      />
      <button type="submit" class="button primary" disabled={busy}>
        {t("receiver.confirm")}
      </button>
      <button
        type="button"
        class="button"
        disabled={busy}
        onClick={() =>
          void act(async () => {
            await sendCode(receiver.id);
            props.sent();
          })
        }
      >
        {t("receiver.code.again")}
      </button>
    </form>
  );
}
