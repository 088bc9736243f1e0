// Accounts, for administrators: make one, choose its role, say which devices and
// groups a viewer sees, draw a new password, switch it off.

import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";

import { change, get } from "../api/client";
import type { Drawn, Granted, Group, Person, Role } from "../api/types";
import { session } from "../state/app";
import { useCell } from "../state/cell";
import { segment } from "../state/route";
import type { Key } from "../text/en";
import { t } from "../text/language";
import { Failure, Pending, Time, useAttempt, useLoad } from "../ui/basics";
import { ChosenDevices } from "../ui/chosen";
import { Secret, type Shown } from "../ui/secret";
import { Table } from "../ui/table";

const ROLES: readonly Role[] = ["viewer", "operator", "admin"];

async function people(signal: AbortSignal): Promise<Person[]> {
  const all: Person[] = [];
  let after: number | null = null;
  do {
    const page: { users: Person[]; next_after: number | null } = await get(
      "/api/v1/users/",
      { limit: 1000, after },
      signal,
    );
    all.push(...page.users);
    after = page.next_after;
  } while (after !== null);
  return all;
}

export function PeopleAdmin(): JSX.Element {
  const who = useCell(session);
  const [loaded, again] = useLoad("people", people);
  const [failed, attempt] = useAttempt();
  const [drawn, setDrawn] = useState<Shown | null>(null);
  const [open, setOpen] = useState<number | null>(null);
  const own = who.state === "in" ? who.me.user_id : null;

  const act = <T,>(work: () => Promise<T>): Promise<T | null> =>
    attempt(async () => {
      const done = await work();
      again();
      return done;
    });
  const show = (made: Drawn | null): void => {
    if (!made) return;
    setDrawn({
      title: t("admin.password"),
      lines: [
        [t("admin.email"), made.email],
        [t("sign.password"), made.password],
      ],
    });
  };

  return (
    <>
      <NewPerson make={async (wish) => show(await act(() => change<Drawn>("POST", "/api/v1/users/", wish)))} />
      {drawn && <Secret shown={drawn} close={() => setDrawn(null)} />}
      {failed && <Failure text={failed} />}
      <Pending loaded={loaded} again={again} />
      {loaded.value && (
        <Table
          stack
          label={t("admin.people")}
          heads={[
            t("admin.name"),
            t("admin.role"),
            t("admin.created"),
            t("admin.sees"),
            { name: t("admin.actions"), is: "actions" },
          ]}
        >
          {loaded.value.map((person) => (
            <Row
              key={person.user_id}
              person={person}
              isOwn={person.user_id === own}
              open={open === person.user_id}
              toggle={() => setOpen(open === person.user_id ? null : person.user_id)}
              act={act}
              show={show}
            />
          ))}
        </Table>
      )}
    </>
  );
}

function NewPerson({ make }: { make: (wish: object) => Promise<void> }): JSX.Element {
  const form = useRef<HTMLFormElement>(null);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const data = new FormData(form.current!);
    await make({ name: data.get("name"), email: data.get("email"), role: data.get("role") });
    form.current?.reset();
  };
  return (
    <section class="card">
      <h2>{t("admin.person.add")}</h2>
      <form class="form-row" ref={form} onSubmit={(event) => void submit(event)}>
        <label class="field grow">
          <span>{t("admin.name")}</span>
          <input name="name" required maxLength={100} autocomplete="off" />
        </label>
        <label class="field grow">
          <span>{t("admin.email")}</span>
          <input name="email" type="email" required autocomplete="off" />
        </label>
        <label class="field">
          <span>{t("admin.role")}</span>
          <select name="role">
            <RoleOptions />
          </select>
        </label>
        <button type="submit" class="button primary">
          {t("admin.add")}
        </button>
      </form>
      <p class="card-hint">{t("admin.person.hint")}</p>
    </section>
  );
}

const RoleOptions = (): JSX.Element => (
  <>
    {ROLES.map((role) => (
      <option key={role} value={role}>
        {t(`role.${role}` as Key)}
      </option>
    ))}
  </>
);

interface RowProps {
  person: Person;
  isOwn: boolean;
  open: boolean;
  toggle: () => void;
  act: <T>(work: () => Promise<T>) => Promise<T | null>;
  show: (drawn: Drawn | null) => void;
}

