// Drawing a geofence: what each action makes of the shape. Pure; the map and the form beside it
// both act by it.

import { type At, emptyShape, FEWEST, metresBetween, type Shape, type ShapeKind, towards } from "./shapes";

/** A corner; of a circle 0 is the centre and 1 the handle on its edge. */
export interface Corner {
  ring: number;
  index: number;
}

export interface Drawing {
  shape: Shape;
  /** Clicks add corners. */
  isAdding: boolean;
  chosen: Corner | null;
  /** What it was, oldest first. */
  past: readonly Shape[];
}

export type Act =
  | { do: "kind"; kind: ShapeKind }
  | { do: "add"; at: At }
  | { do: "finish" }
  | { do: "go-on" }
  | { do: "grab"; corner: Corner }
  /** Of the corner that was grabbed or inserted, which is one step to undo. */
  | { do: "drag"; at: At }
  | { do: "insert"; corner: Corner; at: At }
  | { do: "remove"; corner: Corner }
  | { do: "metres"; metres: number }
  | { do: "replace"; shape: Shape }
  | { do: "clear" }
  | { do: "undo" };

/** More steps back than anybody takes. */
const MOST_PAST = 100;

export const newDrawing = (kind: ShapeKind): Drawing => ({
  shape: emptyShape(kind),
  isAdding: true,
  chosen: null,
  past: [],
});

export const drawingOf = (shape: Shape): Drawing => ({ shape, isAdding: false, chosen: null, past: [] });

/** Where a circle's radius is pulled. */
export const edgeHandle = ({ rings, metres }: Shape): At => towards(rings[0]![0]!, 90, metres);

function withRing(shape: Shape, ring: number, make: (corners: At[]) => At[]): Shape {
  return { ...shape, rings: shape.rings.map((corners, index) => (index === ring ? make(corners) : corners)) };
}

/** The next state, with the one before to go back to. */
function step(drawing: Drawing, shape: Shape, more: Partial<Drawing> = {}): Drawing {
  return { ...drawing, ...more, shape, past: [...drawing.past, drawing.shape].slice(-MOST_PAST) };
}

const isEnough = ({ kind, rings }: Shape): boolean => rings[0]!.length >= FEWEST[kind];

function moved(shape: Shape, { ring, index }: Corner, at: At): Shape {
  if (shape.kind === "circle" && index === 1) {
    return { ...shape, metres: Math.max(1, Math.round(metresBetween(shape.rings[0]![0]!, at))) };
  }
  return withRing(shape, ring, (corners) => corners.map((corner, i) => (i === index ? at : corner)));
}

function added(drawing: Drawing, at: At): Drawing {
  const { shape } = drawing;
  if (shape.kind === "circle") return step(drawing, { ...shape, rings: [[at]] }, { isAdding: false, chosen: null });
  const index = shape.rings[0]!.length;
  return step(
    drawing,
    withRing(shape, 0, (corners) => [...corners, at]),
    { chosen: { ring: 0, index } },
  );
}

function removed(drawing: Drawing, { ring, index }: Corner): Drawing {
  const { shape } = drawing;
  if (shape.kind === "circle" || !shape.rings[ring]?.[index]) return drawing;
  const left = shape.rings[ring].length - 1;
  // A hole that has no area any more is no hole.
  if (ring > 0 && left < FEWEST[shape.kind]) {
    return step(drawing, { ...shape, rings: shape.rings.filter((_, i) => i !== ring) }, { chosen: null });
  }
  const next = withRing(shape, ring, (corners) => corners.filter((_, i) => i !== index));
  // Too few corners are completed by more clicks.
  return step(drawing, next, { chosen: null, isAdding: drawing.isAdding || !isEnough(next) });
}

export function draw(drawing: Drawing, act: Act): Drawing {
  const { shape } = drawing;
  switch (act.do) {
    case "kind":
      return act.kind === shape.kind ? drawing : step(drawing, emptyShape(act.kind), { isAdding: true, chosen: null });
    case "add":
      return drawing.isAdding ? added(drawing, act.at) : drawing;
    case "finish":
      return isEnough(shape) ? { ...drawing, isAdding: false } : drawing;
    case "go-on":
      return { ...drawing, isAdding: true };
    case "grab":
      return step(drawing, shape, { chosen: act.corner });
    case "drag":
      return drawing.chosen ? { ...drawing, shape: moved(shape, drawing.chosen, act.at) } : drawing;
    case "insert": {
      const { ring, index } = act.corner;
      const next = withRing(shape, ring, (corners) => [...corners.slice(0, index), act.at, ...corners.slice(index)]);
      return step(drawing, next, { chosen: act.corner });
    }
    case "remove":
      return removed(drawing, act.corner);
    case "metres":
      return act.metres === shape.metres ? drawing : step(drawing, { ...shape, metres: act.metres });
    case "replace":
      return step(drawing, act.shape, { isAdding: !isEnough(act.shape), chosen: null });
    case "clear":
      return step(drawing, emptyShape(shape.kind), { isAdding: true, chosen: null });
    case "undo": {
      const before = drawing.past.at(-1);
      if (!before) return drawing;
      const past = drawing.past.slice(0, -1);
      return { shape: before, past, chosen: null, isAdding: drawing.isAdding || !isEnough(before) };
    }
  }
}

/** Between two corners, where one can be inserted: the place, and its index then. */
export function middles({ kind, rings }: Shape): { corner: Corner; at: At }[] {
  if (kind === "circle") return [];
  return rings.flatMap((ring, number) => {
    const edges = kind === "polygon" ? ring.length : ring.length - 1;
    return Array.from({ length: ring.length < 2 ? 0 : edges }, (_, index) => {
      const [a, b] = [ring[index]!, ring[(index + 1) % ring.length]!];
      const at: At = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
      return { corner: { ring: number, index: index + 1 }, at };
    });
  });
}

/** What can be grabbed. */
export function corners(shape: Shape): { corner: Corner; at: At }[] {
  if (shape.kind === "circle") {
    const centre = shape.rings[0]?.[0];
    if (!centre) return [];
    return [
      { corner: { ring: 0, index: 0 }, at: centre },
      { corner: { ring: 0, index: 1 }, at: edgeHandle(shape) },
    ];
  }
  return shape.rings.flatMap((ring, number) => ring.map((at, index) => ({ corner: { ring: number, index }, at })));
}
