// Share links and tokens: some devices, for some time, shown once, revocable.

import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";

import { change, get } from "../api/client";
import { useLive } from "../state/live";
import { t } from "../text/language";
import { Empty, Failure, Spinner, Time, reason, useLoad } from "../ui/basics";
import { DevicePicker } from "../ui/device-picker";
import { Icon } from "../ui/icons";
import { Secret } from "../ui/secret";

interface Link {
  id: number;
  name: string;
  device_ids: string[];
  created_at: string;
  expires_at: string;
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
  const [loaded, again] = useLoad(kind.path, async (signal) => {
    const answer = await get<Record<string, Record<string, unknown>[]>>(`${kind.path}/`, {}, signal);
    return (answer[kind.list] ?? []).map((one) => ({ ...one, id: one[kind.id] })) as Link[];
  });
  const [failed, setFailed] = useState<string | null>(null);
  const revoke = async (id: number): Promise<void> => {
    setFailed(null);
    try {
      await change("DELETE", `${kind.path}/${id}`);
      again();
    } catch (error) {
      setFailed(reason(error));
    }
  };
  return (
    <>
      <NewLink kind={kind} made={again} />
      {failed && <Failure text={failed} />}
      {loaded.state === "failed" && <Failure text={loaded.text} retry={again} />}
      {loaded.state === "loading" && !loaded.value && <Spinner />}
      {loaded.value?.length === 0 && <Empty title={t("admin.none")} hint={t(kind.about)} />}
      {loaded.value && loaded.value.length > 0 && (
        <div class="table-scroll" tabIndex={0} role="region" aria-label={t(`admin.${kind.list}`)}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t("admin.name")}</th>
                <th scope="col">{t("admin.devices")}</th>
                <th scope="col">{t("admin.created")}</th>
                <th scope="col">{t("admin.expires")}</th>
                <th scope="col">
                  <span class="hidden">{t("admin.revoke")}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {loaded.value.map((link) => (
                <tr key={link.id}>
                  <td>
                    <strong>{link.name}</strong>
                  </td>
                  <td>{link.device_ids.join(", ")}</td>
                  <td>
                    <Time ms={Date.parse(link.created_at)} />
                  </td>
                  <td>
                    <Time ms={Date.parse(link.expires_at)} />
                  </td>
                  <td class="number">
                    <button type="button" class="button small danger" onClick={() => void revoke(link.id)}>
                      {t("admin.revoke")}
                    </button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

function NewLink({ kind, made }: { kind: KindOfLink; made: () => void }): JSX.Element {
  const source = useLive();
  const form = useRef<HTMLFormElement>(null);
  const [devices, setDevices] = useState<string[]>([]);
  const [secret, setSecret] = useState<string | null>(null);
  const [failed, setFailed] = useState<string | null>(null);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const data = new FormData(form.current!);
    setFailed(null);
    if (devices.length === 0) {
      setFailed(t("report.choose"));
      return;
    }
    try {
      const answer = await change<{ url?: string; token?: string }>("POST", `${kind.path}/`, {
        name: String(data.get("name")),
        device_ids: devices,
        expires_in: Number(data.get("hours")) * 3600,
        ...kind.extra,
      });
      setSecret(kind.secret(answer));
      setDevices([]);
      form.current?.reset();
      made();
    } catch (error) {
      setFailed(reason(error));
    }
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
          <select name="hours" defaultValue="24">
            {HOURS.map((hours) => (
              <option key={hours} value={hours} selected={hours === 24}>
                {hours < 48 ? t("duration.hours", { count: hours }) : t("duration.days", { count: hours / 24 })}
              </option>
            ))}
          </select>
        </label>
        <div class="field grow">
          <span>{t("admin.share.devices")}</span>
          <DevicePicker
            label={t("report.pick")}
            onPick={({ id }) => setDevices((before) => [...new Set([...before, id])])}
          />
          <div class="chosen">
            {devices.map((id) => (
              <span class="tag" key={id}>
                {source?.fleet.units.get(id)?.name ?? id}
                <button
                  type="button"
                  aria-label={t("report.remove", { name: id })}
                  onClick={() => setDevices(devices.filter((other) => other !== id))}
                >
                  <Icon name="close" size={12} />
                </button>
              </span>
            ))}
          </div>
        </div>
        <button type="submit" class="button primary">
          {t("admin.add")}
        </button>
      </form>
      {failed && <Failure text={failed} />}
      {secret && (
        <Secret shown={{ title: t("admin.secret"), lines: [[t(kind.shows), secret]] }} close={() => setSecret(null)} />
      )}
    </section>
  );
}
