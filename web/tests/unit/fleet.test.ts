import { describe, expect, it } from "vitest";

import type { PositionEvent } from "../../src/api/stream";
import type { Device, Status } from "../../src/api/types";
import {
  counts,
  emptyFleet,
  groupNames,
  keepOnly,
  matches,
  NO_FILTER,
  shown,
  takeEvents,
  takePage,
  unitOf,
} from "../../src/state/fleet";

const T0 = "2026-07-01T12:00:00Z";

function device(id: string, status: Status, more: Partial<Device> = {}): Device {
  return {
    device_id: id,
    name: "",
    vehicle: "",
    tags: [],
    groups: [],
    status,
    seen_at: T0,
    location: {
      device_id: id,
      status: status === "online" ? "online" : "offline",
      message: null,
      recorded_at: T0,
      received_at: T0,
      seen_at: T0,
      age_s: 0,
      latitude: -19.9,
      longitude: -43.9,
      position_recorded_at: T0,
      position_age_s: 0,
      position_from: "live",
      speed_kmh: 10,
      direction_deg: 90,
      ignition: true,
      gps_fix: true,
      odometer_m: 1000,
      hour_meter_min: 60,
    },
    ...more,
  };
}

function position(id: string, recorded_at: string, more: Partial<PositionEvent> = {}): PositionEvent {
  return {
    type: "position",
    id: "1",
    device_id: id,
    recorded_at,
    received_at: recorded_at,
    latitude: -20,
    longitude: -44,
    speed_kmh: 50,
    direction_deg: 180,
    ignition: true,
    gps_fix: true,
    odometer_m: 2000,
    hour_meter_min: 61,
    status: "online",
    ...more,
  };
}

const page = (...devices: Device[]) => ({ devices });

describe("events", () => {
  it("move a device forward in recorded time only", () => {
    const fleet = emptyFleet();
    takePage(fleet, page(device("0A3F73", "online")));
    takeEvents(fleet, [position("0A3F73", "2026-07-01T11:59:00Z")]);
    expect(fleet.units.get("0A3F73")).toMatchObject({ latitude: -19.9, speedKmh: 10 });
    takeEvents(fleet, [position("0A3F73", "2026-07-01T12:00:10Z")]);
    expect(fleet.units.get("0A3F73")).toMatchObject({ latitude: -20, speedKmh: 50 });
    expect([...fleet.changed]).toEqual(["0A3F73"]);
    expect(fleet.latestMs).toBe(Date.parse("2026-07-01T12:00:10Z"));
  });

  it("keep the last place while there is no fix", () => {
    const fleet = emptyFleet();
    takePage(fleet, page(device("0A3F73", "online")));
    takeEvents(fleet, [position("0A3F73", "2026-07-01T12:00:10Z", { gps_fix: false, latitude: 0, longitude: 0 })]);
    expect(fleet.units.get("0A3F73")).toMatchObject({ latitude: -19.9, gpsFix: false, speedKmh: 50 });
  });

  it("of a device that only pings leave it where the list says it was last", () => {
    const fleet = emptyFleet();
    const listed = device("0A3F73", "online");
    const location = { ...listed.location!, position_from: "history" as const };
    takePage(fleet, page({ ...listed, location }));
    takeEvents(fleet, [{ type: "status", id: "1", device_id: "0A3F73", status: "late", at: T0 }]);
    expect(fleet.units.get("0A3F73")).toMatchObject({ status: "late", latitude: -19.9, positionFrom: "history" });
  });

  it("show a device that the list did not name where it had a fix last", () => {
    const fleet = emptyFleet();
    takeEvents(fleet, [position("0A3F73", "2026-07-01T12:00:10Z", { gps_fix: false, position_from: "history" })]);
    expect(fleet.units.get("0A3F73")).toMatchObject({ latitude: -20, positionMs: null, positionFrom: "history" });
    takeEvents(fleet, [position("0A3F73", "2026-07-01T12:00:20Z", { gps_fix: false, latitude: 0, longitude: 0 })]);
    expect(fleet.units.get("0A3F73")).toMatchObject({ latitude: -20, positionMs: null });
  });

  it("bring in devices that the list did not name, and say when nothing changed", () => {
    const fleet = emptyFleet();
    takeEvents(fleet, [{ type: "status", id: "1", device_id: "0A3F74", status: "late", at: T0 }]);
    expect(fleet.units.get("0A3F74")).toMatchObject({ status: "late", latitude: null, name: "0A3F74" });
    const version = fleet.version;
    takeEvents(fleet, [{ type: "heartbeat" }]);
    expect(fleet.version).toBe(version);
  });
});

