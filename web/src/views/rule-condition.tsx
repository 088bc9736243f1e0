// A condition as text, with what is wrong where it is wrong, and what can be written.

import type { JSX } from "preact";
import { useId } from "preact/hooks";

import { ApiError } from "../api/client";
import type { RuleForm } from "../state/rule-form";
import { t } from "../text/language";
import type { Change } from "./rule-editor";

export interface ConditionFault {
  member: "when" | "until";
  /** From 1. */
  column: number;
  text: string;
}

/** Where a condition is wrong, if that is what an error says. */
export function conditionFault(error: unknown): ConditionFault | null {
  if (!(error instanceof ApiError) || error.column === null) return null;
  const member = error.parameter?.endsWith("until") ? "until" : "when";
  return { member, column: error.column, text: error.message };
}

const MOST_LETTERS = 2000;

/** For the reader of the page; the whole language is in docs/rules.md. */
const EXAMPLES = [
  "temperature > 8 and not ignition",
  "speed > 90 or rate(fuel.level) < -0.5",
  'avg(channel("Oil temp"), 5m) > 110',
  "inside(12) and age(temperature) > 600",
  "distance_to(50.1, 8.6) < 500",
] as const;

interface FieldProps {
  form: RuleForm;
  change: Change;
  fault: ConditionFault | null;
}

export function ConditionField({ form, change, fault }: FieldProps): JSX.Element {
  return (
    <div class="condition">
      <Text
        label={t("rule.condition")}
        value={form.when}
        required
        fault={fault?.member === "when" ? fault : null}
        change={(when) => change({ when })}
      />
      <Text
        label={t("rule.condition.until")}
        value={form.until}
        fault={fault?.member === "until" ? fault : null}
        change={(until) => change({ until })}
      />
      <details>
        <summary>{t("rule.condition.help")}</summary>
        <p class="why">{t("rule.condition.about")}</p>
        <ul class="condition-examples">
          {EXAMPLES.map((example) => (
            <li key={example}>
              <button type="button" class="link mono" onClick={() => change({ when: example })}>
                {example}
              </button>
            </li>
          ))}
        </ul>
      </details>
    </div>
  );
}

function Text(props: {
  label: string;
  value: string;
  required?: boolean;
  fault: ConditionFault | null;
  change: (text: string) => void;
}): JSX.Element {
  const id = useId();
  const { fault, value } = props;
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <textarea
        id={id}
        class="mono"
        rows={2}
        spellcheck={false}
        autocomplete="off"
        maxLength={MOST_LETTERS}
        required={props.required ?? false}
        aria-invalid={fault !== null}
        aria-describedby={fault ? `${id}-fault` : undefined}
        value={value}
        onInput={(event) => props.change(event.currentTarget.value)}
      />
      {fault && (
        <div class="form-error" id={`${id}-fault`} role="alert">
          <code class="condition-fault">
            {value.slice(0, fault.column - 1)}
            <mark>{value.slice(fault.column - 1) || " "}</mark>
          </code>
          <p>{t("rule.condition.fault", { column: fault.column, text: fault.text })}</p>
        </div>
      )}
    </div>
  );
}
