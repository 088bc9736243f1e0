// Fields within a sentence: a text with `{name}` where a field stands.

import { Fragment, type JSX } from "preact";
import { useState } from "preact/hooks";

import { DURATION_UNITS, type DurationUnit, durationParts, secondsOf } from "../state/rule-form";
import { t } from "../text/language";

export function Sentence({ text, fields }: { text: string; fields: Record<string, JSX.Element> }): JSX.Element {
  const parts = text.split(/\{(\w+)\}/g);
  return (
    <>
      {parts.map((part, index) => (
        // Every other part is the name of a field; places do not change.
        <Fragment key={index}>{index % 2 === 0 ? part && <span>{part.trim()}</span> : (fields[part] ?? null)}</Fragment>
      ))}
    </>
  );
}

export function NumberField(props: {
  label: string;
  value: number | null;
  change: (value: number | null) => void;
  min?: number;
  max?: number;
  /** It may be left out. */
  optional?: boolean;
}): JSX.Element {
  return (
    <input
      type="number"
      class="number-field"
      aria-label={props.label}
      required={!props.optional}
      min={props.min}
      max={props.max}
      step="any"
      value={props.value ?? ""}
      onInput={(event) => {
        const typed = event.currentTarget.valueAsNumber;
        if (Number.isFinite(typed)) props.change(typed);
        else if (props.optional) props.change(null);
      }}
    />
  );
}

/** Seconds, in the unit that a person would say them in. */
export function DurationField(props: {
  label: string;
  seconds: number;
  change: (seconds: number) => void;
  min?: number;
}): JSX.Element {
  // The unit stays while the number is typed.
  const [unit, setUnit] = useState<DurationUnit>(() => durationParts(props.seconds).unit);
  const value = props.seconds / secondsOf(1, unit);
  return (
    <span class="duration-field">
      <NumberField
        label={props.label}
        value={value}
        min={(props.min ?? 0) / secondsOf(1, unit)}
        change={(typed) => props.change(secondsOf(typed ?? 0, unit))}
      />
      <select
        aria-label={`${props.label}: ${t("duration.unit")}`}
        value={unit}
        onChange={(event) => {
          const next = event.currentTarget.value as DurationUnit;
          setUnit(next);
          props.change(secondsOf(value, next));
        }}
      >
        {DURATION_UNITS.map((one) => (
          <option key={one} value={one}>
            {t(`duration.unit.${one}`)}
          </option>
        ))}
      </select>
    </span>
  );
}

export function Choice<T extends string>(props: {
  label: string;
  value: T | "";
  options: readonly (readonly [T, string])[];
  change: (value: T) => void;
  /** Shown while nothing is chosen. */
  none?: string;
}): JSX.Element {
  return (
    <select
      aria-label={props.label}
      value={props.value}
      required={props.none !== undefined}
      onChange={(event) => props.change(event.currentTarget.value as T)}
    >
      {props.none !== undefined && props.value === "" && <option value="">{props.none}</option>}
      {props.options.map(([value, name]) => (
        <option key={value} value={value}>
          {name}
        </option>
      ))}
    </select>
  );
}
