// The one owner of the map. Views tell it what to show in their own words; it
// keeps that, so that a change of appearance can draw everything again, and sends
// the fleet to the map's worker as what has changed, one load at a time.

import type { Feature, FeatureCollection, LineString } from "geojson";
import type { GeoJSONSource, Map as LibreMap, MapMouseEvent } from "maplibre-gl";

import { isOld, type Unit } from "../state/fleet";
import type { Camera } from "../state/route";
import { t } from "../text/language";
import * as basemap from "./basemap";
import type { Bounds } from "./bounds";
import { type Base, insteadOf, type Trouble } from "./chosen";
import { DARK, LIGHT, type Palette } from "./colours";
import { images, markerName, PIXEL_RATIO } from "./icons";
import { Overlay } from "./overlay";
import { meanMs, restMs } from "./pace";
import { BASE_LAYERS, CLUSTER_RING, DETAIL_ZOOM, styleOf } from "./style";

export interface Shape {
  /** [longitude, latitude] lists; `part` says how a line is drawn. */
  lines: { part: "whole" | "ahead" | "travelled" | "silent"; points: [number, number][] }[];
  stops: { at: [number, number]; id: string }[];
}

export interface Focus {
  longitude: number;
  latitude: number;
  /** Absent: only the ring, around the device's own marker. */
  icon?: string;
  turn?: number;
}

export interface MapEvents {
  device?(id: string): void;
  stop?(id: string): void;
  alarm?(id: number): void;
  fence?(id: number): void;
  camera?(camera: Camera): void;
  trouble?(trouble: Trouble | null): void;
}

/** What is opened by a click. */
const CLICKED = ["alarms", "devices", "clusters", "stops", "fences", "fence-corridors"] as const;

/** What shows that it can be: geofences are too large to say so everywhere. */
const POINTED = CLICKED.filter((layer) => !layer.startsWith("fence"));

/** Faster than this a device is drawn as an arrow. */
const MOVING_KMH = 3;
/** Of the other devices, while one is looked at. */
const DIMMED = 0.38;
const WORLD: Camera = { zoom: 2.2, latitude: -8, longitude: -40 };

/** The marker of a device: an arrow where it heads, or a disc. Nothing is known to move by an old position. */
export function markerOf(unit: Pick<Unit, "speedKmh" | "status" | "directionDeg" | "seenMs" | "positionMs">): {
  icon: string;
  turn: number;
} {
  const isMoving = (unit.speedKmh ?? 0) >= MOVING_KMH && unit.status !== "offline" && !isOld(unit);
  return { icon: markerName(unit.status, isMoving), turn: isMoving ? (unit.directionDeg ?? 0) : 0 };
}

export function featureOf(unit: Unit): Feature | null {
  if (unit.latitude === null || unit.longitude === null) return null;
  return {
    type: "Feature",
    // Also where MapLibre looks when it joins two changes that wait: without it, all
    // features of both would be taken for one.
    id: unit.id,
    properties: {
      id: unit.id,
      name: unit.name,
      status: unit.status,
      ...markerOf(unit),
      order: unit.status === "online" ? 2 : unit.status === "late" ? 1 : 0,
    },
    geometry: { type: "Point", coordinates: [unit.longitude, unit.latitude] },
  };
}

const collection = (features: Feature[]): FeatureCollection => ({
  type: "FeatureCollection",
  features,
});

const load = () =>
  Promise.all([
    import("maplibre-gl/dist/maplibre-gl-csp"),
    import("maplibre-gl/dist/maplibre-gl-csp-worker.js?url"),
    import("maplibre-gl/dist/maplibre-gl.css"),
  ]);

/** What can wait until the markers are drawn waits no longer than this. */
const LATER_MS = 3000;

/** A measurement (web/bench) may listen to the map. */
type Measured = typeof globalThis & { nemesesMeasure?: { onMap(map: LibreMap): void } };

export class FleetMap {
  /** Alarms, and what else is drawn above the fleet. */
  readonly overlay: Overlay;
  private readonly fleet = new Map<string, Feature>();
  private readonly pending = new Map<string, Feature | null>();
  private replaced = true;
  private sending = false;
  /** What a frame takes of the main thread, on the mean. */
  private frameMs: number | null = null;
  private sentMs = 0;
  private resting: ReturnType<typeof setTimeout> | undefined;
  private land: Partial<Record<"world" | "detail" | "labels", FeatureCollection>> = {};
  private shape: Shape | null = null;
  private focused: Focus | null = null;
  private ready = false;
  private gone = false;
  private wantsDetail = false;
  private movedByHand = false;
  private resized = false;

