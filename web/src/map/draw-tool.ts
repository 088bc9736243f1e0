// The pointer on the map while a geofence is drawn: clicks add corners, corners and the middles
// of edges are dragged, a double click or one on the first corner ends it, a right click removes.

import type { Map as LibreMap, MapMouseEvent, MapTouchEvent } from "maplibre-gl";

import { type Act, type Corner, corners, type Drawing, middles } from "../state/drawing";
import { type At, FEWEST } from "../state/shapes";

/** So near to a corner, it is meant; a finger is wider than a mouse. */
const NEAR_PX = 11;
const NEAR_FINGER_PX = 22;

type Pointed = MapMouseEvent | MapTouchEvent;
interface Spot {
  corner: Corner;
  at: At;
}

export class DrawTool {
  /** Where the mouse is while corners are added. */
  pointer: At | null = null;
  private drawing: Drawing | null = null;
  private act: (act: Act) => void = () => undefined;
  private isDragging = false;

  /** `moved` when the pointer's edge is to be drawn again. */
  constructor(
    private readonly map: LibreMap,
    private readonly moved: () => void,
  ) {
    map.on("click", (event) => this.click(event));
    map.on("dblclick", (event) => this.doubleClick(event));
    map.on("contextmenu", (event) => this.menu(event));
    map.on("mousedown", (event) => this.down(event, NEAR_PX));
    map.on("touchstart", (event) => this.down(event, NEAR_FINGER_PX));
    map.on("mousemove", (event) => this.move(event));
    map.on("touchmove", (event) => this.move(event));
    map.on("mouseup", () => this.up());
    map.on("touchend", () => this.up());
    map.on("mouseout", () => this.leave());
  }

  take(drawing: Drawing | null, act: ((act: Act) => void) | null): void {
    const was = this.drawing;
    this.drawing = drawing;
    this.act = act ?? (() => undefined);
    if (drawing === null) this.isDragging = false;
    if (!drawing?.isAdding) this.pointer = null;
    if ((was === null) !== (drawing === null) || was?.isAdding !== drawing?.isAdding) this.wear();
  }

  /** What the pointer looks like, and what a double click is for. */
  private wear(): void {
    this.map.getCanvas().style.cursor = this.drawing?.isAdding ? "crosshair" : "";
    if (this.drawing) this.map.doubleClickZoom.disable();
    else this.map.doubleClickZoom.enable();
  }

  private nearest(event: Pointed, spots: Spot[], withinPx: number): Spot | null {
    let best: Spot | null = null;
    let bestPx = withinPx;
    for (const spot of spots) {
      // The copy of the world that is pointed at.
      const turns = Math.round((event.lngLat.lng - spot.at[0]) / 360) * 360;
      const { x, y } = this.map.project([spot.at[0] + turns, spot.at[1]]);
      const px = Math.hypot(x - event.point.x, y - event.point.y);
      if (px > bestPx) continue;
      best = spot;
      bestPx = px;
    }
    return best;
  }

  private at({ lngLat }: Pointed): At {
    const first = this.drawing?.shape.rings[0]?.[0];
    // In the copy of the world where the shape began.
    const turns = first ? Math.round((lngLat.lng - first[0]) / 360) * 360 : 0;
    return [lngLat.lng - turns, lngLat.lat];
  }

  private click(event: MapMouseEvent): void {
    const drawing = this.drawing;
    // The second click of two is of the double click.
    if (!drawing?.isAdding || event.originalEvent.detail > 1) return;
    const { shape } = drawing;
    const hit = this.nearest(event, corners(shape), NEAR_PX);
    const isFirst = hit?.corner.ring === 0 && hit.corner.index === 0;
    if (shape.kind === "polygon" && isFirst && shape.rings[0]!.length >= FEWEST.polygon) this.act({ do: "finish" });
    else if (!hit) this.act({ do: "add", at: this.at(event) });
  }

  private doubleClick(event: MapMouseEvent): void {
    if (!this.drawing) return;
    event.preventDefault();
    if (this.drawing.isAdding) this.act({ do: "finish" });
  }

  private menu(event: MapMouseEvent): void {
    if (!this.drawing) return;
    event.preventDefault();
    const hit = this.nearest(event, corners(this.drawing.shape), NEAR_PX);
    if (hit) this.act({ do: "remove", corner: hit.corner });
  }

  private down(event: Pointed, withinPx: number): void {
    const drawing = this.drawing;
    if (!drawing || drawing.isAdding || isSecondary(event)) return;
    const corner = this.nearest(event, corners(drawing.shape), withinPx);
    const middle = corner ? null : this.nearest(event, middles(drawing.shape), withinPx);
    if (!corner && !middle) return;
    // The map stays where it is.
    event.preventDefault();
    this.isDragging = true;
    if (corner) this.act({ do: "grab", corner: corner.corner });
    else this.act({ do: "insert", corner: middle!.corner, at: this.at(event) });
  }

  private move(event: Pointed): void {
    if (!this.drawing) return;
    if (this.isDragging) {
      this.act({ do: "drag", at: this.at(event) });
    } else if (this.drawing.isAdding) {
      this.pointer = this.at(event);
      this.moved();
    } else {
      const spots = [...corners(this.drawing.shape), ...middles(this.drawing.shape)];
      this.map.getCanvas().style.cursor = this.nearest(event, spots, NEAR_PX) ? "move" : "";
    }
  }

  private up(): void {
    this.isDragging = false;
  }

  private leave(): void {
    if (!this.drawing || this.pointer === null) return;
    this.pointer = null;
    this.moved();
  }
}

const isSecondary = ({ originalEvent }: Pointed): boolean =>
  originalEvent instanceof MouseEvent ? originalEvent.button !== 0 : originalEvent.touches.length > 1;
