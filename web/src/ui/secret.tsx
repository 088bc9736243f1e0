// Something that is shown once: a password, a token, a link.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { t } from "../text/language";

export interface Shown {
  /** What it is for, above it. */
  title: string;
  /** Name and value; the values can be copied. */
  lines: [name: string, value: string][];
  hint?: string;
}

export function Secret({ shown, close }: { shown: Shown; close?: () => void }): JSX.Element {
  return (
    <div class="secret" role="status">
      <p>
        <strong>{shown.title}</strong>
      </p>
      <Lines lines={shown.lines} />
      <p class="secret-hint">{shown.hint ?? t("admin.secret.hint")}</p>
      {close && (
        <button type="button" class="button small" onClick={close}>
          {t("common.close")}
        </button>
      )}
    </div>
  );
}

/** Names and values that can be copied. */
export function Lines({ lines }: { lines: [name: string, value: string][] }): JSX.Element {
  return (
    <dl class="lines">
      {lines.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            <code>{value}</code>
            <Copy text={value} name={name} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Copy({ text, name }: { text: string; name: string }): JSX.Element {
  const [copied, setCopied] = useState(false);
  return (
    <button
      type="button"
      class="button small"
      aria-label={`${t(copied ? "admin.copied" : "admin.copy")}: ${name}`}
      onClick={() => void navigator.clipboard.writeText(text).then(() => setCopied(true))}
    >
      {t(copied ? "admin.copied" : "admin.copy")}
    </button>
  );
}
