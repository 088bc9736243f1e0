import { describe, expect, it } from "vitest";

import type { Area } from "../../src/api/geofences";
import { type Act, corners, type Drawing, draw, drawingOf, middles, newDrawing } from "../../src/state/drawing";
import { importedOf } from "../../src/state/fence-file";
import {
  type At,
  areaOf,
  circle,
  coordinatesText,
  crosses,
  faultOf,
  metresBetween,
  shapeOf,
  shapesOf,
  squareMetres,
  typedCoordinates,
} from "../../src/state/shapes";

const SQUARE: At[] = [
  [10, 50],
  [11, 50],
  [11, 51],
  [10, 51],
];
const HOLE: At[] = [
  [10.4, 50.4],
  [10.6, 50.4],
  [10.6, 50.6],
];
const closed = (ring: At[]): At[] => [...ring, ring[0]!];
const POLYGON: Area = { type: "Polygon", coordinates: [closed(SQUARE), closed(HOLE)] };
const CIRCLE: Area = { type: "Point", coordinates: [10, 50], radius_m: 300 };
const CORRIDOR: Area = { type: "LineString", coordinates: [SQUARE[0], SQUARE[2]], width_m: 80 };
const CORRIDORS: Area = { type: "MultiLineString", coordinates: [SQUARE.slice(0, 2), SQUARE.slice(2)], width_m: 80 };

describe("areas", () => {
  it("are the same after they were drawn", () => {
    for (const area of [POLYGON, CIRCLE, CORRIDOR, CORRIDORS]) expect(areaOf(shapeOf(area)!)).toEqual(area);
  });

  it("are read from features as well", () => {
    const feature: Area = {
      type: "Feature",
      properties: { radius_m: 300 },
      geometry: { type: "Point", coordinates: [10, 50] },
    };
    expect(areaOf(shapeOf(feature)!)).toEqual(CIRCLE);
  });

  it("go over the antimeridian without a jump, and are saved within it", () => {
    const area: Area = {
      type: "Polygon",
      coordinates: [
        closed([
          [179, -17],
          [-179, -17],
          [-179, -16],
          [179, -16],
        ]),
      ],
    };
    const shape = shapeOf(area)!;
    expect(shape.rings[0]!.map(([longitude]) => longitude)).toEqual([179, 181, 181, 179]);
    expect(areaOf(shape)).toEqual(area);
  });

  it("that cannot be drawn by hand are still shown", () => {
    const several: Area = { type: "MultiPolygon", coordinates: [[closed(SQUARE)], [closed(HOLE)]] };
    expect(shapeOf(several)).toBe(null);
    expect(shapesOf(several)).toHaveLength(2);
    for (const none of [
      { type: "Point", coordinates: [10, 50] },
      { type: "Feature", geometry: null },
    ]) {
      expect(shapesOf(none as unknown as Area)).toEqual([]);
    }
  });

  it("have a size", () => {
    expect(squareMetres(shapeOf(CIRCLE)!)).toBeCloseTo(Math.PI * 300 ** 2);
    // A degree is 111.19 km, at 50 degrees north 71.5 km to the east.
    const square = squareMetres({ kind: "polygon", rings: [SQUARE], metres: 0 });
    expect(square / (111_195 * 111_195 * Math.cos((50 * Math.PI) / 180))).toBeCloseTo(1, 1);
    expect(squareMetres(shapeOf(POLYGON)!)).toBeLessThan(square);
    for (const at of circle([10, 50], 300)) expect(metresBetween([10, 50], at)).toBeCloseTo(300, 3);
  });
});

describe("what is wrong with a shape", () => {
  it("is that it is not complete, crosses itself, or is too wide", () => {
    const fault = (area: Area) => faultOf(shapeOf(area)!);
    for (const area of [POLYGON, CIRCLE, CORRIDOR, CORRIDORS]) expect(fault(area)).toBe(null);
    expect(faultOf(newDrawing("polygon").shape)).toBe("few");
    expect(fault({ ...CIRCLE, radius_m: 0 })).toBe("metres");
    expect(fault({ ...CORRIDOR, width_m: 2e6 })).toBe("metres");
    const bow: At[] = [SQUARE[0]!, SQUARE[2]!, SQUARE[1]!, SQUARE[3]!];
    expect(crosses(bow)).toBe(true);
    expect(crosses(SQUARE)).toBe(false);
    expect(fault({ type: "Polygon", coordinates: [closed(bow)] })).toBe("crosses");
  });
});

describe("coordinates as text", () => {
  it("are read as they are written", () => {
    const shape = shapeOf(POLYGON)!;
    expect(typedCoordinates(coordinatesText(shape))).toEqual({ rings: shape.rings });
    expect(typedCoordinates("50 10; \n\n\n50;11\n")).toEqual({ rings: [[[10, 50]], [[11, 50]]] });
  });

  it("name the line that is none", () => {
    expect(typedCoordinates("50, 10\n91, 10")).toEqual({ line: 2 });
    expect(typedCoordinates("50, 10\n\nx")).toEqual({ line: 3 });
    expect(typedCoordinates("50, 10, 3")).toEqual({ line: 1 });
    expect(typedCoordinates("50")).toEqual({ line: 1 });
  });
});

