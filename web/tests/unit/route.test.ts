import { describe, expect, it } from "vitest";

import { formatCamera, formatRoute, HOME, parseCamera, parseRoute, shareToken } from "../../src/state/route";
import { filterOf, sortOf } from "../../src/views/filters";

describe("the address", () => {
  it("says the view and comes back as it was", () => {
    for (const hash of [
      "#/fleet",
      "#/fleet?q=van+1&status=online,late&map=9.20/-19.917/-43.935",
      "#/device/0A3F73?day=2026-07-01",
      "#/device/01000000?day=2026-07-01",
      "#/replay/0A3F73?from=2026-07-01T00:00&to=2026-07-02T00:00&speed=60",
      "#/device/host:web1",
      "#/device/owntracks:jane%2Fphone?day=2026-07-01",
      "#/device/id:50%25",
      "#/reports?kind=trips",
    ]) {
      expect(formatRoute(parseRoute(hash))).toBe(hash);
    }
  });

  it("leads home when it makes no sense", () => {
    for (const hash of [
      "",
      "#",
      "#/",
      "#/nowhere",
      "#/device",
      "#/device/xyz",
      "#/device/000A3F73",
      "#/device/tag:x",
      "#/device/id:%zz",
      "#share=abc",
    ]) {
      expect(parseRoute(hash)).toEqual(HOME);
    }
  });

  it("writes device ids in upper case", () => {
    expect(parseRoute("#/device/0a3f73").device).toBe("0A3F73");
    expect(parseRoute("#/device/ffffffff").device).toBe("FFFFFFFF");
    expect(parseRoute("#/device/id%3Aboiler").device).toBe("id:boiler");
  });

  it("may hold the token of a share link", () => {
    expect(shareToken("#share=eyJ0.a-b_c")).toBe("eyJ0.a-b_c");
    expect(shareToken("#/fleet?share=x")).toBeNull();
    expect(shareToken("#share=")).toBeNull();
  });
});

describe("the camera", () => {
  it("comes back to the digit that can be seen", () => {
    const camera = { zoom: 12, latitude: -19.91671, longitude: -43.93452 };
    expect(parseCamera(formatCamera(camera))).toEqual({
      zoom: 12,
      latitude: -19.9167,
      longitude: -43.9345,
    });
  });

  it("is not made up from rubbish", () => {
    for (const text of [undefined, "", "1/2", "a/b/c", "3/91/0", "-1/0/0", "30/0/0"]) {
      expect(parseCamera(text)).toBeNull();
    }
  });
});

describe("filters in the address", () => {
  it("are read, and unknown words are left out", () => {
    expect(filterOf({ q: "van", status: "late,bogus", ignition: "on", group: "North" })).toEqual({
      text: "van",
      statuses: ["late"],
      group: "North",
      ignition: "on",
    });
    expect(filterOf({ ignition: "maybe" }).ignition).toBeNull();
    expect(sortOf({ sort: "speed" })).toBe("speed");
    expect(sortOf({ sort: "bogus" })).toBe("status");
  });

  it("takes the links of messages, which name an alarm", () => {
    expect(parseRoute("#/alarms/12")).toEqual({ view: "alarms", device: null, query: { alarm: "12" } });
    expect(parseRoute("#/alarms/x").query).toEqual({});
  });
});
