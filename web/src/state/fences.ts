// The geofences that the person sees: read once, again after a change; and whether they are drawn.

import { ApiError } from "../api/client";
import { type Geofence, geofences } from "../api/geofences";
import { Cell } from "./cell";

export type Fences =
  | { state: "unread" | "reading" }
  | { state: "read"; all: readonly Geofence[] }
  /** A server without geofences, or no right to see them. */
  | { state: "none" }
  | { state: "failed"; error: unknown };

export const fences = new Cell<Fences>({ state: "unread" });

export const allFences = (known: Fences): readonly Geofence[] => (known.state === "read" ? known.all : []);

let reading: AbortController | null = null;

/** Reads them anew; what is shown stays until then. */
export async function readFences(): Promise<void> {
  reading?.abort();
  const mine = (reading = new AbortController());
  if (fences.value.state !== "read") fences.set({ state: "reading" });
  try {
    const all = await geofences(mine.signal);
    if (!mine.signal.aborted) fences.set({ state: "read", all });
  } catch (error) {
    if (mine.signal.aborted) return;
    const isNone = error instanceof ApiError && [403, 404].includes(error.status);
    fences.set(isNone ? { state: "none" } : { state: "failed", error });
  }
}

/** Once a visit, by whoever needs them first. */
export function wantFences(): void {
  if (fences.value.state === "unread" || fences.value.state === "failed") void readFences();
}

/** Nothing of one person is left for the next. */
export function forgetFences(): void {
  reading?.abort();
  fences.set({ state: "unread" });
}

const STORED = "nemeses-fences";

/** Whether fences are drawn below the fleet. */
export const fencesShown = new Cell<boolean>(localStorage.getItem(STORED) !== "off");
fencesShown.subscribe(() => localStorage.setItem(STORED, fencesShown.value ? "on" : "off"));
