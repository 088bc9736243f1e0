// From the fields of a form to what the API is asked to change. Pure.

export interface ProfileChange {
  name: string;
  vehicle: string;
  tags: string[];
  live_ttl_s: number | null;
  motion_kmh: number | null;
  stop_s: number | null;
  retention: string;
}

/** Tags as people write them: with commas between, each once. */
export function tagsOf(text: string): string[] {
  return [
    ...new Set(
      text
        .split(",")
        .map((tag) => tag.trim())
        .filter(Boolean),
    ),
  ];
}

const numberOf = (text: string): number | null => (text.trim() === "" ? null : Number(text));

/** Minutes as people type them, `2.5` too, are whole seconds. */
const secondsOf = (text: string): number | null => {
  const minutes = numberOf(text);
  return minutes === null ? null : Math.round(minutes * 60);
};

/** A number of the API in the unit of a field; empty without one. */
export function shownNumber(value: number | null, per: number): string {
  return value === null ? "" : String(Math.round((value / per) * 100) / 100);
}

export function profileOf(field: (name: string) => string): ProfileChange {
  return {
    name: field("name").trim(),
    vehicle: field("vehicle").trim(),
    tags: tagsOf(field("tags")),
    live_ttl_s: secondsOf(field("live_ttl_s")),
    motion_kmh: numberOf(field("motion_kmh")),
    stop_s: secondsOf(field("stop_s")),
    retention: field("retention"),
  };
}

/** Which groups a device comes into, and which it leaves. */
export function regrouped(before: readonly number[], after: readonly number[]): { into: number[]; outOf: number[] } {
  return {
    into: after.filter((group) => !before.includes(group)),
    outOf: before.filter((group) => !after.includes(group)),
  };
}
