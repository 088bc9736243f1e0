// What a person types as a command, and bytes as a person reads them.

import type { Payload } from "../api/commands";

/** As the API bounds it. */
const MAX_BYTES = 1024;

export type Typed = { payload: Payload } | { fault: "empty" | "hex" | "long" };

/** A text as it stands, or bytes as hex digits with spaces where one likes. */
export function typed(text: string, asHex: boolean): Typed {
  if (!asHex) {
    if (text === "") return { fault: "empty" };
    return new TextEncoder().encode(text).length > MAX_BYTES ? { fault: "long" } : { payload: { text } };
  }
  const hex = text.replace(/[\s:]/g, "");
  if (hex === "") return { fault: "empty" };
  if (!/^([0-9a-f]{2})+$/i.test(hex)) return { fault: "hex" };
  return hex.length / 2 > MAX_BYTES ? { fault: "long" } : { payload: { hex } };
}

/** A text where the bytes are one that can be shown, else the digits by pairs. */
export function readable(hex: string): { text: string; isText: boolean } {
  const pairs = hex.match(/../g) ?? [];
  const bytes = Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16));
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    // A line may end; anything else that is not seen is shown as bytes.
    if (text.trim() !== "" && !/[^\P{C}\r\n\t]/u.test(text)) return { text: text.trimEnd(), isText: true };
  } catch {
    // No text.
  }
  return { text: pairs.join(" "), isText: false };
}
