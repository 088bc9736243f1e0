// Devices: what people call them, and the secret with which each signs in.

import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";

import { change } from "../api/client";
import type { DeviceLogin } from "../api/types";
import { NO_FILTER, shown, type Unit } from "../state/fleet";
import { useLive } from "../state/live";
import { segment } from "../state/route";
import { identityOf, PROTOCOLS } from "../state/setup";
import * as format from "../text/format";
import { t } from "../text/language";
import { Empty, Failure, StatusDot, useAttempt } from "../ui/basics";
import { Secret, type Shown } from "../ui/secret";
import { Table } from "../ui/table";
import { DeviceForm } from "./admin-device-form";
import { DeviceSetup } from "./device-setup";

const MOST_SHOWN = 200;
/** Protocols whose devices sign in. */
const MQTT = new Set(["sft9001", "owntracks", "telemetry"]);

export function DevicesAdmin(): JSX.Element {
  const source = useLive();
  const form = useRef<HTMLFormElement>(null);
  const [text, setText] = useState("");
  const [failed, attempt] = useAttempt();
  const [edited, setEdited] = useState<string | null>(null);
  const [drawn, setDrawn] = useState<Shown | null>(null);
  const [protocol, setProtocol] = useState(PROTOCOLS[0]!);
  const [id, setId] = useState("");
  const units = source ? shown(source.fleet, { ...NO_FILTER, text }, "name") : [];

  const put = (id: string, name: string, vehicle: string) =>
    attempt(async () => {
      await change("PATCH", `/api/v1/devices/${segment(id)}/`, { name, vehicle });
      source?.refresh();
      return true;
    });
  const draw = async (id: string): Promise<void> => {
    const login = await attempt(() => change<DeviceLogin>("POST", `/api/v1/devices/${segment(id)}/login`));
    if (!login) return;
    setDrawn({
      title: t("admin.secret"),
      lines: [
        [t("admin.mqtt.user"), login.username],
        [t("admin.mqtt.password"), login.secret],
      ],
      hint: `${t("admin.secret.hint")}${login.replaced ? ` ${t("admin.secret.replaced")}` : ""}`,
    });
  };
  const add = async (event: Event): Promise<void> => {
    event.preventDefault();
    const data = new FormData(form.current!);
    const field = (name: string): string => String(data.get(name) ?? "").trim();
    const identity = identityOf(protocol, field("id")) ?? field("id");
    setDrawn(null);
    if (!(await put(identity, field("name"), field("vehicle")))) return;
    form.current?.reset();
    setId(identity);
    // Others know no secret.
    if (MQTT.has(protocol.name)) await draw(identity);
  };

  return (
    <>
      <section class="card">
        <h2>{t("admin.device.add")}</h2>
        <form class="form-row" ref={form} onSubmit={(event) => void add(event)}>
          <label class="field">
            <span>{t("setup.protocol")}</span>
            <select
              value={protocol.name}
              onChange={(event) => {
                const { value } = event.currentTarget;
                setProtocol(PROTOCOLS.find(({ name }) => name === value) ?? PROTOCOLS[0]!);
                setDrawn(null);
              }}
            >
              {PROTOCOLS.map(({ name, label }) => (
                <option key={name} value={name}>
                  {label}
                </option>
              ))}
            </select>
          </label>
          <label class="field">
            <span>{t("admin.device.id")}</span>
            <input
              name="id"
              class="mono"
              required
              placeholder={protocol.example}
              title={t("admin.device.id.hint")}
              onInput={(event) => {
                const { currentTarget: input } = event;
                const identity = identityOf(protocol, input.value.trim());
                input.setCustomValidity(identity ? "" : t("admin.device.id.hint"));
                setId(identity ?? "");
              }}
            />
          </label>
          <label class="field grow">
            <span>{t("admin.name")}</span>
            <input name="name" required maxLength={100} />
          </label>
          <label class="field grow">
            <span>{t("admin.vehicle")}</span>
            <input name="vehicle" maxLength={100} />
          </label>
          <button type="submit" class="button primary">
            {t("admin.add")}
          </button>
        </form>
        {MQTT.has(protocol.name) && <p class="card-hint">{t("admin.device.hint")}</p>}
        {failed && <Failure text={failed} />}
        <DeviceSetup protocol={protocol} device={id || null} />
        {drawn && <Secret shown={drawn} close={() => setDrawn(null)} />}
      </section>
      <input
        type="search"
        aria-label={t("fleet.search")}
        placeholder={t("fleet.search")}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      {units.length === 0 && <Empty title={t("fleet.none")} />}
      {units.length > 0 && (
        <Table
          stack
          label={t("admin.devices")}
          heads={[
            t("admin.device.id"),
            t("admin.name"),
            t("admin.vehicle"),
            t("admin.groups"),
            { name: t("admin.actions"), is: "actions" },
          ]}
        >
          {units.slice(0, MOST_SHOWN).map((unit) => (
            <Row
              key={unit.id}
              unit={unit}
              open={edited === unit.id}
              edit={() => setEdited(edited === unit.id ? null : unit.id)}
              done={(changed) => {
                setEdited(null);
                if (changed) source?.refresh();
              }}
              put={put}
              draw={draw}
            />
          ))}
        </Table>
      )}
      {units.length > MOST_SHOWN && (
        <p class="none">{t("admin.devices.more", { shown: MOST_SHOWN, total: format.count(units.length) })}</p>
      )}
    </>
  );
}

