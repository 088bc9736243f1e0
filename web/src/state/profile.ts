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
  return [...new Set(text.split(",").map((tag) => tag.trim()).filter(Boolean))];
}

const numberOf = (text: string): number | null => (text.trim() === "" ? null : Number(text));

export function profileOf(field: (name: string) => string): ProfileChange {
  return {
    name: field("name").trim(),
    vehicle: field("vehicle").trim(),
    tags: tagsOf(field("tags")),
    live_ttl_s: numberOf(field("live_ttl_s")),
    motion_kmh: numberOf(field("motion_kmh")),
    stop_s: numberOf(field("stop_s")),
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
