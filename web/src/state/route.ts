// The address is the state of the view: `#/fleet?q=van&status=online`. It lives
// behind the `#`, so that it is not sent to anyone and any link opens the page.

export type View = "fleet" | "device" | "replay" | "charts" | "reports" | "alarms" | "system" | "admin";

export interface Route {
  view: View;
  /** Of `device` and `replay`. */
  device: string | null;
  query: Record<string, string>;
}

const VIEWS: readonly View[] = ["fleet", "device", "replay", "charts", "reports", "alarms", "system", "admin"];
/** What a device id looks like, for patterns: six hex digits, eight beyond FFFFFF, or a kind and a name. */
const DIGITS = "(0[1-9A-Fa-f]|[1-9A-Fa-f][0-9A-Fa-f])?[0-9A-Fa-f]{6}";
export const DEVICE_ID = `${DIGITS}|(imei|eui|owntracks|host|id):[!-~]{1,120}`;
const DEVICE = new RegExp(`^(${DEVICE_ID})$`);
const NUMBER = new RegExp(`^${DIGITS}$`);

/** A device id in its one spelling, as far as the page knows that; null for what is none. */
export function deviceId(text: string): string | null {
  if (!DEVICE.test(text)) return null;
  return NUMBER.test(text) ? text.toUpperCase() : text;
}

/** A device id as one part of a path, or of a list with commas. */
export const segment = (id: string): string => encodeURIComponent(id).replaceAll("%3A", ":");

/** What [`segment`] wrote; null for what is no device id. */
export function fromSegment(text: string): string | null {
  try {
    return deviceId(decodeURIComponent(text));
  } catch {
    return null;
  }
}

export const HOME: Route = { view: "fleet", device: null, query: {} };

export function parseRoute(hash: string): Route {
  const [path = "", search = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [view, device] = path.split("/");
  if (!VIEWS.includes(view as View)) return HOME;
  const query = Object.fromEntries(new URLSearchParams(search));
  // Messages link to an alarm by its number.
  if (view === "alarms" && /^\d+$/.test(device ?? ""))
    return { view, device: null, query: { ...query, alarm: device! } };
  const id = device ? fromSegment(device) : null;
  if (view === "device" && id === null) return HOME;
  return { view: view as View, device: id, query };
}

export function formatRoute(route: Route): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(route.query)) if (value) search.set(name, value);
  const text = search.toString().replaceAll("%2C", ",").replaceAll("%2F", "/").replaceAll("%3A", ":");
  const device = route.device ? `/${segment(route.device)}` : "";
  return `#/${route.view}${device}${text ? `?${text}` : ""}`;
}

/** The token of a link to set up (`#/setup?token=TOKEN`), empty without one; else null. */
export function setupToken(hash: string): string | null {
  const found = /^#\/setup(?:\?token=([\w-]+))?$/.exec(hash);
  return found && (found[1] ?? "");
}

/** The token of a share link (`/#share=TOKEN`), else null. */
export function shareToken(hash: string): string | null {
  return /^#share=([\w.~+/=-]+)$/.exec(hash)?.[1] ?? null;
}

/** The camera of a map: `zoom/latitude/longitude`. */
export interface Camera {
  zoom: number;
  latitude: number;
  longitude: number;
}

export function parseCamera(text: string | undefined): Camera | null {
  const [zoom, latitude, longitude] = (text ?? "").split("/").map(Number);
  if (![zoom, latitude, longitude].every((part) => Number.isFinite(part))) return null;
  if (Math.abs(latitude!) > 90 || zoom! < 0 || zoom! > 24) return null;
  return { zoom: zoom!, latitude: latitude!, longitude: longitude! };
}

export function formatCamera(camera: Camera): string {
  const digits = Math.max(1, Math.round(camera.zoom / 3));
  return [camera.zoom.toFixed(2), camera.latitude.toFixed(digits), camera.longitude.toFixed(digits)].join("/");
}
