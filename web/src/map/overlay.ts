// What lies around the fleet on the map: geofences below it, alarms above, and the shape that is
// being drawn. It keeps what it was told, so that a change of appearance can draw it again.

import type { Feature, Geometry } from "geojson";
import type { GeoJSONSource, Map as LibreMap } from "maplibre-gl";

import type { Severity } from "../api/types";
import { type Act, corners, type Drawing, middles } from "../state/drawing";
import { type At, circle, extentOf, type Shape } from "../state/shapes";
import { boundsOf } from "./bounds";
import { DrawTool } from "./draw-tool";
import { alarmName } from "./icons";

export interface AlarmMark {
  id: number;
  severity: Severity;
  longitude: number;
  latitude: number;
  isOpen: boolean;
  isChosen: boolean;
}

export interface FenceMark {
  id: number;
  name: string;
  shapes: readonly Shape[];
  isChosen: boolean;
}

/** Drawn one above the other: the worst on top. */
const ORDER: Record<Severity, number> = { info: 0, warning: 1, critical: 2 };

const feature = (geometry: Geometry, properties: object): Feature => ({
  type: "Feature",
  properties: { ...properties },
  geometry,
});

const point = (at: At): Geometry => ({ type: "Point", coordinates: at });

function alarmOf({ id, severity, longitude, latitude, isOpen, isChosen }: AlarmMark): Feature {
  const order = ORDER[severity] + (isOpen ? 4 : 0) + (isChosen ? 8 : 0);
  return feature(point([longitude, latitude]), {
    id,
    icon: alarmName(severity),
    open: isOpen,
    chosen: isChosen,
    order,
  });
}

const EQUATOR_M = 40_075_016.686;
/** Of the whole world at zoom 0, pixels. */
const WORLD_PX = 512;

/** Pixels at zoom 0 of so many metres at a latitude; each zoom doubles them. */
const pixelsOf = (metres: number, latitude: number): number =>
  (metres * WORLD_PX) / (EQUATOR_M * Math.max(0.05, Math.cos((latitude * Math.PI) / 180)));

/** An area, its outline, and for corridors a line as wide as they are. */
function partsOf({ kind, rings, metres }: Shape, properties: object): Feature[] {
  if (kind === "corridor") {
    return rings
      .filter((line) => line.length > 1)
      .map((line) =>
        feature(
          { type: "LineString", coordinates: line },
          { ...properties, part: "corridor", px: pixelsOf(metres, line[0]![1]) },
        ),
      );
  }
  const closed =
    kind === "circle"
      ? rings
          .slice(0, 1)
          .filter((ring) => ring.length > 0)
          .map(([centre]) => circle(centre!, metres))
      : rings.filter((ring) => ring.length > 2).map((ring) => [...ring, ring[0]!]);
  return closed.length === 0
    ? []
    : [feature({ type: "Polygon", coordinates: closed }, { ...properties, part: "area" })];
}

/** On the middle edge of a corridor, else in the middle of the box. */
function middleOf(shapes: readonly Shape[]): At | null {
  const [first] = shapes;
  const line = first?.kind === "corridor" ? (first.rings[0] ?? []) : [];
  if (line.length > 1) {
    const edge = Math.floor((line.length - 1) / 2);
    const [a, b] = [line[edge]!, line[edge + 1]!];
    return [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  }
  const box = boundsOf(extentOf(shapes));
  return box && [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
}

function nameOf({ id, name, shapes, isChosen }: FenceMark): Feature[] {
  const middle = middleOf(shapes);
  return middle ? [feature(point(middle), { id, name, chosen: isChosen, part: "name" })] : [];
}

function fenceOf(mark: FenceMark): Feature[] {
  const properties = { id: mark.id, chosen: mark.isChosen };
  return [...mark.shapes.flatMap((shape) => partsOf(shape, properties)), ...nameOf(mark)];
}

/** What is drawn so far, with its corners, and the edge to where the pointer is. */
function draftOf({ shape, isAdding, chosen }: Drawing, pointer: At | null): Feature[] {
  const lines: Feature[] = [];
  const open = shape.rings[0] ?? [];
  if (shape.kind !== "circle" && open.length > 0) {
    const ahead = isAdding && pointer ? [...open, pointer] : open;
    if (ahead.length > 1) lines.push(feature({ type: "LineString", coordinates: ahead }, { part: "line" }));
  }
  const isChosen = (ring: number, index: number): boolean => chosen?.ring === ring && chosen.index === index;
  return [
    ...partsOf(shape, {}),
    ...lines,
    ...(isAdding ? [] : middles(shape).map(({ at }) => feature(point(at), { part: "middle" }))),
    ...corners(shape).map(({ at, corner }) =>
      feature(point(at), { part: "corner", chosen: isChosen(corner.ring, corner.index) }),
    ),
  ];
}

export class Overlay {
  /** Whether the style has the sources; `drawAll` says so. */
  isReady = false;
  private alarms: readonly AlarmMark[] = [];
  private fences: readonly FenceMark[] = [];
  private drawing: Drawing | null = null;
  private readonly tool: DrawTool;

  constructor(private readonly map: LibreMap) {
    this.tool = new DrawTool(map, () => this.drawDraft());
  }

  /** Clicks draw; they open nothing. */
  get isDrawing(): boolean {
    return this.drawing !== null;
  }

  setAlarms(alarms: readonly AlarmMark[]): void {
    this.alarms = alarms;
    this.draw("alarms", () => this.alarms.map(alarmOf));
  }

  setFences(fences: readonly FenceMark[]): void {
    this.fences = fences;
    this.draw("fences", () => this.fences.flatMap(fenceOf));
  }

  /** Draws by hand what `act` is told of; `null` ends it. */
  setDrawing(drawing: Drawing | null, act: ((act: Act) => void) | null): void {
    this.drawing = drawing;
    this.tool.take(drawing, act);
    this.drawDraft();
  }

  /** Nothing of one view is left for the next. */
  clear(): void {
    this.setAlarms([]);
    this.setFences([]);
    this.setDrawing(null, null);
  }

  drawAll(): void {
    this.isReady = true;
    this.setAlarms(this.alarms);
    this.setFences(this.fences);
    this.drawDraft();
  }

  private drawDraft(): void {
    this.draw("draft", () => (this.drawing ? draftOf(this.drawing, this.tool.pointer) : []));
  }

  private draw(source: string, features: () => Feature[]): void {
    if (!this.isReady) return;
    void this.map.getSource<GeoJSONSource>(source)?.setData({ type: "FeatureCollection", features: features() });
  }
}
