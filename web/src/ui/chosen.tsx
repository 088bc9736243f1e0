// What was chosen one by one, each with a way to take it back.

import type { ComponentChildren, JSX } from "preact";

import { useLive } from "../state/live";
import { t } from "../text/language";
import { DevicePicker } from "./device-picker";
import { Icon } from "./icons";

export function Chosen({ name, remove }: { name: string; remove: () => void }): JSX.Element {
  return (
    <span class="tag">
      {name}
      <button type="button" aria-label={t("report.remove", { name })} onClick={remove}>
        <Icon name="close" size={12} />
      </button>
    </span>
  );
}

/** What people call a device. */
export function useNames(): (id: string) => string {
  const source = useLive();
  return (id) => source?.fleet.units.get(id)?.name ?? id;
}

/** Devices, with a field to add others; `beside` stands below the field, `children` before them. */
export function ChosenDevices(props: {
  ids: readonly string[];
  add: (id: string) => void;
  remove: (id: string) => void;
  beside?: ComponentChildren;
  children?: ComponentChildren;
}): JSX.Element {
  const nameOf = useNames();
  return (
    <>
      <DevicePicker label={t("report.pick")} onPick={({ id }) => props.add(id)} />
      {props.beside}
      <div class="chosen">
        {props.children}
        {props.ids.map((id) => (
          <Chosen key={id} name={nameOf(id)} remove={() => props.remove(id)} />
        ))}
      </div>
    </>
  );
}
