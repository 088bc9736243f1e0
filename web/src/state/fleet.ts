// What is known of the fleet, and what of it is shown. Pure: events in, state
// out. Devices are kept in one map that is changed in place, since 10 000 of them
// at 1 000 events a second leave no room for copies; `changed` says which.

import type { PositionEvent, StatusEvent, StreamEvent } from "../api/stream";
import type { Device, DevicePage, Status } from "../api/types";
import type { Said } from "./values";

export const STATUSES: readonly Status[] = ["online", "late", "offline", "never"];

/** A device as the page knows it. Times are Unix milliseconds. */
export interface Unit {
  id: string;
  name: string;
  /** For search: without accents, in small letters. */
  words: string;
  /** Sorts as people do: named ones first, `Van 7` before `Van 12`. */
  place: string;
  vehicle: string | null;
  groups: string[];
  status: Status;
  seenMs: number | null;
  recordedMs: number | null;
  /** When the place was recorded, which is before `recordedMs` while there is no fix. */
  positionMs: number | null;
  /** `history` where it was sent from memory, or the live store had none. */
  positionFrom: "live" | "history" | null;
  latitude: number | null;
  longitude: number | null;
  speedKmh: number | null;
  directionDeg: number | null;
  ignition: boolean | null;
  gpsFix: boolean | null;
  odometerM: number | null;
  hourMeterMin: number | null;
}

export interface Fleet {
  units: Map<string, Unit>;
  /** Grows with every change. */
  version: number;
  /** Changed since they were last taken by the map. */
  changed: Set<string>;
  /** When the newest frame arrived, Unix milliseconds. */
  latestMs: number | null;
}

export type Sort = "seen" | "name" | "speed" | "status" | "value";
export type Ignition = "on" | "off" | null;

export interface Filter {
  text: string;
  statuses: readonly Status[];
  group: string | null;
  ignition: Ignition;
}

export const NO_FILTER: Filter = { text: "", statuses: [], group: null, ignition: null };

export function emptyFleet(): Fleet {
  return { units: new Map(), version: 0, changed: new Set(), latestMs: null };
}

const timeMs = (text: string | null | undefined): number | null => (text ? Date.parse(text) : null);

/** As people type it: `São João` is found by `sao joao`. */
export const folded = (text: string): string => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

/** A plate is the same with and without its hyphen. */
const compact = (text: string): string => text.replace(/[^\p{L}\p{N}]/gu, "");

function wordsOf({ device_id, vehicle, tags, groups }: Device, name: string): string {
  const words = [name, device_id, vehicle, ...tags, ...groups.map((group) => group.name)].map(folded);
  return [...words, compact(folded(vehicle))].join("\n");
}

const padded = (text: string): string => text.replace(/\d+/g, (digits) => digits.padStart(9, "0"));

/** Comparing two of these is cheap, which comparing as a language does is not. */
function placeOf(name: string, id: string): string {
  return name === "" ? `1${id}` : `0${padded(folded(name))}\n${id}`;
}

export function unitOf(device: Device): Unit {
  const at = device.location;
  const name = device.name.trim() || device.device_id;
  return {
    id: device.device_id,
    name,
    words: wordsOf(device, name),
    place: placeOf(device.name.trim(), device.device_id),
    vehicle: device.vehicle || null,
    groups: device.groups.map((group) => group.name),
    status: device.status,
    // Of a silent device the server knows when its last frame came.
    seenMs: timeMs(device.seen_at) ?? timeMs(at?.seen_at) ?? timeMs(at?.received_at),
    recordedMs: timeMs(at?.recorded_at),
    positionMs: timeMs(at?.position_recorded_at),
    positionFrom: at?.position_from ?? null,
    latitude: at?.latitude ?? null,
    longitude: at?.longitude ?? null,
    speedKmh: at?.speed_kmh ?? null,
    directionDeg: at?.direction_deg ?? null,
    ignition: at?.ignition ?? null,
    gpsFix: at?.gps_fix ?? null,
    odometerM: at?.odometer_m ?? null,
    hourMeterMin: at?.hour_meter_min ?? null,
  };
}

