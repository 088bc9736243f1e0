// The newest frames of a device, decoded field by field, and for administrators
// what became of each.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { type Found, lookUp, newest } from "../api/history";
import type { Row } from "../api/types";
import { isAdmin } from "../state/app";
import type { Key } from "../text/en";
import * as format from "../text/format";
import { t } from "../text/language";
import { Failure, Spinner, Time, useLoad } from "../ui/basics";

const MOST = 20;

export function Frames({ id }: { id: string }): JSX.Element {
  const [loaded, again] = useLoad(id, (signal) => newest(id, MOST, signal));
  const [open, setOpen] = useState<string | null>(null);
  return (
    <section>
      <h2 class="with-button">
        {t("device.frames")}
        <button type="button" class="button small quiet" onClick={again}>
          {t("common.refresh")}
        </button>
      </h2>
      {loaded.state === "failed" && <Failure text={loaded.text} retry={again} />}
      {loaded.state === "loading" && !loaded.value && <Spinner />}
      <ul class="frames">
        {(loaded.value ?? []).map((row) => {
          const key = `${row.recorded_at}${row.received_at}`;
          return (
            <li key={key}>
              <button
                type="button"
                aria-expanded={open === key}
                onClick={() => setOpen(open === key ? null : key)}
              >
                <Time ms={Date.parse(row.recorded_at)} />
                <span>{format.speed(row.speed_kmh)}</span>
                <span class="unit-sub">{row.historical ? t("frame.historical") : ""}</span>
              </button>
              {open === key && <Fields row={row} />}
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function Fields({ row }: { row: Row }): JSX.Element {
  return (
    <div class="fields">
      <table>
        <caption class="hidden">{t("frame.fields")}</caption>
        <tbody>
          {Object.entries(row).map(([name, value]) => (
            <tr key={name}>
              <th scope="row">
                <code>{name}</code>
              </th>
              <td>
                <code>{String(value)}</code>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {isAdmin() && <Fate row={row} />}
    </div>
  );
}

function Fate({ row }: { row: Row }): JSX.Element {
  const [loaded] = useLoad<Found>(row.recorded_at, (signal) =>
    lookUp(row.device_id, row.recorded_at, signal),
  );
  if (loaded.state !== "done") return <Spinner />;
  const { outcome, rows } = loaded.value;
  return (
    <p class="fate">
      {t("frame.look")}: <strong>{t(`outcome.${outcome}` as Key)}</strong>
      {rows.map((found) => (
        <span key={found.frame_hash}>
          {t("frame.hash")} <code>{found.frame_hash}</code> · {t("frame.again")}{" "}
          {format.count(found.duplicates)}
        </span>
      ))}
    </p>
  );
}
