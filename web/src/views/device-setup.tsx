// What to enter in a device of a protocol, so that it reaches this system.

import type { JSX } from "preact";

import { ApiError, get } from "../api/client";
import { type Listener, type Protocol, waysOf } from "../state/setup";
import { t } from "../text/language";
import { Pending, useLoad } from "../ui/basics";
import { Lines } from "../ui/secret";

async function load(signal: AbortSignal): Promise<Listener[]> {
  try {
    return (await get<{ listeners: Listener[] }>("/api/v1/listeners", {}, signal)).listeners;
  } catch (error) {
    // A server of before there were listeners in the API.
    if (error instanceof ApiError && error.status === 404) return [];
    throw error;
  }
}

export function DeviceSetup({ protocol, device }: { protocol: Protocol; device: string | null }): JSX.Element {
  const [loaded, again] = useLoad("listeners", load);
  if (!loaded.value) return <Pending loaded={loaded} again={again} />;
  const ways = waysOf(protocol.name, loaded.value, location.hostname, device);
  return (
    <div class="setup" role="group" aria-label={t("setup.title", { protocol: protocol.label })}>
      <p>
        <strong>{t("setup.title", { protocol: protocol.label })}</strong>
      </p>
      {ways.length === 0 && <p class="none">{t("setup.none", { setting: protocol.setting })}</p>}
      {ways.map((way) => (
        <div class="setup-way" key={`${way.transport} ${way.lines[0]?.[1]} ${way.lines[1]?.[1]}`}>
          <p class="setup-transport">{way.transport.toUpperCase()}</p>
          <Lines lines={way.lines.map(([name, value]) => [t(name), value])} />
          {way.local && <p class="secret-hint">{t("setup.local")}</p>}
        </div>
      ))}
      {protocol.kind === "imei:" && <p class="secret-hint">{t("setup.imei")}</p>}
    </div>
  );
}
