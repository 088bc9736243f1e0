// Boxes on the map.

export type Bounds = [west: number, south: number, east: number, north: number];

/** The box around places; `null` without any. */
export function boundsOf(places: Iterable<{ latitude: number | null; longitude: number | null }>): Bounds | null {
  let box: Bounds | null = null;
  for (const { latitude, longitude } of places) {
    if (latitude === null || longitude === null) continue;
    box ??= [longitude, latitude, longitude, latitude];
    box[0] = Math.min(box[0], longitude);
    box[1] = Math.min(box[1], latitude);
    box[2] = Math.max(box[2], longitude);
    box[3] = Math.max(box[3], latitude);
  }
  return box;
}
