import { describe, expect, it } from "vitest";

import { decode } from "../../src/state/decode";

const FOUNDING = "50F70A3F73025EFCF950156F017D784000008CA0B8003C013026A1029E72BD73C4";
const LONG = "50F70A3F73025EFCF950156F017D784000008CA0F80084003C013026A1029E72BD73C4";

const valueIn = (hex: string, name: string) => decode(hex)?.find((part) => part.name === name)?.value;

describe("a frame, field by field", () => {
  it("reads the founding document's frame", () => {
    expect(valueIn(FOUNDING, "recorded")).toEqual({ kind: "moment", ms: Date.parse("2020-07-01T21:00:00Z") });
    expect(valueIn(FOUNDING, "direction")).toEqual({ kind: "degrees", degrees: 54.87 });
    expect(valueIn(FOUNDING, "odometer")).toEqual({ kind: "metres", metres: 25_000_000 });
    expect(valueIn(FOUNDING, "hours")).toEqual({ kind: "minutes", minutes: 36_000 });
    expect(valueIn(FOUNDING, "speed")).toEqual({ kind: "speed", kmh: 60 });
    expect(valueIn(FOUNDING, "latitude")).toEqual({ kind: "coordinate", degrees: -19.932833 });
    expect(valueIn(FOUNDING, "longitude")).toEqual({ kind: "coordinate", degrees: -43.938493 });
    expect(valueIn(FOUNDING, "composition")).toEqual({
      kind: "flags",
      fix: true,
      historical: false,
      ignition: true,
    });
    expect(valueIn(FOUNDING, "extension")).toBeUndefined();
  });

  it("reads the long form, with white space and in small letters", () => {
    const spaced = LONG.toLowerCase().replace(/(..)/g, "$1 ");
    expect(decode(spaced)?.find((part) => part.name === "extension")?.hex).toBe("8400");
    expect(valueIn(spaced, "longitude")).toEqual({ kind: "coordinate", degrees: -43.938493 });
    expect(valueIn(spaced, "composition")).toMatchObject({ historical: true });
  });

  it("loses no byte and leaves none out", () => {
    for (const frame of [FOUNDING, LONG, "50F70A3F730150494E4773C4", "50F70A3F730173C4"]) {
      const parts = decode(frame)!;
      expect(parts.map((part) => part.hex).join("")).toBe(frame);
      let at = 0;
      for (const part of parts) {
        expect(part.offset).toBe(at);
        at += part.hex.length / 2;
      }
    }
  });

  it("reads nothing else", () => {
    for (const text of ["", "50F7", "xy", FOUNDING.slice(2), `${FOUNDING}00`, FOUNDING.replace("73C4", "73C5")]) {
      expect(decode(text), text).toBeNull();
    }
  });
});
