// How geofences and the shape that is being drawn look.

import type { ExpressionSpecification, LayerSpecification } from "maplibre-gl";

import type { Palette } from "./colours";

const FONT = ["system-ui", "sans-serif"];
const is = (part: string): ExpressionSpecification => ["==", ["get", "part"], part];

/** As wide as the corridor is at each zoom: it doubles with each. */
const WIDE: ExpressionSpecification = [
  "interpolate",
  ["exponential", 2],
  ["zoom"],
  0,
  ["max", 0.0001, ["get", "px"]],
  24,
  ["*", ["get", "px"], 2 ** 24],
];

const round = { "line-cap": "round" as const, "line-join": "round" as const };

/** Below the fleet. */
export function fenceLayers(palette: Palette): LayerSpecification[] {
  const source = "fences";
  const strength: ExpressionSpecification = ["case", ["get", "chosen"], 0.26, 0.12];
  const width: ExpressionSpecification = ["case", ["get", "chosen"], 2.6, 1.5];
  return [
    {
      id: "fences",
      type: "fill",
      source,
      filter: is("area"),
      paint: { "fill-color": palette.fence, "fill-opacity": strength },
    },
    {
      id: "fence-edges",
      type: "line",
      source,
      filter: is("area"),
      paint: { "line-color": palette.fence, "line-width": width, "line-opacity": 0.85 },
    },
    {
      id: "fence-corridors",
      type: "line",
      source,
      filter: is("corridor"),
      layout: round,
      paint: { "line-color": palette.fence, "line-width": WIDE, "line-opacity": strength },
    },
    {
      id: "fence-lines",
      type: "line",
      source,
      filter: is("corridor"),
      layout: round,
      paint: { "line-color": palette.fence, "line-width": width, "line-opacity": 0.85, "line-dasharray": [2, 2.2] },
    },
    {
      id: "fence-names",
      type: "symbol",
      source,
      filter: is("name"),
      minzoom: 7,
      layout: {
        "text-field": ["get", "name"],
        "text-font": FONT,
        "text-size": 12,
        "text-max-width": 10,
        "text-allow-overlap": ["step", ["zoom"], false, 12, true],
      },
      paint: { "text-color": palette.fence, "text-halo-color": palette.halo, "text-halo-width": 1.8 },
    },
  ];
}

/** Above everything. */
export function draftLayers(palette: Palette): LayerSpecification[] {
  const source = "draft";
  const colour = palette.fence;
  return [
    { id: "draft", type: "fill", source, filter: is("area"), paint: { "fill-color": colour, "fill-opacity": 0.2 } },
    {
      id: "draft-edges",
      type: "line",
      source,
      filter: is("area"),
      paint: { "line-color": colour, "line-width": 2.4 },
    },
    {
      id: "draft-corridors",
      type: "line",
      source,
      filter: is("corridor"),
      layout: round,
      paint: { "line-color": colour, "line-width": WIDE, "line-opacity": 0.2 },
    },
    {
      id: "draft-lines",
      type: "line",
      source,
      filter: is("line"),
      layout: round,
      paint: { "line-color": colour, "line-width": 2.4 },
    },
    {
      id: "draft-middles",
      type: "circle",
      source,
      filter: is("middle"),
      paint: {
        "circle-radius": 4.5,
        "circle-color": palette.outline,
        "circle-opacity": 0.85,
        "circle-stroke-color": colour,
        "circle-stroke-width": 1.5,
        "circle-stroke-opacity": 0.7,
      },
    },
    {
      id: "draft-corners",
      type: "circle",
      source,
      filter: is("corner"),
      paint: {
        "circle-radius": ["case", ["get", "chosen"], 8, 6.5],
        "circle-color": ["case", ["get", "chosen"], colour, palette.outline],
        "circle-stroke-color": colour,
        "circle-stroke-width": 2.6,
      },
    },
  ];
}