  private constructor(
    readonly map: LibreMap,
    private events: MapEvents,
    private dark: boolean,
    private base: Base,
    private language: string,
  ) {
    this.overlay = new Overlay(map);
    map.on("style.load", () => this.drawAll());
    map.on("moveend", () => this.moved());
    // The document's clock stands still while a frame is made.
    map.on("render", () => {
      const begun = Number(document.timeline.currentTime ?? Number.NaN);
      if (!Number.isNaN(begun)) this.frameMs = meanMs(this.frameMs, Math.max(0, performance.now() - begun));
    });
    // MapLibre says so between the start and the end of the move that it makes of it.
    map.on("resize", () => (this.resized = !map.isMoving()));
    for (const name of ["dragstart", "wheel", "touchstart"] as const) {
      map.on(name, () => (this.movedByHand = true));
    }
    map.on("click", (event) => this.clicked(event));
    for (const layer of POINTED) {
      map.on("mouseenter", layer, () => this.wear("pointer"));
      map.on("mouseleave", layer, () => this.wear(""));
    }
    map.on("error", ({ error }) => this.failed(error));
    if (!base.style) this.bundled();
  }

  static async create(
    container: HTMLElement,
    options: {
      events: MapEvents;
      dark: boolean;
      language: string;
      label: string;
      base: Base;
    },
  ): Promise<FleetMap> {
    const [{ default: library }, { default: workerUrl }] = await load();
    library.setWorkerUrl(workerUrl);
    const map = new library.Map({
      container,
      style: styleOf(options.dark ? DARK : LIGHT, options.base),
      center: [WORLD.longitude, WORLD.latitude],
      zoom: WORLD.zoom,
      maxZoom: 18,
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      // Names that fade have the whole map drawn again and again after each change.
      fadeDuration: 0,
      renderWorldCopies: true,
      locale: { "Map.Title": options.label },
    });
    map.touchZoomRotate.disableRotation();
    map.addControl(new library.ScaleControl({ maxWidth: 90 }), "bottom-left");
    (globalThis as Measured).nemesesMeasure?.onMap(map);
    return new FleetMap(map, options.events, options.dark, options.base, options.language);
  }

  /** Another view has it now, which hears of what happens. */
  moveIn(events: MapEvents, language: string, label: string): void {
    this.events = events;
    this.map.resize();
    this.map.getCanvas().setAttribute("aria-label", label);
    // It did not come while the map waited out of sight.
    if (!this.base.style && !this.land.world) void this.loadBase("world", basemap.world());
    if (this.language === language) return;
    this.language = language;
    if (this.land.labels) this.label();
  }

  /** No view has it: nothing is on it but the base map. */
  moveOut(): void {
    this.events = {};
    this.map.stop();
    this.setUnits([]);
    this.setShape(null);
    this.setFocus(null);
    this.overlay.clear();
    this.showFleet(true);
    this.dimFleet(false);
  }

  look(camera: Camera): void {
    this.map.jumpTo({ center: [camera.longitude, camera.latitude], zoom: camera.zoom });
  }

  destroy(): void {
    this.gone = true;
    clearTimeout(this.resting);
    this.map.remove();
  }

  /** Whose tiles are drawn, if any are. */
  get credit(): string {
    const parts = this.base.style ? [this.base.credit] : [this.base.credit, t("map.credit")];
    return parts.filter(Boolean).join(" · ");
  }

  /** Why the map that was asked for is not the one that is drawn. */
  get trouble(): Trouble | null {
    return this.base.trouble;
  }

  get palette(): Palette {
    return this.dark ? DARK : LIGHT;
  }

  setDark(dark: boolean): void {
    if (dark === this.dark) return;
    this.dark = dark;
    this.ready = false;
    this.overlay.isReady = false;
    this.map.setStyle(styleOf(this.palette, this.base), { diff: false });
  }

  /** Shows exactly these devices. */
  setUnits(units: Iterable<Unit>): void {
    this.fleet.clear();
    for (const unit of units) {
      const feature = featureOf(unit);
      if (feature) this.fleet.set(unit.id, feature);
    }
    this.pending.clear();
    this.replaced = true;
    void this.send();
  }

  /** Shows, moves or (with `null`) takes away single devices. */
  updateUnits(changes: Iterable<[string, Unit | null]>): void {
    for (const [id, unit] of changes) {
      const feature = unit && featureOf(unit);
      if (feature) this.fleet.set(id, feature);
      else if (!this.fleet.delete(id)) continue;
      this.pending.set(id, feature);
    }
    void this.send();
  }

  setShape(shape: Shape | null): void {
    this.shape = shape;
    if (this.ready) this.drawShape();
  }

  setFocus(focus: Focus | null): void {
    this.focused = focus;
    if (this.ready) this.drawFocus();
  }