describe("a list that is read again", () => {
  it("does not undo what the stream brought meanwhile, but renames", () => {
    const fleet = emptyFleet();
    takeEvents(fleet, [position("0A3F73", "2026-07-01T12:00:10Z")]);
    takePage(fleet, page(device("0A3F73", "late", { name: "Van" })));
    expect(fleet.units.get("0A3F73")).toMatchObject({ latitude: -20, name: "Van", status: "online" });
  });

  it("knows the last place of a device that has been moving without a fix", () => {
    const fleet = emptyFleet();
    const lost = { gps_fix: false, latitude: null, longitude: null };
    takeEvents(fleet, [position("0A3F73", "2026-07-01T12:00:10Z", lost)]);
    takePage(fleet, page(device("0A3F73", "online")));
    expect(fleet.units.get("0A3F73")).toMatchObject({
      gpsFix: false,
      speedKmh: 50,
      latitude: -19.9,
      positionMs: Date.parse(T0),
    });
  });

  it("forgets devices that are no longer in it", () => {
    const fleet = emptyFleet();
    takePage(fleet, page(device("0A3F73", "online"), device("0A3F74", "online")));
    fleet.changed.clear();
    keepOnly(fleet, new Set(["0A3F74"]));
    expect([...fleet.units.keys()]).toEqual(["0A3F74"]);
    expect([...fleet.changed]).toEqual(["0A3F73"]);
  });
});

describe("what is shown", () => {
  const fleet = emptyFleet();
  takePage(
    fleet,
    page(
      device("000001", "online", { name: "Van 1", groups: [{ group_id: 1, name: "North" }] }),
      device("000002", "late", { name: "Van 2", vehicle: "ABC1D23", groups: [{ group_id: 2, name: "South" }] }),
      device("000003", "offline", { location: null, seen_at: null }),
    ),
  );

  it("follows words, status, group and ignition", () => {
    const ids = (filter: object) => shown(fleet, { ...NO_FILTER, ...filter }, "name").map((unit) => unit.id);
    expect(ids({})).toEqual(["000001", "000002", "000003"]);
    expect(ids({ text: "VAN 2" })).toEqual(["000002"]);
    expect(ids({ text: "abc van" })).toEqual(["000002"]);
    expect(ids({ text: "0003" })).toEqual(["000003"]);
    expect(ids({ statuses: ["late", "offline"] })).toEqual(["000002", "000003"]);
    expect(ids({ group: "North" })).toEqual(["000001"]);
    expect(ids({ ignition: "on" })).toEqual(["000001", "000002"]);
    expect(ids({ ignition: "off" })).toEqual([]);
  });

  it("is counted per status, whatever statuses are chosen", () => {
    expect(counts(fleet, { ...NO_FILTER, statuses: ["late"] })).toEqual({
      online: 1,
      late: 1,
      offline: 1,
      never: 0,
      total: 3,
    });
    expect(counts(fleet, { ...NO_FILTER, text: "van" }).total).toBe(2);
  });

  it("is sorted by status, speed or when it was seen", () => {
    const sorted = (sort: "status" | "speed" | "seen") => shown(fleet, NO_FILTER, sort).map((unit) => unit.id);
    expect(sorted("status")).toEqual(["000001", "000002", "000003"]);
    expect(sorted("speed")).toEqual(["000001", "000002", "000003"]);
    expect(sorted("seen")).toEqual(["000001", "000002", "000003"]);
  });

  it("is found as people type it: without accents, by plate, tag and group", () => {
    const named = emptyFleet();
    takePage(
      named,
      page(
        device("000001", "online", { name: "Caminhão São João", vehicle: "ABC-1D23", tags: ["Frigorífico"] }),
        device("000002", "online", {
          name: "Ônibus 12",
          vehicle: "Volvo",
          groups: [{ group_id: 1, name: "Região Norte" }],
        }),
      ),
    );
    const ids = (text: string) => shown(named, { ...NO_FILTER, text }, "name").map(({ id }) => id);
    for (const text of ["sao joao", "São João", "SAO", "abc1d23", "abc-1d23", "frigorifico"]) {
      expect(ids(text), text).toEqual(["000001"]);
    }
    for (const text of ["onibus", "regiao norte", "volvo"]) expect(ids(text), text).toEqual(["000002"]);
    expect(ids("-")).toEqual(["000001"]);
    expect(ids("sao volvo")).toEqual([]);
  });

  it("has the names of all groups", () => {
    expect(groupNames(fleet)).toEqual(["North", "South"]);
  });

  it("needs no place", () => {
    const unit = unitOf(device("000003", "never", { location: null, seen_at: null }));
    expect(unit).toMatchObject({ name: "000003", seenMs: null, latitude: null });
    expect(matches(unit, NO_FILTER)).toBe(true);
  });
});

describe("names", () => {
  it("are sorted as people do, and before devices without one", () => {
    const fleet = emptyFleet();
    const named = (id: string, name: string) => device(id, "online", { name });
    takePage(
      fleet,
      page(named("000001", "Van 12"), named("000002", ""), named("000003", "van 7"), named("000004", "Bus 1")),
    );
    const names = shown(fleet, NO_FILTER, "name").map(({ name }) => name);
    expect(names).toEqual(["Bus 1", "van 7", "Van 12", "000002"]);
  });
});
