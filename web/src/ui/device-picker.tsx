// A field that finds a device by name or id.

import type { JSX } from "preact";
import { useId, useState } from "preact/hooks";
import { useCell } from "../state/cell";
import { NO_FILTER, shown, type Unit } from "../state/fleet";
import { live } from "../state/live";

/** As many suggestions as fit on a small screen. */
const MOST = 8;

export function DevicePicker(props: { label: string; value?: string; onPick: (unit: Unit) => void }): JSX.Element {
  const source = useCell(live);
  const [text, setText] = useState<string | null>(null);
  const [active, setActive] = useState(0);
  const id = useId();
  const found = text === null || !source ? [] : shown(source.fleet, { ...NO_FILTER, text }, "name").slice(0, MOST);

  const pick = (unit: Unit): void => {
    setText(null);
    setActive(0);
    props.onPick(unit);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      setActive((before) => Math.max(0, Math.min(found.length - 1, before + step)));
    } else if (event.key === "Enter" && found[active]) {
      event.preventDefault();
      pick(found[active]);
    } else if (event.key === "Escape") {
      event.preventDefault();
      setText(null);
    }
  };

  return (
    <div class="picker">
      <input
        type="text"
        role="combobox"
        autocomplete="off"
        aria-label={props.label}
        aria-expanded={found.length > 0}
        aria-controls={`${id}-list`}
        aria-activedescendant={found[active] ? `${id}-${found[active].id}` : undefined}
        placeholder={props.label}
        value={text ?? props.value ?? ""}
        onFocus={() => setText("")}
        onBlur={() => setText(null)}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setActive(0);
        }}
        onKeyDown={onKeyDown}
      />
      <ul class="picker-list" id={`${id}-list`} role="listbox" aria-label={props.label} hidden={found.length === 0}>
        {found.map((unit, index) => (
          <li
            key={unit.id}
            id={`${id}-${unit.id}`}
            role="option"
            aria-selected={index === active}
            onMouseDown={(event) => {
              event.preventDefault();
              pick(unit);
            }}
          >
            <span>{unit.name}</span>
            {unit.name !== unit.id && <span class="unit-sub">{unit.id}</span>}
          </li>
        ))}
      </ul>
    </div>
  );
}
