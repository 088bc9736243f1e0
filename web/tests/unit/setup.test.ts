import { describe, expect, it } from "vitest";

import { identityOf, type Listener, PROTOCOLS, waysOf } from "../../src/state/setup";

const of = (name: string) => PROTOCOLS.find((protocol) => protocol.name === name)!;
const at = (protocol: string, transport: string, address: string, path: string | null = null): Listener => ({
  protocol,
  transport,
  address,
  path,
});

describe("adding a device", () => {
  it("makes an identity of what people enter", () => {
    expect(identityOf(of("sft9001"), "0a3f73")).toBe("0A3F73");
    expect(identityOf(of("teltonika"), "356307042441013")).toBe("imei:356307042441013");
    expect(identityOf(of("teltonika"), "imei:356307042441013")).toBe("imei:356307042441013");
    expect(identityOf(of("owntracks"), "jane/phone")).toBe("owntracks:jane/phone");
    expect(identityOf(of("sft9001"), "tracker")).toBeNull();
    expect(identityOf(of("osmand"), "")).toBeNull();
  });

  it("says what to enter in the device", () => {
    const listeners = [
      at("teltonika", "tcp", "0.0.0.0:5027"),
      at("teltonika", "udp", "[::]:5027"),
      at("gt06", "tcp", "203.0.113.7:5023"),
      at("owntracks", "mqtts", "127.0.0.1:8883", "owntracks/{user}/{device}"),
      at("telemetry", "mqtt", "0.0.0.0:1883", "/telemetry/{device}"),
      at("osmand", "http", "[2001:db8::1]:5055", "/"),
    ];
    const ways = (protocol: string, device: string | null = null) =>
      waysOf(protocol, listeners, "fleet.example.org", device);
    expect(ways("teltonika").map((way) => way.lines)).toEqual([
      [
        ["setup.server", "fleet.example.org"],
        ["setup.port", "5027"],
        ["setup.sms", "  setparam 2004:fleet.example.org;2005:5027;2006:0"],
      ],
      [
        ["setup.server", "fleet.example.org"],
        ["setup.port", "5027"],
        ["setup.sms", "  setparam 2004:fleet.example.org;2005:5027;2006:1"],
      ],
    ]);
    expect(ways("gt06")[0]?.lines[2]).toEqual(["setup.sms", "SERVER,0,203.0.113.7,5023,0#"]);
    expect(ways("owntracks", "owntracks:jane/phone")).toEqual([
      {
        transport: "mqtts",
        lines: [
          ["setup.url", "mqtts://127.0.0.1:8883"],
          ["admin.mqtt.topic", "owntracks/jane/phone"],
        ],
        local: true,
      },
    ]);
    expect(ways("telemetry", "id:a/b")[0]?.lines[1]).toEqual(["admin.mqtt.topic", "/telemetry/id:a%2Fb"]);
    expect(ways("osmand")[0]?.lines).toEqual([["setup.url", "http://[2001:db8::1]:5055/"]]);
    expect(ways("queclink")).toEqual([]);
  });
});
