// What the history takes on disk.

import type { JSX } from "preact";

import { get } from "../api/client";
import type { Storage } from "../api/types";
import * as format from "../text/format";
import { t } from "../text/language";
import { Pending, Time, useLoad } from "../ui/basics";

export function StorageCard(): JSX.Element {
  const [loaded, again] = useLoad<Storage>("storage", (signal) => get("/api/v1/storage", {}, signal));
  return (
    <section class="card">
      <h2>{t("system.storage")}</h2>
      <Pending loaded={loaded} again={again} />
      {loaded.state === "done" && (
        <dl class="sums">
          <div>
            <dt>{t("storage.bytes")}</dt>
            <dd>{format.bytes(loaded.value.bytes)}</dd>
          </div>
          <div>
            <dt>{t("storage.day")}</dt>
            <dd>{format.count(loaded.value.rows_last_day)}</dd>
          </div>
          {loaded.value.rows !== null && (
            <div>
              <dt>{t("storage.rows")}</dt>
              <dd>{format.count(loaded.value.rows)}</dd>
            </div>
          )}
          <div>
            <dt>{t("storage.oldest")}</dt>
            <dd class="is-text">
              <Time ms={loaded.value.oldest_at ? Date.parse(loaded.value.oldest_at) : null} as="day" />
            </dd>
          </div>
        </dl>
      )}
    </section>
  );
}
