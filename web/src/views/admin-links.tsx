// Share links and tokens: some devices, for some time, shown once, revocable.

import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";

import { change, get } from "../api/client";
import { nowMs } from "../state/clock";
import { formatMinute, parseMinute, startOfDay } from "../state/ranges";
import { t } from "../text/language";
import { Empty, Failure, Pending, Time, Told, useAttempt, useLoad } from "../ui/basics";
import { ChosenDevices, useNames } from "../ui/chosen";
import { Secret } from "../ui/secret";
import { Table } from "../ui/table";

interface Link {
  id: number;
  name: string;
  device_ids: string[];
  created_at: string;
  expires_at: string;
  /** Of share links: the first moment that is shown of the past; `null` shows none of it. */
  history_from?: string | null;
}

/** What was just made and is shown once. */
interface Made {
  id: number;
  secret: string;
}

interface KindOfLink {
  path: string;
  list: "shares" | "tokens";
  id: "share_id" | "token_id";
  make: "admin.share.new" | "admin.token.new";
  shows: "admin.share" | "admin.token";
  about: "admin.share.about" | "admin.token.about";
  /** What is shown once. */
  secret: (made: { url?: string; token?: string }) => string;
  extra: object;
}

type NewAnswer = { url?: string; token?: string; share_id?: number; token_id?: number };

const HOURS = [1, 8, 24, 168, 720] as const;

const SHARES: KindOfLink = {
  path: "/api/v1/shares",
  list: "shares",
  id: "share_id",
  make: "admin.share.new",
  shows: "admin.share",
  about: "admin.share.about",
  secret: ({ url }) => `${location.origin}${url ?? ""}`,
  extra: {},
};
const TOKENS: KindOfLink = {
  path: "/api/v1/tokens",
  list: "tokens",
  id: "token_id",
  make: "admin.token.new",
  shows: "admin.token",
  about: "admin.token.about",
  secret: ({ token }) => token ?? "",
  extra: { scopes: ["read", "stream"] },
};

export const SharesAdmin = (): JSX.Element => <Links key="shares" kind={SHARES} />;
export const TokensAdmin = (): JSX.Element => <Links key="tokens" kind={TOKENS} />;

function Links({ kind }: { kind: KindOfLink }): JSX.Element {
  const nameOf = useNames();
  const [loaded, again] = useLoad(kind.path, async (signal) => {
    const answer = await get<Record<string, Record<string, unknown>[]>>(`${kind.path}/`, {}, signal);
    return (answer[kind.list] ?? []).map((one) => ({ ...one, id: one[kind.id] })) as Link[];
  });
  const [failed, attempt] = useAttempt();
  const [made, setMade] = useState<Made | null>(null);
  const [told, setTold] = useState<string | null>(null);
  const revoke = async ({ id, name }: Link): Promise<void> => {
    if (!confirm(t("admin.revoke.confirm", { name }))) return;
    await attempt(async () => {
      await change("DELETE", `${kind.path}/${id}`);
      // What is good no more is not there to be copied.
      if (made?.id === id) setMade(null);
      setTold(t("admin.revoked", { name }));
      again();
    });
  };
  return (
    <>
      <NewLink
        kind={kind}
        made={(next) => {
          setMade(next);
          setTold(null);
          again();
        }}
      />
      {made && (
        <Secret
          shown={{ title: t("admin.secret"), lines: [[t(kind.shows), made.secret]] }}
          close={() => setMade(null)}
        />
      )}
      {told && <Told text={told} />}
      {failed && <Failure text={failed} />}
      <Pending loaded={loaded} again={again} />
      {loaded.value?.length === 0 && <Empty title={t("admin.none")} hint={t(kind.about)} />}
      {loaded.value && loaded.value.length > 0 && (
        <Table
          stack
          label={t(`admin.${kind.list}`)}
          heads={[
            t("admin.name"),
            t("admin.devices"),
            kind.list === "shares" && t("admin.share.shows"),
            t("admin.created"),
            t("admin.expires"),
            { name: t("admin.revoke"), is: "actions" },
          ]}
        >
          {loaded.value.map((link) => (
            <tr key={link.id}>
              <td>
                <strong>{link.name}</strong>
              </td>
              <td class="names" data-label={t("admin.devices")}>
                {link.device_ids.map(nameOf).join(", ")}
              </td>
              {kind.list === "shares" && (
                <td class="names" data-label={t("admin.share.shows")}>
                  <Shows from={link.history_from} />
                </td>
              )}
              <td data-label={t("admin.created")}>
                <Time ms={Date.parse(link.created_at)} />
              </td>
              <td data-label={t("admin.expires")}>
                <Time ms={Date.parse(link.expires_at)} />
              </td>
              <td class="number">
                <button
                  type="button"
                  class="button small danger"
                  aria-label={`${t("admin.revoke")} ${link.name}`}
                  onClick={() => void revoke(link)}
                >
                  {t("admin.revoke")}
                </button>
              </td>
            </tr>
          ))}
        </Table>
      )}
    </>
  );
}