/** Takes a page of the device list. What the stream has brought since is kept. */
export function takePage(fleet: Fleet, page: Pick<DevicePage, "devices">): void {
  for (const device of page.devices) {
    const unit = unitOf(device);
    const known = fleet.units.get(unit.id);
    const newer = known?.recordedMs != null && (unit.recordedMs === null || known.recordedMs > unit.recordedMs);
    fleet.units.set(
      unit.id,
      newer
        ? {
            ...known,
            name: unit.name,
            words: unit.words,
            place: unit.place,
            vehicle: unit.vehicle,
            groups: unit.groups,
            ...newerPlace(unit, known),
          }
        : unit,
    );
    fleet.changed.add(unit.id);
    if (unit.seenMs !== null) fleet.latestMs = Math.max(fleet.latestMs ?? 0, unit.seenMs);
  }
  fleet.version += 1;
}

/** The list knows places from history; the stream may have begun without a fix. */
function newerPlace(listed: Unit, known: Unit): Partial<Unit> {
  const { positionMs, positionFrom, latitude, longitude } = listed;
  if (positionMs === null || (known.positionMs !== null && positionMs <= known.positionMs)) return {};
  return { positionMs, positionFrom, latitude, longitude };
}

/** Forgets devices that a complete list no longer names. */
export function keepOnly(fleet: Fleet, ids: ReadonlySet<string>): void {
  for (const id of fleet.units.keys()) {
    if (ids.has(id)) continue;
    fleet.units.delete(id);
    fleet.changed.add(id);
  }
  fleet.version += 1;
}

export function takeEvents(fleet: Fleet, events: readonly StreamEvent[]): void {
  let any = false;
  for (const event of events) {
    if (event.type === "position") takePosition(fleet, event);
    else if (event.type === "status") takeStatus(fleet, event);
    else continue;
    fleet.changed.add(event.device_id);
    any = true;
  }
  if (any) fleet.version += 1;
}

function takePosition(fleet: Fleet, event: PositionEvent): void {
  const unit = fleet.units.get(event.device_id) ?? stranger(fleet, event.device_id);
  const receivedMs = timeMs(event.received_at);
  if (receivedMs !== null) {
    unit.seenMs = Math.max(unit.seenMs ?? 0, receivedMs);
    fleet.latestMs = Math.max(fleet.latestMs ?? 0, receivedMs);
  }
  unit.status = event.status;
  const recordedMs = timeMs(event.recorded_at);
  // Newest wins: an old event does not move a device back.
  if (recordedMs === null || (unit.recordedMs !== null && recordedMs < unit.recordedMs)) return;
  unit.recordedMs = recordedMs;
  unit.speedKmh = event.speed_kmh;
  unit.ignition = event.ignition;
  unit.gpsFix = event.gps_fix;
  unit.odometerM = event.odometer_m;
  unit.hourMeterMin = event.hour_meter_min;
  unit.directionDeg = event.direction_deg;
  // Without a fix the last place that had one is shown; when that was, the list knows.
  const hasFix = event.gps_fix !== false;
  if ((hasFix || unit.latitude === null) && event.latitude !== null && event.longitude !== null) {
    unit.latitude = event.latitude;
    unit.longitude = event.longitude;
    unit.positionMs = hasFix ? recordedMs : null;
    unit.positionFrom = event.position_from ?? "live";
  }
}

/** A place this much older than the last contact is not where the device is now. */
export const OLD_MS = 5 * 60_000;

/** Whether the device is heard and its position is of another time. */
export function isOld(unit: Pick<Unit, "seenMs" | "positionMs">): boolean {
  return unit.seenMs !== null && unit.positionMs !== null && unit.seenMs - unit.positionMs > OLD_MS;
}

