import { describe, expect, it } from "vitest";

import { readable, typed } from "../../src/state/command";

describe("what is typed as a command", () => {
  it("is a text as it stands", () => {
    expect(typed("getinfo ", false)).toEqual({ payload: { text: "getinfo " } });
    expect(typed("", false)).toEqual({ fault: "empty" });
    // Bounded in bytes, not in characters.
    expect(typed("é".repeat(512), false)).toHaveProperty("payload");
    expect(typed("é".repeat(513), false)).toEqual({ fault: "long" });
  });

  it("is bytes as hex digits, however they are divided", () => {
    expect(typed("0a 01:FF\n", true)).toEqual({ payload: { hex: "0a01FF" } });
    for (const odd of ["0", "0a1", "0g", "0x0a"]) expect(typed(odd, true)).toEqual({ fault: "hex" });
    expect(typed(" ", true)).toEqual({ fault: "empty" });
    expect(typed("00".repeat(1024), true)).toHaveProperty("payload");
    expect(typed("00".repeat(1025), true)).toEqual({ fault: "long" });
  });
});

describe("bytes of a command", () => {
  it("are read as text where they are one", () => {
    expect(readable("676574696e666f0d0a")).toEqual({ text: "getinfo", isText: true });
    expect(readable("c3a9")).toEqual({ text: "é", isText: true });
  });

  it("are shown by pairs where they are none", () => {
    // A zero, half a character, a mark that turns the direction of what follows, blanks.
    for (const hex of ["6700", "c3", "41e280ae42", "2020"]) {
      expect(readable(hex)).toEqual({ text: hex.match(/../g)?.join(" "), isText: false });
    }
  });
});