  /** Whether the fleet's own markers are drawn. */
  showFleet(visible: boolean): void {
    this.fleetVisible = visible;
    if (this.ready) this.applyVisibility();
  }
  private fleetVisible = true;

  /** Draws the other devices faintly, behind what one device did. */
  dimFleet(dim: boolean): void {
    this.fleetDimmed = dim;
    if (this.ready) this.applyVisibility();
  }
  private fleetDimmed = false;

  /** Whether a person has moved the map, after which it stays where it is. */
  get isMovedByHand(): boolean {
    return this.movedByHand;
  }

  fit(bounds: Bounds, options: { maxZoom?: number; animate?: boolean } = {}): void {
    const small = this.map.getContainer().clientWidth < 500;
    this.map.fitBounds(bounds, {
      padding: small ? 36 : 70,
      maxZoom: options.maxZoom ?? 13,
      animate: options.animate ?? true,
      duration: 500,
    });
  }

  goTo(longitude: number, latitude: number, zoom?: number): void {
    this.map.easeTo({ center: [longitude, latitude], duration: 400, ...(zoom ? { zoom } : {}) });
  }

  /** Without movement of its own, for what follows many times a second. */
  keepAt(longitude: number, latitude: number): void {
    this.map.jumpTo({ center: [longitude, latitude] });
  }

  zoomBy(steps: number): void {
    this.map.easeTo({ zoom: this.map.getZoom() + steps, duration: 200 });
  }

  private source(name: string): GeoJSONSource | undefined {
    return this.map.getSource<GeoJSONSource>(name);
  }

  /** Until nothing is left to draw: the markers first, what is fine after. */
  private settled(): Promise<void> {
    return new Promise((done) => {
      void this.map.once("idle", () => done());
      setTimeout(done, LATER_MS);
    });
  }

  private label(): void {
    if (!this.gone) void this.loadBase("labels", basemap.labels(this.language));
  }

  private async loadBase(name: "world" | "detail" | "labels", loading: Promise<FeatureCollection>): Promise<void> {
    try {
      this.land[name] = await loading;
      if (this.ready && !this.gone) this.drawBase(name);
    } catch (error) {
      // The fleet is shown on an empty sea; it is asked for again by the next view.
      console.warn(error);
    }
  }

  private drawAll(): void {
    this.ready = true;
    for (const [name, image] of images(this.palette)) {
      if (!this.map.hasImage(name)) this.map.addImage(name, image, { pixelRatio: PIXEL_RATIO });
    }
    for (const name of ["world", "detail", "labels"] as const) this.drawBase(name);
    this.replaced = true;
    this.sending = false;
    void this.send();
    this.drawShape();
    this.drawFocus();
    this.overlay.drawAll();
    this.applyVisibility();
    this.wantDetail();
  }

  private drawBase(name: "world" | "detail" | "labels"): void {
    const data = this.land[name];
    if (!data) return;
    void this.source(name)?.setData(data);
    if (name === "detail") this.retireWorld();
  }

  /** The coarse base map stands in until the fine one is drawn. */
  private retireWorld(): void {
    const isDrawn = (): boolean => this.map.isSourceLoaded("detail") && this.map.areTilesLoaded();
    const retire = (): void => {
      if (this.gone || !this.ready || !this.map.getLayer("world-land")) return;
      if (this.map.getZoom() < DETAIL_ZOOM || !isDrawn()) {
        void this.map.once("idle", retire);
        return;
      }
      for (const layer of BASE_LAYERS) this.map.setLayerZoomRange(`world-${layer}`, 0, DETAIL_ZOOM);
    };
    void this.map.once("idle", retire);
  }

  /** Sends what has changed since the last load; while one runs, changes gather. */
  private async send(): Promise<void> {
    if (!this.ready || this.sending || this.gone) return;
    if (!this.replaced && this.pending.size === 0) return;
    const source = this.source("fleet");
    if (!source) return;
    // All of the fleet is sent at once: someone waits for it.
    const waitMs = this.replaced ? 0 : this.sentMs + restMs(this.frameMs) - performance.now();
    if (waitMs > 0) {
      this.resting ??= setTimeout(() => {
        this.resting = undefined;
        void this.send();
      }, waitMs);
      return;
    }
    this.sentMs = performance.now();
    this.sending = true;
    try {
      if (this.replaced) {
        this.replaced = false;
        this.pending.clear();
        await source.setData(collection([...this.fleet.values()]), true);
      } else {
        const add: Feature[] = [];
        const remove: string[] = [];
        for (const [id, feature] of this.pending) {
          if (feature) add.push(feature);
          else remove.push(id);
        }
        this.pending.clear();
        await source.updateData({ add, remove }, true);
      }
    } catch (error) {
      // A load that a newer one has overtaken.
      if (!this.gone) console.debug(error);
    } finally {
      this.sending = false;
    }
    if (this.replaced || this.pending.size > 0) requestAnimationFrame(() => void this.send());
  }

