// What is entered in a device so that it reaches this system: from its protocol and the
// listeners that the server reports.

import type { Key } from "../text/en";
import { deviceId, segment } from "./route";

/** Where devices of a protocol reach a process. */
export interface Listener {
  protocol: string;
  transport: string;
  /** Address and port that the process listens on. */
  address: string;
  /** Topics or a path. */
  path: string | null;
}

export interface Protocol {
  name: string;
  /** Makers and apps; not translated. */
  label: string;
  /** What the identity begins with; empty where the whole of it is entered. */
  kind: string;
  /** What people enter. */
  example: string;
  /** The setting that opens a listener. */
  setting: string;
}

export const PROTOCOLS: readonly Protocol[] = [
  { name: "sft9001", label: "SFT9001", kind: "", example: "0A3F73", setting: "--mqtt-listen ADDRESS:PORT" },
  {
    name: "teltonika",
    label: "Teltonika",
    kind: "imei:",
    example: "356307042441013",
    setting: "--tcp-listen teltonika=ADDRESS:PORT",
  },
  {
    name: "gt06",
    label: "GT06 (Concox, Jimi)",
    kind: "imei:",
    example: "864717003283581",
    setting: "--tcp-listen gt06=ADDRESS:PORT",
  },
  {
    name: "queclink",
    label: "Queclink",
    kind: "imei:",
    example: "866314060299813",
    setting: "--tcp-listen queclink=ADDRESS:PORT",
  },
  {
    name: "osmand",
    label: "Traccar Client, OsmAnd",
    kind: "id:",
    example: "123456",
    setting: "--http-devices-listen ADDRESS:PORT",
  },
  {
    name: "owntracks",
    label: "OwnTracks",
    kind: "owntracks:",
    example: "jane/phone",
    setting: "--mqtt-protocols owntracks",
  },
  {
    name: "telemetry",
    label: "JSON, SenML",
    kind: "id:",
    example: "sensor-1",
    setting: "--mqtt-listen ADDRESS:PORT",
  },
];

/** The identity of what was entered; null where it is none. */
export function identityOf(protocol: Protocol, text: string): string | null {
  return deviceId(text.includes(":") ? text : `${protocol.kind}${text}`);
}

/** A way in, as pairs of what it is called and what is entered. */
export interface Way {
  transport: string;
  lines: [name: Key, value: string][];
  /** Nobody but the server's own machine reaches it. */
  local: boolean;
}

/** Host and port of `1.2.3.4:5`, `[::1]:5` and `name:5`. */
function parts(address: string): [host: string, port: string] {
  const at = address.lastIndexOf(":");
  return [address.slice(0, at).replace(/^\[(.*)\]$/, "$1"), address.slice(at + 1)];
}

const isLocal = (host: string): boolean => host === "localhost" || host === "::1" || host.startsWith("127.");
const inUrl = (host: string): string => (host.includes(":") ? `[${host}]` : host);

/** The topic or path of a device: what is in braces is its own. */
function ownPath(path: string, device: string | null): string {
  if (!device) return path;
  const phone = /^owntracks:([^/]+)\/(.+)$/.exec(device);
  if (phone) return path.replace("{user}", phone[1]!).replace("{device}", phone[2]!);
  return path.replace("{device}", segment(device));
}

/** What makers have words for that are sent by SMS. */
function sms(protocol: string, transport: string, host: string, port: string): [Key, string][] {
  if (protocol === "teltonika") {
    return [["setup.sms", `  setparam 2004:${host};2005:${port};2006:${transport === "udp" ? 1 : 0}`]];
  }
  if (protocol === "gt06") {
    const named = /[a-z]/i.test(host) && !host.includes(":");
    return [
      ["setup.sms", `SERVER,${named ? 1 : 0},${host},${port},0#`],
      ["setup.sms.clock", "GMT,E,0,0#"],
    ];
  }
  return [];
}

/** How a device of a protocol reaches this system; `page` is the host at which the page was opened. */
export function waysOf(protocol: string, listeners: Listener[], page: string, device: string | null): Way[] {
  return listeners
    .filter((listener) => listener.protocol === protocol)
    .map(({ transport, address, path }) => {
      const [bound, port] = parts(address);
      const host = bound === "0.0.0.0" || bound === "::" ? page : bound;
      const own = ownPath(path ?? "", device);
      const lines: [Key, string][] =
        transport === "tcp" || transport === "tls" || transport === "udp"
          ? [["setup.server", host], ["setup.port", port], ...sms(protocol, transport, host, port)]
          : transport === "http" || transport === "https"
            ? [["setup.url", `${transport}://${inUrl(host)}:${port}${own}`]]
            : [
                ["setup.url", `${transport}://${inUrl(host)}:${port}`],
                ["admin.mqtt.topic", own],
              ];
      return { transport, lines, local: isLocal(host) };
    });
}
