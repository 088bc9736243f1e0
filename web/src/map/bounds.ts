// Boxes on the map. One over the 180th meridian has an east beyond 180.

export type Bounds = [west: number, south: number, east: number, north: number];

interface Place {
  latitude: number | null;
  longitude: number | null;
}

/** The smallest box around places anywhere in the world; `null` without any. */
export function boundsOf(places: Iterable<Place>): Bounds | null {
  const longitudes: number[] = [];
  let [south, north] = [90, -90];
  for (const { latitude, longitude } of places) {
    if (latitude === null || longitude === null) continue;
    longitudes.push(longitude);
    south = Math.min(south, latitude);
    north = Math.max(north, latitude);
  }
  if (longitudes.length === 0) return null;
  const [west, east] = narrowest(longitudes);
  return [west, south, east, north];
}

/** The box around a way, whose longitudes go on beyond 180 where it does. */
export function boundsOfTrack(track: readonly { latitude: number; longitude: number }[]): Bounds | null {
  if (track.length === 0) return null;
  const box: Bounds = [Infinity, Infinity, -Infinity, -Infinity];
  for (const { latitude, longitude } of track) {
    box[0] = Math.min(box[0], longitude);
    box[1] = Math.min(box[1], latitude);
    box[2] = Math.max(box[2], longitude);
    box[3] = Math.max(box[3], latitude);
  }
  return box;
}

/** What remains of the circle without the widest gap. */
function narrowest(longitudes: number[]): [west: number, east: number] {
  longitudes.sort((a, b) => a - b);
  let west = longitudes[0]!;
  let east = longitudes.at(-1)!;
  let widest = west + 360 - east;
  for (let i = 1; i < longitudes.length; i += 1) {
    const gap = longitudes[i]! - longitudes[i - 1]!;
    if (gap <= widest) continue;
    widest = gap;
    west = longitudes[i]!;
    east = longitudes[i - 1]! + 360;
  }
  return [west, east];
}
