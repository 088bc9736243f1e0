// Which map the operator has chosen: the bundled one, or tiles of another server.

import type { Tiles } from "./style";

/** `null` for the bundled map, also when the server does not say. */
export async function chosenTiles(): Promise<Tiles | null> {
  try {
    const response = await fetch("/map.json");
    if (!response.ok) return null;
    return tilesOf(await response.json());
  } catch {
    return null;
  }
}

export function tilesOf(told: unknown): Tiles | null {
  const { tiles, credit } = (told ?? {}) as { tiles?: unknown; credit?: unknown };
  if (typeof tiles !== "string" || tiles === "") return null;
  return { url: tiles, credit: typeof credit === "string" ? credit : "" };
}
