// Groups of devices: make, fill, delete.

import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";

import { change, get } from "../api/client";
import type { Group } from "../api/types";
import { useLive } from "../state/live";
import * as format from "../text/format";
import { t } from "../text/language";
import { Empty, Failure, reason, Spinner, useLoad } from "../ui/basics";
import { DevicePicker } from "../ui/device-picker";
import { Icon } from "../ui/icons";

export function GroupsAdmin(): JSX.Element {
  const source = useLive();
  const form = useRef<HTMLFormElement>(null);
  const [failed, setFailed] = useState<string | null>(null);
  const [open, setOpen] = useState<number | null>(null);
  const [loaded, again] = useLoad("groups", async (signal) => {
    return (await get<{ groups: Group[] }>("/api/v1/groups/", {}, signal)).groups;
  });
  const act = async (work: () => Promise<unknown>): Promise<void> => {
    setFailed(null);
    try {
      await work();
      again();
      source?.refresh();
    } catch (error) {
      setFailed(reason(error));
    }
  };
  const add = (event: Event): void => {
    event.preventDefault();
    const name = String(new FormData(form.current!).get("name"));
    void act(async () => {
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
      {loaded.state === "failed" && <Failure text={loaded.text} retry={again} />}
      {loaded.state === "loading" && !loaded.value && <Spinner />}
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
                  void act(() => change("DELETE", `/api/v1/groups/${group.group_id}/`));
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

function Members(props: { id: number; act: (work: () => Promise<unknown>) => Promise<void> }): JSX.Element {
  const source = useLive();
  const [loaded] = useLoad(String(props.id), async (signal) => {
    return (await get<{ device_ids: string[] }>(`/api/v1/groups/${props.id}/`, {}, signal)).device_ids;
  });
  const path = (device: string): string => `/api/v1/groups/${props.id}/devices/${device}/`;
  if (loaded.state === "loading") return <Spinner />;
  if (loaded.state === "failed") return <Failure text={loaded.text} />;
  return (
    <div class="members">
      <DevicePicker label={t("report.pick")} onPick={({ id }) => void props.act(() => change("PUT", path(id)))} />
      {loaded.value.length === 0 && <p class="none">{t("admin.group.empty")}</p>}
      <div class="chosen">
        {loaded.value.map((id) => (
          <span class="tag" key={id}>
            {source?.fleet.units.get(id)?.name ?? id}
            <button
              type="button"
              aria-label={t("report.remove", { name: id })}
              onClick={() => void props.act(() => change("DELETE", path(id)))}
            >
              <Icon name="close" size={12} />
            </button>
          </span>
        ))}
      </div>
    </div>
  );
}
