// Groups of devices: make, fill, delete.

import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";

import { change, get } from "../api/client";
import type { Group } from "../api/types";
import { useLive } from "../state/live";
import { segment } from "../state/route";
import * as format from "../text/format";
import { t } from "../text/language";
import { Empty, Failure, Pending, useAttempt, useLoad } from "../ui/basics";
import { ChosenDevices } from "../ui/chosen";

export function GroupsAdmin(): JSX.Element {
  const source = useLive();
  const form = useRef<HTMLFormElement>(null);
  const [failed, attempt] = useAttempt();
  const [open, setOpen] = useState<number | null>(null);
  const [loaded, again] = useLoad("groups", async (signal) => {
    return (await get<{ groups: Group[] }>("/api/v1/groups/", {}, signal)).groups;
  });
  const act = (work: () => Promise<unknown>): void =>
    void attempt(async () => {
      await work();
      again();
      source?.refresh();
    });
  const add = (event: Event): void => {
    event.preventDefault();
    const name = String(new FormData(form.current!).get("name"));
    act(async () => {
      await change("POST", "/api/v1/groups/", { name });
      form.current?.reset();
    });
  };
  return (
    <>
      <section class="card">
        <form class="inline-form" ref={form} onSubmit={add}>
          <input name="name" required maxLength={100} aria-label={t("admin.name")} placeholder={t("admin.name")} />
          <button type="submit" class="button primary">
            {t("admin.add")}
          </button>
        </form>
        {failed && <Failure text={failed} />}
      </section>
      <Pending loaded={loaded} again={again} />
      {loaded.value?.length === 0 && <Empty title={t("admin.groups.none")} hint={t("admin.groups.about")} />}
      {(loaded.value ?? []).map((group) => (
        <section class="card" key={group.group_id}>
          <div class="result-bar">
            <button
              type="button"
              class="button quiet"
              aria-expanded={open === group.group_id}
              onClick={() => setOpen(open === group.group_id ? null : group.group_id)}
            >
              <strong>{group.name}</strong> <span class="tag">{format.count(group.devices)}</span>
            </button>
            <button
              type="button"
              class="button small danger"
              onClick={() => {
                if (confirm(t("admin.group.confirm", { name: group.name }))) {
                  act(() => change("DELETE", `/api/v1/groups/${group.group_id}/`));
                }
              }}
            >
              {t("admin.delete")}
            </button>
          </div>
          {open === group.group_id && <Members key={group.devices} id={group.group_id} act={act} />}
        </section>
      ))}
    </>
  );
}

function Members(props: { id: number; act: (work: () => Promise<unknown>) => void }): JSX.Element {
  const [loaded] = useLoad(String(props.id), async (signal) => {
    return (await get<{ device_ids: string[] }>(`/api/v1/groups/${props.id}/`, {}, signal)).device_ids;
  });
  const path = (device: string): string => `/api/v1/groups/${props.id}/devices/${segment(device)}/`;
  if (!loaded.value) return <Pending loaded={loaded} />;
  return (
    <div class="members">
      <ChosenDevices
        ids={loaded.value}
        add={(id) => props.act(() => change("PUT", path(id)))}
        remove={(id) => props.act(() => change("DELETE", path(id)))}
      >
        {loaded.value.length === 0 && <p class="none">{t("admin.group.empty")}</p>}
      </ChosenDevices>
    </div>
  );
}