/** What a link shows, in words. */
function Shows({ from }: { from: string | null | undefined }): JSX.Element {
  if (from === null) return <>{t("admin.share.live")}</>;
  const ms = from ? Date.parse(from) : 0;
  if (ms === 0) return <>{t("admin.share.all")}</>;
  return (
    <>
      {t("admin.share.since")} <Time ms={ms} />
    </>
  );
}

function NewLink({ kind, made }: { kind: KindOfLink; made: (made: Made) => void }): JSX.Element {
  const form = useRef<HTMLFormElement>(null);
  const [devices, setDevices] = useState<string[]>([]);
  const [hours, setHours] = useState(24);
  const [past, setPast] = useState(false);
  const [from, setFrom] = useState(() => formatMinute(startOfDay(nowMs())));
  const [failed, attempt, fail] = useAttempt();
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const data = new FormData(form.current!);
    if (devices.length === 0) return fail(t("report.choose"));
    await attempt(async () => {
      const fromMs = parseMinute(from);
      const history =
        kind.list === "shares" && past && fromMs !== null ? { history_from: new Date(fromMs).toISOString() } : {};
      const answer = await change<NewAnswer>("POST", `${kind.path}/`, {
        name: String(data.get("name")),
        device_ids: devices,
        expires_in: hours * 3600,
        ...history,
        ...kind.extra,
      });
      setDevices([]);
      form.current?.reset();
      made({ id: answer.share_id ?? answer.token_id ?? 0, secret: kind.secret(answer) });
    });
  };
  return (
    <section class="card">
      <h2>{t(kind.make)}</h2>
      <form class="form-row" ref={form} onSubmit={(event) => void submit(event)}>
        <label class="field">
          <span>{t("admin.name")}</span>
          <input name="name" required maxLength={100} />
        </label>
        <label class="field">
          <span>{t("admin.share.hours")}</span>
          <select value={String(hours)} onChange={(event) => setHours(Number(event.currentTarget.value))}>
            {HOURS.map((count) => (
              <option key={count} value={String(count)}>
                {count < 48 ? t("duration.hours", { count }) : t("duration.days", { count: count / 24 })}
              </option>
            ))}
          </select>
        </label>
        <div class="field grow">
          <span>{t("admin.share.devices")}</span>
          <ChosenDevices
            ids={devices}
            add={(id) => setDevices((before) => [...new Set([...before, id])])}
            remove={(id) => setDevices((before) => before.filter((other) => other !== id))}
          />
        </div>
        {kind.list === "shares" && (
          <fieldset class="field whole">
            <legend>{t("admin.share.shows")}</legend>
            <label class="check">
              <input type="radio" name="shows" checked={!past} onChange={() => setPast(false)} />
              <span>
                {t("admin.share.live")} <small>{t("admin.share.live.hint")}</small>
              </span>
            </label>
            <label class="check">
              <input type="radio" name="shows" checked={past} onChange={() => setPast(true)} />
              <span>
                {t("admin.share.past")} <small>{t("admin.share.past.hint")}</small>
              </span>
            </label>
            {past && (
              <label class="check">
                <span>{t("admin.share.since")}</span>
                <input
                  type="datetime-local"
                  required
                  value={from}
                  onInput={(event) => setFrom(event.currentTarget.value)}
                />
              </label>
            )}
          </fieldset>
        )}
        <button type="submit" class="button primary">
          {t("admin.add")}
        </button>
      </form>
      {failed && <Failure text={failed} />}
    </section>
  );
}
