// A frame's bytes, field by field, as docs/protocol.md has them. For people who
// look at one: the server's decoder decides what a frame is. Pure.

export interface Part {
  /** Key of its name: `decode.` and this. */
  name:
    | "header"
    | "device"
    | "type"
    | "recorded"
    | "direction"
    | "odometer"
    | "hours"
    | "composition"
    | "extension"
    | "speed"
    | "latitude"
    | "longitude"
    | "payload"
    | "footer"
    | "rest";
  offset: number;
  hex: string;
  value: PartValue;
}

/** What a field means, in its unit; words are the view's. */
export type PartValue =
  | { kind: "none" }
  | { kind: "text"; text: string }
  | { kind: "moment"; ms: number }
  | { kind: "degrees"; degrees: number }
  | { kind: "metres"; metres: number }
  | { kind: "minutes"; minutes: number }
  | { kind: "speed"; kmh: number }
  | { kind: "flags"; fix: boolean; historical: boolean; ignition: boolean }
  | { kind: "coordinate"; degrees: number };

const HEADER = "50F7";
const FOOTER = "73C4";
const LOCATION_BYTES = [33, 35];

function bytesOf(hex: string): number[] | null {
  const text = hex.replace(/\s/g, "");
  if (text.length % 2 !== 0 || !/^[0-9A-Fa-f]*$/.test(text)) return null;
  return Array.from({ length: text.length / 2 }, (_, index) =>
    Number.parseInt(text.slice(index * 2, index * 2 + 2), 16),
  );
}

/** The parts of a whole frame; `null` for anything else. */
export function decode(hex: string): Part[] | null {
  const bytes = bytesOf(hex);
  if (!bytes || bytes.length < 8) return null;
  const parts: Part[] = [];
  let at = 0;
  const textOf = (from: number, count: number): string =>
    bytes
      .slice(from, from + count)
      .map((byte) => byte.toString(16).padStart(2, "0"))
      .join("")
      .toUpperCase();
  const numberOf = (from: number, count: number): number =>
    bytes.slice(from, from + count).reduce((sum, byte) => sum * 256 + byte, 0);
  const take = (name: Part["name"], count: number, value: (number: number) => PartValue): void => {
    parts.push({ name, offset: at, hex: textOf(at, count), value: value(numberOf(at, count)) });
    at += count;
  };
  const none = (): PartValue => ({ kind: "none" });

  if (textOf(0, 2) !== HEADER || textOf(bytes.length - 2, 2) !== FOOTER) return null;
  const type = bytes[5];
  if (type === 2 && !LOCATION_BYTES.includes(bytes.length)) return null;
  take("header", 2, none);
  take("device", 3, (id) => ({ kind: "text", text: String(id) }));
  take("type", 1, (code) => ({ kind: "text", text: code === 1 ? "ping" : code === 2 ? "location" : "?" }));
  if (type === 2) {
    const composition = numberOf(20, 2);
    take("recorded", 4, (s) => ({ kind: "moment", ms: s * 1000 }));
    take("direction", 2, (centi) => ({ kind: "degrees", degrees: centi / 100 }));
    take("odometer", 4, (metres) => ({ kind: "metres", metres }));
    take("hours", 4, (minutes) => ({ kind: "minutes", minutes }));
    take("composition", 2, (bits) => ({
      kind: "flags",
      fix: (bits & 0x8000) !== 0,
      historical: (bits & 0x4000) !== 0,
      ignition: (bits & 0x2000) !== 0,
    }));
    if (bytes.length === 35) take("extension", 2, none);
    take("speed", 1, (kmh) => ({ kind: "speed", kmh }));
    const signed = (micro: number, bit: number): number => ((composition & bit) !== 0 ? -micro : micro) / 1e6;
    take("latitude", 4, (micro) => ({ kind: "coordinate", degrees: signed(micro, 0x1000) }));
    take("longitude", 4, (micro) => ({ kind: "coordinate", degrees: signed(micro, 0x0800) }));
  } else if (bytes.length > 8) {
    take("payload", bytes.length - 8, none);
  }
  take("footer", 2, none);
  return parts;
}