describe("drawing", () => {
  const all = (drawing: Drawing, ...acts: Act[]): Drawing => acts.reduce(draw, drawing);
  const add = (at: At): Act => ({ do: "add", at });
  const square = all(newDrawing("polygon"), ...SQUARE.map(add), { do: "finish" });

  it("adds corners until it is finished", () => {
    expect(square.shape.rings).toEqual([SQUARE]);
    expect(square.isAdding).toBe(false);
    expect(draw(square, add([0, 0]))).toBe(square);
    const two = all(newDrawing("polygon"), add([0, 0]), add([1, 0]), { do: "finish" });
    expect(two.isAdding).toBe(true);
  });

  it("moves, inserts and removes corners, and goes back step by step", () => {
    const corner = { ring: 0, index: 1 };
    const dragged = all(square, { do: "grab", corner }, { do: "drag", at: [12, 50] }, { do: "drag", at: [13, 50] });
    expect(dragged.shape.rings[0]![1]).toEqual([13, 50]);
    expect(draw(dragged, { do: "undo" }).shape).toEqual(square.shape);
    const between = middles(square.shape)[3]!;
    expect(between).toEqual({ corner: { ring: 0, index: 4 }, at: [10, 50.5] });
    const more = draw(square, { do: "insert", ...between });
    expect(more.shape.rings[0]).toEqual([...SQUARE, [10, 50.5]]);
    const fewer = draw(more, { do: "remove", corner: more.chosen! });
    expect(fewer.shape.rings[0]).toEqual(SQUARE);
    expect(fewer.isAdding).toBe(false);
    const open = all(fewer, { do: "remove", corner }, { do: "remove", corner });
    expect([open.shape.rings[0]!.length, open.isAdding]).toEqual([2, true]);
  });

  it("takes a hole away that has no area any more", () => {
    const drawing = drawingOf(shapeOf(POLYGON)!);
    expect(draw(drawing, { do: "remove", corner: { ring: 1, index: 0 } }).shape.rings).toEqual([SQUARE]);
  });

  it("has a circle by one click, and its radius by the edge", () => {
    const made = draw(newDrawing("circle"), add([10, 50]));
    expect(made.isAdding).toBe(false);
    const [, edge] = corners(made.shape);
    expect(metresBetween([10, 50], edge!.at)).toBeCloseTo(made.shape.metres, 3);
    const pulled = all(made, { do: "grab", corner: edge!.corner }, { do: "drag", at: [10, 50.01] });
    expect(pulled.shape.metres).toBe(1112);
    expect(draw(made, { do: "remove", corner: edge!.corner })).toBe(made);
  });

  it("begins anew with another kind, which can be undone", () => {
    const other = draw(square, { do: "kind", kind: "corridor" });
    expect([other.shape.kind, other.shape.rings, other.isAdding]).toEqual(["corridor", [[]], true]);
    expect(draw(other, { do: "undo" }).shape).toEqual(square.shape);
    expect(draw(newDrawing("circle"), { do: "undo" }).past).toEqual([]);
  });
});

describe("files of geofences", () => {
  const feature = (name: unknown, geometry: unknown) => ({
    type: "Feature",
    properties: { name, radius_m: 20, colour: "red" },
    geometry,
  });

  it("are read with the names of their members, or the file's", () => {
    const file = {
      type: "FeatureCollection",
      features: [feature("Depot", POLYGON), feature(3, { type: "Point", coordinates: [10, 50] }), feature("x", null)],
    };
    expect(importedOf(JSON.stringify(file), "yards.geojson")).toEqual([
      { name: "Depot", area: { ...POLYGON, radius_m: 20 } },
      { name: "yards 2", area: { type: "Point", coordinates: [10, 50], radius_m: 20 } },
    ]);
    expect(importedOf(JSON.stringify(CIRCLE), "yard.json")).toEqual([{ name: "yard", area: CIRCLE }]);
  });

  it("say why there is nothing in them", () => {
    expect(importedOf("{", "a.json")).toBe("json");
    expect(importedOf("3", "a.json")).toBe("none");
    expect(importedOf('{"type":"FeatureCollection"}', "a.json")).toBe("none");
    expect(importedOf('{"type":"FeatureCollection","features":[null]}', "a.json")).toBe("none");
    expect(importedOf('{"type":"Point","coordinates":[1,2]}', "a.json")).toBe("none");
    const many = { type: "FeatureCollection", features: Array.from({ length: 201 }, () => feature("a", POLYGON)) };
    expect(importedOf(JSON.stringify(many), "a.json")).toBe("many");
  });
});