function Row({ person, isOwn, open, toggle, act, show }: RowProps): JSX.Element {
  const path = `/api/v1/users/${person.user_id}`;
  return (
    <>
      <tr class={person.disabled ? "is-off" : ""}>
        <td>
          <strong>{person.name}</strong> {isOwn && <span class="tag">{t("admin.you")}</span>}
          {person.disabled && <span class="tag is-off">{t("admin.disabled")}</span>}
          <span class="unit-sub cell-sub">{person.email}</span>
        </td>
        <td data-label={t("admin.role")}>
          <select
            aria-label={`${t("admin.role")} ${person.name}`}
            value={person.role}
            disabled={isOwn}
            onChange={(event) => {
              const select = event.currentTarget;
              const role = select.value;
              const words = { name: person.name, role: t(`role.${role}` as Key) };
              if (confirm(t(`admin.role.confirm.${role}` as Key, words))) {
                void act(() => change("PATCH", path, { role }));
              } else select.value = person.role;
            }}
          >
            <RoleOptions />
          </select>
        </td>
        <td data-label={t("admin.created")}>
          <Time ms={Date.parse(person.created_at)} as="day" />
        </td>
        <td data-label={t("admin.sees")}>
          {person.role === "viewer" ? (
            <button type="button" class="button small" aria-expanded={open} onClick={toggle}>
              {t("admin.grants")}
            </button>
          ) : (
            <span class="unit-sub">{t("admin.sees.all")}</span>
          )}
        </td>
        <td class="number">
          {!isOwn && (
            <span class="row-actions">
              <button
                type="button"
                class="button small"
                onClick={() => {
                  if (confirm(t("admin.reset.confirm", { name: person.name }))) {
                    void act(() => change<Drawn>("POST", `${path}/reset`)).then(show);
                  }
                }}
              >
                {t("admin.reset")}
              </button>
              <button
                type="button"
                class={person.disabled ? "button small" : "button small danger"}
                onClick={() => {
                  if (person.disabled || confirm(t("admin.disable.confirm", { name: person.name }))) {
                    void act(() => change("PATCH", path, { disabled: !person.disabled }));
                  }
                }}
              >
                {t(person.disabled ? "admin.enable" : "admin.disable")}
              </button>
            </span>
          )}
        </td>
      </tr>
      {open && person.role === "viewer" && (
        <tr class="row-more">
          <td colSpan={5}>
            <Grants path={path} />
          </td>
        </tr>
      )}
    </>
  );
}

function Grants({ path }: { path: string }): JSX.Element {
  const [failed, attempt] = useAttempt();
  const [loaded, again] = useLoad(path, async (signal) => {
    const [person, { groups }] = await Promise.all([
      get<Granted>(path, {}, signal),
      get<{ groups: Group[] }>("/api/v1/groups/", {}, signal),
    ]);
    return { person, groups };
  });
  const act = (method: "PUT" | "DELETE", what: string): void =>
    void attempt(async () => {
      await change(method, `${path}/${what}`);
      again();
    });
  if (!loaded.value) return <Pending loaded={loaded} again={again} />;
  const { person, groups } = loaded.value;
  return (
    <div class="grants">
      <div class="field">
        <span>{t("admin.devices")}</span>
        <ChosenDevices
          ids={person.device_ids}
          add={(id) => act("PUT", `devices/${segment(id)}`)}
          remove={(id) => act("DELETE", `devices/${segment(id)}`)}
        >
          {person.device_ids.length === 0 && <small>{t("admin.grants.none")}</small>}
        </ChosenDevices>
      </div>
      <fieldset class="field">
        <legend>{t("admin.groups")}</legend>
        {groups.length === 0 && <small>{t("admin.groups.none")}</small>}
        {groups.map(({ group_id, name }) => (
          <label class="check" key={group_id}>
            <input
              type="checkbox"
              checked={person.group_ids.includes(group_id)}
              onChange={(event) => act(event.currentTarget.checked ? "PUT" : "DELETE", `groups/${group_id}/`)}
            />
            {name}
          </label>
        ))}
      </fieldset>
      {failed && <Failure text={failed} />}
    </div>
  );
}
