// Numbers, times and durations as people read them. Times are in the viewer's
// zone; `utc` is what a title adds on hover.

import { nowMs } from "../state/clock";
import { language, locale, t } from "./language";

export const NOTHING = "–";

const cache = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat>();

function number(digits: number): Intl.NumberFormat {
  const key = `n${digits}${locale()}`;
  let made = cache.get(key) as Intl.NumberFormat | undefined;
  if (!made) {
    made = new Intl.NumberFormat(locale(), {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    });
    cache.set(key, made);
  }
  return made;
}

function date(name: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `d${name}${locale()}`;
  let made = cache.get(key) as Intl.DateTimeFormat | undefined;
  if (!made) {
    made = new Intl.DateTimeFormat(locale(), options);
    cache.set(key, made);
  }
  return made;
}

export function count(value: number): string {
  return number(0).format(value);
}

export function maybeCount(value: number | null): string {
  return value === null ? NOTHING : count(value);
}

/** `0/s`, `4.2/s`, `1,250/s`. */
export function perSecond(value: number | null): string {
  if (value === null) return NOTHING;
  return `${number(value > 0 && value < 10 ? 1 : 0).format(value)}/s`;
}

/** Seconds of a queue: `4 ms`, `1.2 s`, `3 min`. */
export function shortTime(seconds: number): string {
  if (seconds < 1) return `${number(0).format(seconds * 1000)} ms`;
  return seconds < 60 ? `${number(1).format(seconds)} s` : duration(seconds);
}

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

export function bytes(value: number): string {
  const step = Math.abs(value) < 1 ? 0 : Math.min(BYTE_UNITS.length - 1, Math.floor(Math.log2(Math.abs(value)) / 10));
  const scaled = value / 1024 ** step;
  return `${number(step > 0 && scaled < 100 ? 1 : 0).format(scaled)} ${BYTE_UNITS[step]}`;
}

/** Units of UCUM as people write them; others as they are. */
const UNITS: Record<string, string> = {
  Cel: "°C",
  degF: "°F",
  "[degF]": "°F",
  deg: "°",
  Ohm: "Ω",
  "kW.h": "kWh",
  "W.h": "Wh",
  "m3/h": "m³/h",
  m2: "m²",
  m3: "m³",
  "m/s2": "m/s²",
  "1": "",
};

export function unit(ucum: string | null): string {
  if (ucum === null || /^\{.*\}$/.test(ucum)) return "";
  return UNITS[ucum] ?? ucum;
}

/** What a channel says: a number with its decimals (else six digits that matter), on or off, a text. */
export function said(value: number | boolean | string | null, decimals: number | null = null): string {
  if (value === null) return NOTHING;
  if (typeof value === "boolean") return t(value ? "value.true" : "value.false");
  if (typeof value === "string") return value;
  if (decimals !== null) return number(Math.min(decimals, 20)).format(value);
  const key = `s${locale()}`;
  let made = cache.get(key) as Intl.NumberFormat | undefined;
  if (!made) {
    made = new Intl.NumberFormat(locale(), { maximumSignificantDigits: 6 });
    cache.set(key, made);
  }
  return made.format(value);
}

/** The same with its unit: `21.5 °C`. */
export function measured(
  value: number | boolean | string | null,
  ucum: string | null,
  decimals?: number | null,
): string {
  if (typeof value === "number" && ucum === "By") return bytes(value);
  const shown = said(value, decimals ?? null);
  return typeof value === "number" && unit(ucum) !== "" ? `${shown}\u00a0${unit(ucum)}` : shown;
}

export function speed(kmh: number | null | undefined): string {
  return kmh === null || kmh === undefined ? NOTHING : `${number(0).format(kmh)} km/h`;
}

export function distance(metres: number | null | undefined): string {
  if (metres === null || metres === undefined) return NOTHING;
  if (Math.abs(metres) < 1000) return `${number(0).format(metres)} m`;
  return `${number(Math.abs(metres) < 100_000 ? 1 : 0).format(metres / 1000)} km`;
}

/** `850 m²`, `0.42 km²`, `12 km²`. */
export function area(squareMetres: number): string {
  if (squareMetres < 10_000) return `${number(0).format(squareMetres)} m²`;
  const km2 = squareMetres / 1e6;
  return `${number(km2 < 1 ? 2 : km2 < 100 ? 1 : 0).format(km2)} km²`;
}

export function engineHours(minutes: number | null | undefined): string {
  return minutes === null || minutes === undefined ? NOTHING : `${number(1).format(minutes / 60)} h`;
}

const POINTS = {
  en: ["N", "NE", "E", "SE", "S", "SW", "W", "NW"],
  pt: ["N", "NE", "L", "SE", "S", "SO", "O", "NO"],
} as const;

export function heading(degrees: number | null | undefined): string {
  if (degrees === null || degrees === undefined) return NOTHING;
  const point = POINTS[language()][Math.round(degrees / 45) % 8] ?? "";
  return `${point} ${number(0).format(degrees)}°`;
}

export function coordinates(latitude: number | null, longitude: number | null): string {
  if (latitude === null || longitude === null) return NOTHING;
  return `${latitude.toFixed(5)}, ${longitude.toFixed(5)}`;
}

/** `45 s`, `12 min`, `3 h 05 min`, `2 d 4 h`. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return NOTHING;
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** How long ago, short: `12 s`, `5 min`, `3 h`, `4 d`, `6 y`. */
export function age(ms: number | null, nowMs: number): string {
  if (ms === null) return NOTHING;
  const s = Math.max(0, Math.round((nowMs - ms) / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h`;
  const days = Math.floor(s / 86_400);
  if (days < 365) return `${days} d`;
  const years = Math.floor(days / 365);
  return t(years === 1 ? "duration.year" : "duration.years", { count: years });
}

/** The same in a sentence. */
export function ago(ms: number | null, nowMs: number): string {
  if (ms === null) return t("fleet.never");
  if (nowMs - ms < 2000) return t("ago.now");
  const text = age(ms, nowMs);
  return language() === "pt" ? `há ${text}` : `${text} ago`;
}

export function time(ms: number | null): string {
  if (ms === null) return NOTHING;
  return date("t", { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(ms);
}

export function clock(ms: number): string {
  return date("c", { hour: "2-digit", minute: "2-digit" }).format(ms);
}

export function day(ms: number): string {
  return date("day", { weekday: "short", day: "numeric", month: "short", year: "numeric" }).format(ms);
}

/** Below a chart: `27 Nov`. */
export function dayShort(ms: number): string {
  return date("ds", { day: "numeric", month: "short" }).format(ms);
}

/** With its year when it is another than this one. */
export function dateTime(ms: number | null): string {
  if (ms === null) return NOTHING;
  const old = new Date(ms).getFullYear() !== new Date(nowMs()).getFullYear();
  return date(old ? "dty" : "dt", {
    day: "2-digit",
    month: "short",
    ...(old ? { year: "numeric" } : {}),
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  }).format(ms);
}

/** For a title: the same moment in UTC, to the second. */
export function utc(ms: number | null): string {
  return ms === null ? "" : `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** The viewer's zone, as the reports of the API take it. */
export function zone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}
