// The style of the map: the bundled base map below, what is ours above. Text is
// drawn by MapLibre from the system's fonts, so no glyph is fetched.

import type {
  DataDrivenPropertyValueSpecification,
  LayerSpecification,
  StyleSpecification,
  SymbolLayerSpecification,
} from "maplibre-gl";

import type { Base } from "./chosen";
import type { Palette } from "./colours";
import { draftLayers, fenceLayers } from "./fence-layers";

const FONT = ["system-ui", "sans-serif"];
const BOLD = ["Nemeses Bold", "system-ui", "sans-serif"];

/** From this zoom the fine base map is drawn, and fetched a little before. */
export const DETAIL_ZOOM = 4.5;
/** Of each of the two base maps, with its source's name before them. */
export const BASE_LAYERS = ["land", "lakes", "states", "borders"] as const;
/** From this zoom devices stand alone, however near to each other. */
export const CLUSTER_MAX_ZOOM = 11;

const empty = { type: "FeatureCollection" as const, features: [] };
const geojson = (extra: object = {}) => ({ type: "geojson" as const, data: empty, ...extra });

/** A device as it stands on the map. */
const DEVICE = {
  "icon-image": ["get", "icon"],
  "icon-rotate": ["get", "turn"],
  "icon-rotation-alignment": "map",
  "icon-allow-overlap": true,
  "icon-ignore-placement": true,
} satisfies SymbolLayerSpecification["layout"];

/** Of the ring around a cluster. */
export const CLUSTER_RING = 0.22;

/** The bundled map, tiles above it, or another style; above it what is ours. */
export function styleOf(palette: Palette, { tiles, style }: Pick<Base, "tiles" | "style">): StyleSpecification {
  const ours = [
    ...fenceLayers(palette),
    ...route(palette),
    ...fleet(palette),
    ...focus(palette),
    ...alarms(),
    ...draftLayers(palette),
  ];
  if (style) {
    return { ...style, sources: { ...style.sources, ...OURS }, layers: [...style.layers, ...ours] };
  }
  return {
    version: 8,
    sources: {
      world: geojson({ maxzoom: 6, tolerance: 0.2, buffer: 8 }),
      detail: geojson({ maxzoom: 9, tolerance: 0.2, buffer: 8 }),
      labels: geojson({ maxzoom: 9 }),
      ...(tiles ? { tiles: { type: "raster" as const, tiles: [tiles], tileSize: 256, maxzoom: 19 } } : {}),
      ...OURS,
    },
    layers: [...base(palette, tiles !== null), ...ours],
  };
}

const OURS = {
  fleet: geojson({
    promoteId: "id",
    cluster: true,
    clusterRadius: 44,
    clusterMaxZoom: CLUSTER_MAX_ZOOM,
    clusterProperties: { online: ["+", ["case", ["==", ["get", "status"], "online"], 1, 0]] },
    maxzoom: 18,
  }),
  route: geojson({ tolerance: 0.1, maxzoom: 18 }),
  stops: geojson(),
  focus: geojson(),
  alarms: geojson(),
  // Corridors are lines, wide as they are: far from a tile, they still reach into it.
  fences: geojson({ maxzoom: 14, buffer: 512, tolerance: 0.2 }),
  draft: geojson({ maxzoom: 16, buffer: 512, tolerance: 0 }),
};

function base(palette: Palette, hasTiles: boolean): LayerSpecification[] {
  const layers: LayerSpecification[] = [{ id: "sea", type: "background", paint: { "background-color": palette.sea } }];
  for (const [source, range] of [
    ["world", {}],
    ["detail", { minzoom: DETAIL_ZOOM }],
  ] as const) {
    const of = (layer: (typeof BASE_LAYERS)[number]) => ({
      id: `${source}-${layer}`,
      source,
      ...range,
      filter: ["==", ["get", "layer"], layer] as never,
    });
    const coast = { "fill-outline-color": palette.coast };
    layers.push(
      { ...of("land"), type: "fill", paint: { "fill-color": palette.land, ...coast } },
      { ...of("lakes"), type: "fill", paint: { "fill-color": palette.sea, ...coast } },
      { ...of("states"), type: "line", paint: { "line-color": palette.state, "line-width": 1 } },
      { ...of("borders"), type: "line", paint: { "line-color": palette.border, "line-width": 1.1 } },
    );
  }
  // Tiles have names of their own.
  if (hasTiles) return [...layers, { id: "tiles", type: "raster", source: "tiles" }];
  const text = { "text-color": palette.text, "text-halo-color": palette.halo, "text-halo-width": 1.4 };
  layers.push(
    {
      id: "places",
      type: "symbol",
      source: "labels",
      minzoom: 3,
      filter: ["all", ["==", ["get", "kind"], "place"], ["<=", ["get", "from"], ["zoom"]]],
      layout: {
        "text-field": ["get", "name"],
        "text-font": FONT,
        "text-size": ["interpolate", ["linear"], ["zoom"], 4, 10.5, 10, 13.5],
        "symbol-sort-key": ["get", "rank"],
        "text-padding": 6,
        "text-max-width": 8,
        "text-anchor": "top",
        "text-offset": [0, 0.4],
      },
      paint: text,
    },
    {
      id: "countries",
      type: "symbol",
      source: "labels",
      maxzoom: 6,
      filter: [
        "all",
        ["==", ["get", "kind"], "country"],
        [">", ["get", "size"], ["interpolate", ["linear"], ["zoom"], 0, 16, 2, 7, 4, 2, 6, 0]],
      ] as never,
      layout: {
        "text-field": ["upcase", ["get", "name"]],
        "text-font": FONT,
        "text-size": ["interpolate", ["linear"], ["zoom"], 1, 9.5, 5, 13],
        "text-letter-spacing": 0.12,
        "symbol-sort-key": ["get", "rank"],
        "text-max-width": 7,
        "text-padding": 8,
      },
      paint: { ...text, "text-color": palette.country },
    },
  );
  return layers;
}

