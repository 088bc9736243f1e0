// The colours of the map in both appearances. Those of the page are in
// styles/base.css; the two are chosen together.

import type { Severity, Status } from "../api/types";

export interface Palette {
  sea: string;
  land: string;
  coast: string;
  border: string;
  state: string;
  text: string;
  halo: string;
  country: string;
  clusterFill: string;
  clusterText: string;
  route: string;
  routeCasing: string;
  travelled: string;
  status: Record<Status, string>;
  outline: string;
  stop: string;
  severity: Record<Severity, string>;
  fence: string;
}

export const LIGHT: Palette = {
  sea: "#d3e1e8",
  land: "#f6f5f1",
  coast: "#b9cbd4",
  border: "#b3aea2",
  state: "#d8d4ca",
  text: "#5b5f66",
  halo: "rgba(246,245,241,0.9)",
  country: "#8b8d92",
  clusterFill: "#134e4a",
  clusterText: "#ffffff",
  route: "#0f766e",
  routeCasing: "#ffffff",
  travelled: "#0f766e",
  status: { online: "#15803d", late: "#c2690c", offline: "#64748b", never: "#94a3b8" },
  outline: "#ffffff",
  stop: "#b45309",
  severity: { critical: "#b42318", warning: "#c2690c", info: "#1d4ed8" },
  fence: "#6d28d9",
};

export const DARK: Palette = {
  sea: "#0d1620",
  land: "#18222c",
  coast: "#2b3a47",
  border: "#42505c",
  state: "#26323d",
  text: "#9aa7b4",
  halo: "rgba(18,27,35,0.9)",
  country: "#6b7986",
  clusterFill: "#2dd4bf",
  clusterText: "#06231f",
  route: "#2dd4bf",
  routeCasing: "#0b1218",
  travelled: "#5eead4",
  status: { online: "#4ade80", late: "#fbbf24", offline: "#8696a8", never: "#566472" },
  outline: "#0b1218",
  stop: "#fbbf24",
  severity: { critical: "#f87171", warning: "#fbbf24", info: "#7aa2ff" },
  fence: "#a78bfa",
};