  private drawShape(): void {
    const lines: Feature<LineString>[] = (this.shape?.lines ?? [])
      .filter((line) => line.points.length > 1)
      .map(({ part, points }) => ({
        type: "Feature",
        properties: { part },
        geometry: { type: "LineString", coordinates: points },
      }));
    void this.source("route")?.setData(collection(lines));
    const stops: Feature[] = (this.shape?.stops ?? []).map(({ at, id }) => ({
      type: "Feature",
      properties: { id },
      geometry: { type: "Point", coordinates: at },
    }));
    void this.source("stops")?.setData(collection(stops));
  }

  private drawFocus(): void {
    const focus = this.focused;
    const features: Feature[] = focus
      ? [
          {
            type: "Feature",
            properties: { ...(focus.icon ? { icon: focus.icon, turn: focus.turn ?? 0 } : {}) },
            geometry: { type: "Point", coordinates: [focus.longitude, focus.latitude] },
          },
        ]
      : [];
    void this.source("focus")?.setData(collection(features));
  }

  private applyVisibility(): void {
    for (const layer of ["clusters", "cluster-counts", "devices", "device-names"]) {
      this.map.setLayoutProperty(layer, "visibility", this.fleetVisible ? "visible" : "none");
    }
    const opacity = this.fleetDimmed ? DIMMED : 1;
    this.map.setPaintProperty("devices", "icon-opacity", opacity);
    this.map.setPaintProperty("clusters", "circle-opacity", opacity);
    this.map.setPaintProperty("clusters", "circle-stroke-opacity", opacity * CLUSTER_RING);
    this.map.setPaintProperty("cluster-counts", "text-opacity", this.fleetDimmed ? 0.7 : 1);
    this.map.setPaintProperty("device-names", "text-opacity", this.fleetDimmed ? 0.6 : 1);
  }

  private bundled(): void {
    void this.loadBase("world", basemap.world());
    void this.settled().then(() => this.label());
  }

  /** A style that MapLibre refuses is never loaded: the bundled map takes its place. */
  private failed(error: Error): void {
    console.warn(error.message);
    if (this.ready || !this.base.style) return;
    this.base = insteadOf({ host: this.base.credit || "--map-style", why: "no-style", detail: error.message });
    this.map.setStyle(styleOf(this.palette, this.base), { diff: false });
    this.bundled();
    this.events.trouble?.(this.base.trouble);
  }

  private wantDetail(): void {
    if (this.base.style || this.wantsDetail || this.map.getZoom() < DETAIL_ZOOM - 0.5) return;
    this.wantsDetail = true;
    void this.settled().then(() => this.loadBase("detail", basemap.detail()));
  }

  private moved(): void {
    this.wantDetail();
    if (this.resized) {
      // Another frame around the same place.
      this.resized = false;
      return;
    }
    const { lng, lat } = this.map.getCenter();
    this.events.camera?.({ zoom: this.map.getZoom(), latitude: lat, longitude: lng });
  }

  /** Drawing has a pointer of its own. */
  private wear(cursor: string): void {
    if (!this.overlay.isDrawing) this.map.getCanvas().style.cursor = cursor;
  }

  private clicked(event: MapMouseEvent): void {
    if (this.overlay.isDrawing) return;
    const near = 6;
    const { x, y } = event.point;
    const hits = this.map.queryRenderedFeatures(
      [
        [x - near, y - near],
        [x + near, y + near],
      ],
      { layers: CLICKED.filter((layer) => this.map.getLayer(layer)) },
    );
    const hit = hits[0];
    if (!hit) return;
    if (hit.layer.id === "devices") this.events.device?.(String(hit.properties.id));
    else if (hit.layer.id === "alarms") this.events.alarm?.(Number(hit.properties.id));
    else if (hit.layer.id.startsWith("fence")) this.events.fence?.(Number(hit.properties.id));
    else if (hit.layer.id === "stops") this.events.stop?.(String(hit.properties.id));
    else void this.open(hit.properties.cluster_id as number, event);
  }

  private async open(cluster: number, event: MapMouseEvent): Promise<void> {
    const zoom = await this.source("fleet")?.getClusterExpansionZoom(cluster);
    if (zoom === undefined) return;
    this.map.easeTo({ center: event.lngLat, zoom: Math.min(zoom + 0.3, 17), duration: 400 });
  }
}