function route(palette: Palette): LayerSpecification[] {
  const of = { type: "line" as const, source: "route" };
  const round = { ...of, layout: { "line-cap": "round" as const, "line-join": "round" as const } };
  return [
    {
      ...round,
      id: "route-casing",
      filter: ["!=", ["get", "part"], "silent"],
      paint: { "line-color": palette.routeCasing, "line-width": 6, "line-opacity": 0.9 },
    },
    {
      ...round,
      id: "route",
      filter: ["in", ["get", "part"], ["literal", ["whole", "ahead"]]],
      paint: {
        "line-color": palette.route,
        "line-width": 3,
        "line-opacity": ["case", ["==", ["get", "part"], "ahead"], 0.35, 0.95],
      },
    },
    {
      ...of,
      id: "route-silent",
      filter: ["==", ["get", "part"], "silent"],
      paint: { "line-color": palette.route, "line-width": 2, "line-opacity": 0.75, "line-dasharray": [1.2, 2.4] },
    },
    {
      ...round,
      id: "route-travelled",
      filter: ["==", ["get", "part"], "travelled"],
      paint: { "line-color": palette.travelled, "line-width": 3.4 },
    },
    {
      id: "stops",
      type: "symbol",
      source: "stops",
      layout: { "icon-image": "stop", "icon-size": 0.9, "icon-allow-overlap": true },
    },
  ];
}

function fleet(palette: Palette): LayerSpecification[] {
  const alone: ["!", ["has", string]] = ["!", ["has", "point_count"]];
  const size: DataDrivenPropertyValueSpecification<number> = [
    "step",
    ["get", "point_count"],
    15,
    20,
    18,
    100,
    22,
    1000,
    27,
  ];
  return [
    {
      id: "clusters",
      type: "circle",
      source: "fleet",
      filter: ["has", "point_count"],
      paint: {
        "circle-color": ["case", [">", ["get", "online"], 0], palette.clusterFill, palette.status.offline],
        "circle-radius": size,
        "circle-stroke-width": 4,
        "circle-stroke-color": palette.clusterFill,
        "circle-stroke-opacity": CLUSTER_RING,
      },
    },
    {
      id: "cluster-counts",
      type: "symbol",
      source: "fleet",
      filter: ["has", "point_count"],
      layout: {
        "text-field": ["get", "point_count_abbreviated"],
        "text-font": BOLD,
        "text-size": 12.5,
        "text-allow-overlap": true,
        "text-ignore-placement": true,
      },
      paint: { "text-color": palette.clusterText },
    },
    {
      id: "devices",
      type: "symbol",
      source: "fleet",
      filter: alone,
      layout: { ...DEVICE, "symbol-sort-key": ["get", "order"] },
    },
    {
      id: "device-names",
      type: "symbol",
      source: "fleet",
      filter: alone,
      minzoom: 10.5,
      layout: {
        "text-field": ["get", "name"],
        "text-font": FONT,
        "text-size": 11.5,
        "text-anchor": "left",
        "text-offset": [1.2, 0],
        "text-optional": true,
        "text-max-width": 14,
      },
      paint: { "text-color": palette.text, "text-halo-color": palette.halo, "text-halo-width": 1.6 },
    },
  ];
}

/** One device or moment, above everything. */
function focus(palette: Palette): LayerSpecification[] {
  return [
    {
      id: "focus-ring",
      type: "circle",
      source: "focus",
      paint: {
        "circle-radius": 19,
        "circle-color": palette.route,
        "circle-opacity": 0.16,
        "circle-stroke-width": 2,
        "circle-stroke-color": palette.route,
      },
    },
    {
      id: "focus",
      type: "symbol",
      source: "focus",
      filter: ["has", "icon"],
      layout: { ...DEVICE, "icon-size": 1.15 },
    },
  ];
}

/** Where alarms opened, above everything: they are looked for. */
function alarms(): LayerSpecification[] {
  return [
    {
      id: "alarms",
      type: "symbol",
      source: "alarms",
      layout: {
        "icon-image": ["get", "icon"],
        "icon-anchor": "bottom",
        "icon-size": ["case", ["get", "chosen"], 1.35, 1],
        "icon-allow-overlap": true,
        "icon-ignore-placement": true,
        "symbol-sort-key": ["get", "order"],
      },
      paint: { "icon-opacity": ["case", ["get", "open"], 1, 0.55] },
    },
  ];
}
