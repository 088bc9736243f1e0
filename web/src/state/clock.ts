// The server's time, which all ages on the page are told by: the clock of the machine
// that looks may be wrong by hours. What the server says of its time is carried on by
// a clock of the browser that nobody sets. The one file that asks for the time.

/** What the server said last, and when by the browser's own steady clock. */
export interface Estimate {
  serverMs: number;
  atMs: number;
}

/** Word of the server that is this late was not delayed: its clock was set back. */
const SET_BACK_MS = 5_000;

export const serverTimeBy = (estimate: Estimate, atMs: number): number => estimate.serverMs + (atMs - estimate.atMs);

/** Word is late by its way, never early: what is furthest ahead is nearest to the truth. */
export function learn(before: Estimate | null, serverMs: number, atMs: number): Estimate {
  if (before === null) return { serverMs, atMs };
  const behindMs = serverTimeBy(before, atMs) - serverMs;
  return behindMs < 0 || behindMs > SET_BACK_MS ? { serverMs, atMs } : before;
}

let estimate: Estimate | null = null;

/** The server has told its time, as RFC 3339 or as the header `Date` has it. */
export function serverSaid(time: string | null | undefined): void {
  const serverMs = time ? Date.parse(time) : Number.NaN;
  if (!Number.isNaN(serverMs)) estimate = learn(estimate, serverMs, performance.now());
}

/** Unix milliseconds by the server's clock; by the browser's before the first word. */
export function nowMs(): number {
  return estimate === null ? Date.now() : serverTimeBy(estimate, performance.now());
}
