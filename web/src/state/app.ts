// The few values that the whole page shares: who is signed in, which view the
// address names, how it looks, and the map.

import type { Me } from "../api/types";
import type { FleetMap } from "../map/fleet-map";
import { type Language, loadLanguage, preferred, useLanguage } from "../text/language";
import { Cell } from "./cell";
import { insist } from "./loading";
import { formatRoute, HOME, parseRoute, type Route } from "./route";

export type Session =
  | { state: "starting" }
  | { state: "out"; ended: boolean }
  | { state: "in"; me: Me }
  | { state: "share"; name: string | null; expiresMs: number | null; past: boolean; fromMs: number | null }
  | { state: "bad-share" };

export type Theme = "auto" | "light" | "dark";

const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
const stored = (name: string): string | null => localStorage.getItem(`nemeses-${name}`);
const store = (name: string, value: string): void => localStorage.setItem(`nemeses-${name}`, value);

const storedTheme = stored("theme");
const storedLanguage = stored("language");

export const session = new Cell<Session>({ state: "starting" });
export const route = new Cell<Route>(parseRoute(location.hash));
export const theme = new Cell<Theme>(storedTheme === "light" || storedTheme === "dark" ? storedTheme : "auto");
export const dark = new Cell<boolean>(prefersDark.matches);
export const language = new Cell<Language>(
  storedLanguage === "pt" || storedLanguage === "en" ? storedLanguage : preferred(navigator.languages),
);
export const fleetMap = new Cell<FleetMap | null>(null);
/** A stop that was picked on the map, by its beginning; picked again it is another object. */
export const pickedStop = new Cell<{ id: string } | null>(null);

function applyTheme(): void {
  const isDark = theme.value === "auto" ? prefersDark.matches : theme.value === "dark";
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
  dark.set(isDark);
}

function applyLanguage(): void {
  useLanguage(language.value);
  document.documentElement.lang = language.value === "pt" ? "pt-BR" : "en";
}

/** Shows it as soon as its words are there. */
export async function chooseLanguage(next: Language): Promise<void> {
  await insist(() => loadLanguage(next), { isGone: () => false, away: () => undefined, isOfEvery: true });
  language.set(next);
}

prefersDark.addEventListener("change", applyTheme);
theme.subscribe(() => {
  store("theme", theme.value);
  applyTheme();
});
language.subscribe(() => {
  store("language", language.value);
  applyLanguage();
});
applyTheme();
applyLanguage();

window.addEventListener("hashchange", () => route.set(parseRoute(location.hash)));

/** The fleet as it was looked at last, and the device that was opened from it. */
let lastFleet: Route = route.value.view === "fleet" ? route.value : HOME;
export const lastDevice = new Cell<string | null>(null);
route.subscribe(() => {
  if (route.value.view === "fleet") lastFleet = route.value;
  else if (route.value.device) lastDevice.set(route.value.device);
});

/** One level up: from a replay to its device, from anything else to the fleet as it was. */
export function upFrom({ view, device }: Route): Route | null {
  if (view === "fleet") return null;
  return view === "replay" && device ? { view: "device", device, query: {} } : lastFleet;
}

/** Goes to a view; the back button leads here again. */
export function go(next: Route): void {
  location.hash = formatRoute(next);
}

/** Changes the view's state in place; `null` takes a value out. */
export function tune(changes: Record<string, string | null>): void {
  // A link was followed and its change is still to be told: what this view wants noted is void.
  const said = parseRoute(location.hash);
  if (said.view !== route.value.view || said.device !== route.value.device) return;
  const query = { ...route.value.query };
  for (const [name, value] of Object.entries(changes)) {
    if (value) query[name] = value;
    else delete query[name];
  }
  const next = { ...route.value, query };
  history.replaceState(null, "", formatRoute(next));
  route.set(next);
}

/** Whether what was recorded may be looked at; some share links show the present alone. */
export const showsPast = (): boolean => session.value.state !== "share" || session.value.past;

export const isAdmin = (): boolean => session.value.state === "in" && session.value.me.role === "admin";

/** Operators and administrators change things and command devices; viewers and share links look. */
export const isOperator = (): boolean => session.value.state === "in" && session.value.me.role !== "viewer";
