// Everything that people say of one device: names, tags, groups, and the thresholds
// that hold for it alone. Saved as one.

import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";

import { ApiError, change, get } from "../api/client";
import { type Defaults, settings } from "../api/settings";
import type { Group, Profile, RetentionClass } from "../api/types";
import { profileOf, regrouped, shownNumber } from "../state/profile";
import { segment } from "../state/route";
import * as format from "../text/format";
import { t } from "../text/language";
import { Failure, Pending, useAttempt, useLoad } from "../ui/basics";

interface Known {
  profile: Profile;
  groups: Group[];
  classes: RetentionClass[];
  defaults: Defaults | null;
}

async function load(id: string, signal: AbortSignal): Promise<Known> {
  const [profile, { groups }, { classes }, { defaults }] = await Promise.all([
    get<Profile>(`/api/v1/devices/${segment(id)}/`, {}, signal),
    get<{ groups: Group[] }>("/api/v1/groups/", {}, signal),
    get<{ classes: RetentionClass[] }>("/api/v1/retention-classes", {}, signal).catch((error: unknown) => {
      // A server of before there were classes.
      if (error instanceof ApiError && error.status === 404) return { classes: [] };
      throw error;
    }),
    settings(),
  ]);
  return { profile, groups, classes, defaults };
}

/** `done` when it is closed, with whether something was changed. */
export function DeviceForm({ id, done }: { id: string; done: (changed: boolean) => void }): JSX.Element {
  const [loaded, again] = useLoad(id, (signal) => load(id, signal));
  if (!loaded.value) return <Pending loaded={loaded} again={again} />;
  return <Fields id={id} known={loaded.value} done={done} />;
}

/** What the API keeps in seconds, people say in minutes. */
const NUMBERS = [
  { name: "live_ttl_s", label: "admin.ttl", max: 2_592_000, per: 60 },
  { name: "motion_kmh", label: "admin.motion", max: 100, per: 1 },
  { name: "stop_s", label: "admin.stop", max: 86_400, per: 60 },
] as const;

function Fields({ id, known, done }: { id: string; known: Known; done: (changed: boolean) => void }): JSX.Element {
  const { profile, groups, classes, defaults } = known;
  const form = useRef<HTMLFormElement>(null);
  const [failed, attempt] = useAttempt();
  const [busy, setBusy] = useState(false);
  const act = async (work: () => Promise<unknown>): Promise<void> => {
    setBusy(true);
    const worked = await attempt(async () => {
      await work();
      return true;
    });
    if (worked) done(true);
    else setBusy(false);
  };
  const save = async (): Promise<void> => {
    const data = new FormData(form.current!);
    await change(
      "PATCH",
      `/api/v1/devices/${segment(id)}/`,
      profileOf((name) => String(data.get(name) ?? "")),
    );
    const { into, outOf } = regrouped(
      profile.groups.map(({ group_id }) => group_id),
      data.getAll("group").map(Number),
    );
    const path = (group: number): string => `/api/v1/groups/${group}/devices/${segment(id)}/`;
    for (const group of into) await change("PUT", path(group));
    for (const group of outOf) await change("DELETE", path(group));
  };
  const remove = (): Promise<void> => change("DELETE", `/api/v1/devices/${segment(id)}/`);
  const period = ({ name, keep_s }: RetentionClass): string =>
    `${name} (${keep_s === null ? t("admin.keep.ever") : format.duration(keep_s)})`;
  const named = classes.some(({ name }) => name === profile.retention);

  return (
    <form
      ref={form}
      class="device-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy) void act(save);
      }}
    >
      <div class="form-grid">
        <label class="field">
          <span>{t("admin.name")}</span>
          <input name="name" maxLength={100} defaultValue={profile.name} />
        </label>
        <label class="field">
          <span>{t("admin.vehicle")}</span>
          <input name="vehicle" maxLength={100} defaultValue={profile.vehicle} />
        </label>
        <label class="field">
          <span>{t("admin.tags")}</span>
          <input name="tags" defaultValue={profile.tags.join(", ")} placeholder={t("admin.tags.hint")} />
        </label>
        {NUMBERS.map(({ name, label, max, per }) => (
          <label class="field" key={name}>
            <span>{t(label)}</span>
            <input
              name={name}
              type="number"
              min={per === 1 ? 1 : 0.1}
              max={max / per}
              step={per === 1 ? 1 : "any"}
              defaultValue={shownNumber(profile[name], per)}
              placeholder={
                defaults ? t("admin.default", { value: shownNumber(defaults[name], per) }) : t("admin.usual")
              }
            />
          </label>
        ))}
        <label class="field">
          <span>{t("admin.retention")}</span>
          <select name="retention">
            {!named && <option value={profile.retention}>{profile.retention}</option>}
            {classes.map((one) => (
              <option key={one.name} value={one.name} selected={one.name === profile.retention}>
                {period(one)}
              </option>
            ))}
          </select>
        </label>
      </div>
      <fieldset class="checks">
        <legend>{t("admin.groups")}</legend>
        {groups.length === 0 && (
          <p class="none">
            {t("admin.groups.none")} {t("admin.groups.about")}
          </p>
        )}
        {groups.map(({ group_id, name }) => (
          <label key={group_id}>
            <input
              type="checkbox"
              name="group"
              value={String(group_id)}
              defaultChecked={profile.groups.some((group) => group.group_id === group_id)}
            />
            {name}
          </label>
        ))}
      </fieldset>
      {failed && <Failure text={failed} />}
      <div class="form-end">
        <button type="submit" class="button primary small" disabled={busy}>
          {t("admin.save")}
        </button>
        <button type="button" class="button small" onClick={() => done(false)}>
          {t("admin.cancel")}
        </button>
        <button
          type="button"
          class="button small danger"
          onClick={() => {
            if (confirm(t("admin.profile.confirm", { name: profile.name || id }))) void act(remove);
          }}
        >
          {t("admin.profile.delete")}
        </button>
      </div>
    </form>
  );
}