/** Name and vehicle are saved when their field is left, if it changed; all else in a form below. */
function Row(props: {
  unit: Unit;
  open: boolean;
  edit: () => void;
  done: (changed: boolean) => void;
  put: (id: string, name: string, vehicle: string) => Promise<unknown>;
  draw: (id: string) => Promise<void>;
}): JSX.Element {
  const { unit, open, put, draw } = props;
  const name = unit.name === unit.id ? "" : unit.name;
  const vehicle = unit.vehicle ?? "";
  return (
    <>
      <tr>
        <td>
          <span class="with-dot">
            <StatusDot status={unit.status} />
            <a class="mono" href={`#/device/${segment(unit.id)}`}>
              {unit.id}
            </a>
          </span>
        </td>
        <td>
          <input
            aria-label={`${t("admin.name")} ${unit.id}`}
            placeholder={t("admin.name.none")}
            defaultValue={name}
            maxLength={100}
            onChange={(event) => void put(unit.id, event.currentTarget.value, vehicle)}
          />
        </td>
        <td>
          <input
            aria-label={`${t("admin.vehicle")} ${unit.id}`}
            placeholder={t("admin.vehicle.none")}
            defaultValue={vehicle}
            maxLength={100}
            onChange={(event) => void put(unit.id, name, event.currentTarget.value)}
          />
        </td>
        <td class="names" data-label={unit.groups.length > 0 ? t("admin.groups") : undefined}>
          {unit.groups.join(", ")}
        </td>
        <td class="number">
          <span class="row-actions">
            <button
              type="button"
              class="button small"
              aria-expanded={open}
              aria-label={`${t("admin.edit")} ${unit.id}`}
              onClick={props.edit}
            >
              {t("admin.edit")}
            </button>
            <button
              type="button"
              class="button small"
              aria-label={`${t("admin.secret.new")} ${unit.id}`}
              onClick={() => {
                if (confirm(t("admin.secret.confirm", { name: unit.name }))) void draw(unit.id);
              }}
            >
              {t("admin.secret.new")}
            </button>
          </span>
        </td>
      </tr>
      {open && (
        <tr class="row-form">
          <td colSpan={5}>
            <DeviceForm id={unit.id} done={props.done} />
          </td>
        </tr>
      )}
    </>
  );
}