function takeStatus(fleet: Fleet, event: StatusEvent): void {
  const unit = fleet.units.get(event.device_id) ?? stranger(fleet, event.device_id);
  unit.status = event.status;
}

function stranger(fleet: Fleet, id: string): Unit {
  const unit = unitOf({
    device_id: id,
    name: "",
    vehicle: "",
    tags: [],
    groups: [],
    status: "never",
    seen_at: null,
    location: null,
  });
  fleet.units.set(id, unit);
  return unit;
}

export function matches(unit: Unit, filter: Filter): boolean {
  if (filter.statuses.length > 0 && !filter.statuses.includes(unit.status)) return false;
  if (filter.group !== null && !unit.groups.includes(filter.group)) return false;
  if (filter.ignition !== null && unit.ignition !== (filter.ignition === "on")) return false;
  if (filter.text.trim() === "") return true;
  const words = folded(filter.text.trim()).split(/\s+/);
  return words.every(
    (word) => unit.words.includes(word) || (compact(word) !== "" && unit.words.includes(compact(word))),
  );
}

const RANK: Record<Status, number> = { online: 0, late: 1, offline: 2, never: 3 };
const byName = (a: Unit, b: Unit): number => (a.place < b.place ? -1 : a.place > b.place ? 1 : 0);

/** Seen within the same ten seconds counts as equal, so that a busy list stands still. */
const SEEN_STEP_MS = 10_000;
const seenStep = (unit: Unit): number => Math.floor((unit.seenMs ?? 0) / SEEN_STEP_MS);

const COMPARE: Record<Sort, (a: Unit, b: Unit) => number> = {
  seen: (a, b) => seenStep(b) - seenStep(a) || byName(a, b),
  name: byName,
  speed: (a, b) => (b.speedKmh ?? -1) - (a.speedKmh ?? -1) || byName(a, b),
  status: (a, b) => RANK[a.status] - RANK[b.status] || byName(a, b),
  // Without a chosen channel.
  value: byName,
};

/** What a chosen channel says of a device, and whether that is asked for. */
export interface ChannelColumn {
  value(id: string): Said;
  isAsked(id: string): boolean;
}

/** Numbers before the rest, the largest first. */
function byValue(column: ChannelColumn): (a: Unit, b: Unit) => number {
  const rank = (value: Said): number =>
    typeof value === "number" ? value : typeof value === "boolean" ? Number(value) : Number.NEGATIVE_INFINITY;
  const text = (value: Said): string => (typeof value === "string" ? value : "");
  return (a, b) => {
    const [one, other] = [column.value(a.id), column.value(b.id)];
    const numbers = rank(other) - rank(one);
    if (numbers !== 0 && !Number.isNaN(numbers)) return numbers;
    if ((one === null) !== (other === null)) return one === null ? 1 : -1;
    return text(one).localeCompare(text(other)) || byName(a, b);
  };
}

export function shown(fleet: Fleet, filter: Filter, sort: Sort, column: ChannelColumn | null = null): Unit[] {
  const units: Unit[] = [];
  for (const unit of fleet.units.values()) {
    if (matches(unit, filter) && (column === null || column.isAsked(unit.id))) units.push(unit);
  }
  return units.sort(sort === "value" && column ? byValue(column) : COMPARE[sort]);
}

export type Counts = Record<Status, number> & { total: number };

/** Per status, of what the other filters let through. */
export function counts(fleet: Fleet, filter: Filter): Counts {
  const result: Counts = { online: 0, late: 0, offline: 0, never: 0, total: 0 };
  const others = { ...filter, statuses: [] };
  for (const unit of fleet.units.values()) {
    if (!matches(unit, others)) continue;
    result[unit.status] += 1;
    result.total += 1;
  }
  return result;
}

export function groupNames(fleet: Fleet): string[] {
  const names = new Set<string>();
  for (const unit of fleet.units.values()) for (const group of unit.groups) names.add(group);
  return [...names].sort();
}
