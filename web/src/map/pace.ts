// How often the markers are drawn anew: as often as changes come while frames are quick,
// and less often where each takes long (10 000 devices without a graphics card), so that
// the page goes on answering. Pure.

/** A frame that takes longer is felt. */
const SLOW_MS = 50;
/** Of the main thread that the map may take when frames are slow: a fifth. */
const SHARE = 5;
const LONGEST_MS = 3_000;
/** Of the newest frame in the mean. */
const WEIGHT = 0.25;

/** The mean of what frames take, the newest counting most. */
export function meanMs(before: number | null, frameMs: number): number {
  return before === null ? frameMs : before + (frameMs - before) * WEIGHT;
}

/** Between two drawings of what has changed. */
export function restMs(frameMs: number | null): number {
  return frameMs === null || frameMs <= SLOW_MS ? 0 : Math.min(LONGEST_MS, frameMs * SHARE);
}
