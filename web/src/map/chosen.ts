// Which map the operator has chosen: the bundled one, tiles above it, or another
// server's style in place of it, which is looked at before it is drawn. The page's
// policy lets browsers ask one other host; a style that asks more is not drawn.

import type { StyleSpecification } from "maplibre-gl";

import { type MapSetting, settings } from "../api/settings";

export interface Base {
  tiles: string | null;
  style: StyleSpecification | null;
  credit: string;
  trouble: Trouble | null;
}

/** The bundled map, where something else was asked for. */
export const insteadOf = (trouble: Trouble): Base => ({ tiles: null, style: null, credit: "", trouble });

/** Why the style that was asked for is not drawn. */
export interface Trouble {
  host: string;
  why: "unreachable" | "no-style" | "foreign";
  detail: string;
}

const STYLE_WITHIN_MS = 10_000;

/** The hosts that a style asks beside its own. */
export function foreignHosts(style: object, own: string): string[] {
  const found = new Set<string>();
  const look = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(look);
    else if (typeof value === "string") {
      const origin = /^https?:\/\/[^/]*/.exec(value)?.[0];
      if (origin && origin !== own) found.add(origin.replace(/^https?:\/\//, ""));
    }
  };
  const { sources, glyphs, sprite } = style as {
    sources?: Record<string, unknown>;
    glyphs?: unknown;
    sprite?: unknown;
  };
  for (const source of Object.values(sources ?? {})) {
    const { url, tiles, data, urls } = (source ?? {}) as Record<string, unknown>;
    look([url, tiles, data, urls]);
  }
  look(glyphs);
  for (const one of Array.isArray(sprite) ? sprite : [sprite]) look((one as { url?: unknown })?.url ?? one);
  return [...found].sort();
}

/** A style whose addresses, which may be relative to its own, are whole. */
export function withWholeAddresses(style: StyleSpecification, own: string): StyleSpecification {
  const whole = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(whole);
    if (typeof value !== "string") return value;
    // Braces are places of numbers, not letters of an address.
    return new URL(value, own).href.replace(/%7B/gi, "{").replace(/%7D/gi, "}");
  };
  const mend = (holder: object, names: string[]): object => {
    const told = Object.entries(holder);
    return Object.fromEntries(told.map(([name, value]) => [name, names.includes(name) ? whole(value) : value]));
  };
  const sources = Object.entries(style.sources).map(([id, source]) => [
    id,
    mend(source, ["url", "urls", "tiles", "data"]),
  ]);
  const sprite = Array.isArray(style.sprite) ? style.sprite.map((one) => mend(one, ["url"])) : whole(style.sprite);
  return {
    ...(mend(style, ["glyphs"]) as StyleSpecification),
    sources: Object.fromEntries(sources) as StyleSpecification["sources"],
    ...(style.sprite === undefined ? {} : { sprite: sprite as NonNullable<StyleSpecification["sprite"]> }),
  };
}

/** Whether it is a style document at all; MapLibre looks at the rest. */
export function isStyle(told: unknown): told is StyleSpecification {
  const { version, sources, layers } = (told ?? {}) as Record<string, unknown>;
  return version === 8 && typeof sources === "object" && sources !== null && Array.isArray(layers);
}

/** The style of a server, if it can be drawn. */
async function styled(url: string): Promise<{ style: StyleSpecification } | Trouble> {
  const { origin, host } = new URL(url);
  const trouble = (why: Trouble["why"], detail: string): Trouble => ({ host, why, detail });
  let told: unknown;
  try {
    const response = await fetch(url, { credentials: "omit", signal: AbortSignal.timeout(STYLE_WITHIN_MS) });
    if (!response.ok) return trouble("unreachable", String(response.status));
    told = await response.json().catch(() => null);
  } catch (error) {
    return trouble("unreachable", error instanceof Error ? error.message : String(error));
  }
  if (!isStyle(told)) return trouble("no-style", "");
  const style = withWholeAddresses(told, url);
  const others = foreignHosts(style, origin);
  return others.length > 0 ? trouble("foreign", others.join(", ")) : { style };
}

async function baseOf({ tiles, style, credit }: MapSetting): Promise<Base> {
  if (!style) return { tiles, style: null, credit, trouble: null };
  const found = await styled(style);
  return "style" in found ? { tiles: null, style: found.style, credit, trouble: null } : insteadOf(found);
}

export const chosenBase = async (): Promise<Base> => baseOf((await settings()).map);
