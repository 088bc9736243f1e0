// From, to, and the ranges that people ask for most.

import type { JSX } from "preact";
import type { Range } from "../api/history";
import { tune } from "../state/app";
import { nowMs } from "../state/clock";
import { formatMinute, type Preset, parseMinute, preset } from "../state/ranges";
import type { Key } from "../text/en";
import { t } from "../text/language";

const PRESETS: Preset[] = ["today", "yesterday", "day", "week"];

export function RangePicker({ range }: { range: Range }): JSX.Element {
  const set = (next: Range): void => tune({ from: formatMinute(next.fromMs), to: formatMinute(next.toMs), at: null });
  const change = (which: "fromMs" | "toMs") => (event: JSX.TargetedEvent<HTMLInputElement>) => {
    const ms = parseMinute(event.currentTarget.value);
    if (ms !== null) set({ ...range, [which]: ms });
  };
  return (
    <div class="range">
      <div class="range-fields">
        <label class="field">
          <span>{t("range.from")}</span>
          <input type="datetime-local" value={formatMinute(range.fromMs)} onChange={change("fromMs")} />
        </label>
        <label class="field">
          <span>{t("range.to")}</span>
          <input type="datetime-local" value={formatMinute(range.toMs)} onChange={change("toMs")} />
        </label>
      </div>
      <div class="range-presets">
        {PRESETS.map((name) => (
          <button type="button" class="button small" key={name} onClick={() => set(preset(name, nowMs()))}>
            {t(`range.${name}` as Key)}
          </button>
        ))}
      </div>
    </div>
  );
}
