// The one map of a visit. Starting WebGL is the slow part of the first view, so the
// map is made out of sight while a person still signs in, drawn once without any
// device, and then handed from view to view: its element moves, it is not made again.

import { chosenBase } from "./chosen";
import { FleetMap, type MapEvents } from "./fleet-map";

/** How the map looks when it is made; views say what is on it. */
export interface Appearance {
  dark: boolean;
  language: string;
  label: string;
}

interface Held {
  element: HTMLElement;
  map: Promise<FleetMap>;
  /** The operator's style did not answer, which the next view tries again. */
  lacksStyle: boolean;
}

let held: Held | null = null;
let park: HTMLElement | null = null;

/** Where the map waits: as large as the window, so that it can be drawn, and never seen. */
function parking(): HTMLElement {
  if (!park) {
    park = document.createElement("div");
    park.className = "map-park";
    park.inert = true;
    park.ariaHidden = "true";
    document.body.append(park);
  }
  return park;
}

function make(appearance: Appearance): Held {
  const element = document.createElement("div");
  element.className = "map-canvas";
  parking().append(element);
  const map = chosenBase().then((base) => {
    made.lacksStyle = base.trouble?.why === "unreachable";
    return FleetMap.create(element, { ...appearance, base, events: {} });
  });
  const made: Held = { element, map, lacksStyle: false };
  return made;
}

/** Makes the map while there is time. Failing is no matter: it is tried again when it is wanted. */
export function warmMap(appearance: Appearance): void {
  if (held) return;
  const made = (held = make(appearance));
  made.map.catch(() => {
    if (held === made) dropMap();
  });
}

/** Moves the map into `box`. Rejects where there is no WebGL. */
export async function takeMap(box: HTMLElement, appearance: Appearance, events: MapEvents): Promise<FleetMap> {
  if (held?.lacksStyle) dropMap();
  const mine = (held ??= make(appearance));
  box.append(mine.element);
  try {
    const map = await mine.map;
    if (mine.element.parentElement === box) map.moveIn(events, appearance.language, appearance.label);
    return map;
  } catch (error) {
    if (held === mine) dropMap();
    throw error;
  }
}

/** The view that had it is gone. */
export function parkMap(box: HTMLElement): void {
  if (!held || held.element.parentElement !== box) return;
  parking().append(held.element);
  void held.map.then(
    (map) => map.moveOut(),
    () => undefined,
  );
}

/** Nothing of one person's fleet is left for the next. */
export function dropMap(): void {
  const last = held;
  held = null;
  last?.element.remove();
  void last?.map.then(
    (map) => map.destroy(),
    () => undefined,
  );
}
