// The newest frames of a device, decoded field by field, and for administrators
// what became of each.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { type Found, lookUp, newest } from "../api/history";
import type { Row } from "../api/types";
import { isAdmin } from "../state/app";
import { doubtOf } from "../state/track";
import type { Key } from "../text/en";
import * as format from "../text/format";
import { t } from "../text/language";
import { Pending, Time, useLoad, useNews } from "../ui/basics";
import { FrameBytes } from "./frame-bytes";

const MOST = 20;

/** New rows are shown this soon. */
const EVERY_MS = 3_000;

export function Frames({ id, heardMs }: { id: string; heardMs: number | null }): JSX.Element {
  const [loaded, again, refresh] = useLoad(id, (signal) => newest(id, MOST, signal));
  useNews(heardMs, EVERY_MS, refresh);
  const [open, setOpen] = useState<string | null>(null);
  return (
    <section>
      <h2 class="with-button">
        {t("device.frames")}
        <button type="button" class="button small quiet" onClick={again}>
          {t("common.refresh")}
        </button>
      </h2>
      <Pending loaded={loaded} again={again} />
      <ul class="frames">
        {(loaded.value ?? []).map((row) => {
          const key = `${row.recorded_at}${row.received_at}`;
          return (
            <li key={key}>
              <button type="button" aria-expanded={open === key} onClick={() => setOpen(open === key ? null : key)}>
                <Time ms={Date.parse(row.recorded_at)} />
                <span>{format.speed(row.speed_kmh)}</span>
                <span class="unit-sub">
                  {row.historical ? t("frame.historical") : ""}
                  {doubtOf(row) && <strong class="old-position"> {t(`doubt.${doubtOf(row)!}`)}</strong>}
                </span>
              </button>
              {open === key && <Fields row={row} />}
            </li>
          );
        })}
      </ul>
    </section>
  );
}

/** Administrators see the bytes and their fate; others what was made of them. */
function Fields({ row }: { row: Row }): JSX.Element {
  return <div class="fields">{isAdmin() ? <Fate row={row} /> : <Values row={row} />}</div>;
}

function Values({ row }: { row: Row }): JSX.Element {
  const lines: [Key, string][] = [
    ["decode.recorded", format.dateTime(Date.parse(row.recorded_at))],
    ["device.received", format.dateTime(Date.parse(row.received_at))],
    ["decode.latitude", row.latitude === null ? format.NOTHING : `${row.latitude.toFixed(6)}°`],
    ["decode.longitude", row.longitude === null ? format.NOTHING : `${row.longitude.toFixed(6)}°`],
    ["decode.speed", format.speed(row.speed_kmh)],
    ["decode.direction", format.heading(row.direction_deg)],
    ["decode.odometer", `${format.count(row.odometer_m)} m`],
    ["decode.hours", `${format.count(row.hour_meter_min)} min`],
    ["device.ignition", t(row.ignition ? "device.ignition.on" : "device.ignition.off")],
    ["device.fix", t(row.gps_fix ? "device.fix.yes" : "device.fix.no")],
  ];
  return (
    <table>
      <caption class="hidden">{t("frame.fields")}</caption>
      <tbody>
        {lines.map(([name, text]) => (
          <tr key={name}>
            <th scope="row">{t(name)}</th>
            <td>{text}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Fate({ row }: { row: Row }): JSX.Element {
  const [loaded, again] = useLoad<Found>(row.recorded_at, (signal) => lookUp(row.device_id, row.recorded_at, signal));
  if (!loaded.value) return <Pending loaded={loaded} again={again} />;
  const { outcome, rows } = loaded.value;
  // Two frames of one second are told apart by their arrival.
  const found = rows.find((one) => one.received_at === row.received_at) ?? rows[0];
  return (
    <>
      {found?.frame ? <FrameBytes hex={found.frame} /> : <Values row={row} />}
      <p class="fate">
        <span>
          {t("frame.look")}: <strong>{t(`outcome.${outcome}` as Key)}</strong>
        </span>
        <span>
          {t("device.received")} <Time ms={Date.parse(row.received_at)} />
        </span>
        {found && (
          <span>
            {t("frame.hash")} <code>{found.frame_hash}</code>
            {found.duplicates > 0 && ` · ${t("frame.again", { count: format.count(found.duplicates) })}`}
          </span>
        )}
      </p>
    </>
  );
}
