// What the server tells everyone before a sign-in: whose map is drawn, and whether
// people may make accounts themselves.

export interface Settings {
  registrationOpen: boolean;
  map: MapSetting;
  /** What holds for a device whose profile says nothing; `null` of a server that does not say. */
  defaults: Defaults | null;
}

export interface Defaults {
  live_ttl_s: number;
  motion_kmh: number;
  stop_s: number;
}

/** Another server's map; neither for the bundled one. */
export interface MapSetting {
  /** A URL of raster tiles, with {z}, {x} and {y}. */
  tiles: string | null;
  /** A URL of a style document. */
  style: string | null;
  credit: string;
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");

function isDefaults(told: unknown): told is Defaults {
  const { live_ttl_s, motion_kmh, stop_s } = (told ?? {}) as Record<string, unknown>;
  return [live_ttl_s, motion_kmh, stop_s].every((value) => typeof value === "number");
}

/** A server that says nothing has the bundled map and lets people register, or says that it does not. */
export function settingsOf(told: unknown): Settings {
  const { map, registration_open, defaults } = (told ?? {}) as Record<string, unknown>;
  const { tiles, style, credit } = (map ?? {}) as Record<string, unknown>;
  return {
    registrationOpen: registration_open !== false,
    defaults: isDefaults(defaults) ? defaults : null,
    map: { tiles: text(tiles) || null, style: text(style) || null, credit: text(credit) },
  };
}

let asked: Promise<Settings> | null = null;

/** Asked once; again when nothing answered. */
export function settings(): Promise<Settings> {
  asked ??= (async () => {
    try {
      const response = await fetch("/page.json");
      if (response.ok) return settingsOf(await response.json());
    } catch {
      // The server is away; the page says so where it asks for more.
    }
    asked = null;
    return settingsOf(null);
  })();
  return asked;
}
