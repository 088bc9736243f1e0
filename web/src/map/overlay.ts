// What lies above the fleet on the map: alarms where they opened. It keeps what it was told,
// so that a change of appearance can draw it again.

import type { Feature } from "geojson";
import type { GeoJSONSource, Map as LibreMap } from "maplibre-gl";

import type { Severity } from "../api/types";
import { alarmName } from "./icons";

export interface AlarmMark {
  id: number;
  severity: Severity;
  longitude: number;
  latitude: number;
  isOpen: boolean;
  isChosen: boolean;
}

/** Drawn one above the other: the worst on top. */
const ORDER: Record<Severity, number> = { info: 0, warning: 1, critical: 2 };

function markOf({ id, severity, longitude, latitude, isOpen, isChosen }: AlarmMark): Feature {
  return {
    type: "Feature",
    properties: {
      id,
      icon: alarmName(severity),
      open: isOpen,
      chosen: isChosen,
      order: ORDER[severity] + (isOpen ? 4 : 0) + (isChosen ? 8 : 0),
    },
    geometry: { type: "Point", coordinates: [longitude, latitude] },
  };
}

export class Overlay {
  /** Whether the style has the sources; `drawAll` says so. */
  isReady = false;
  private alarms: readonly AlarmMark[] = [];

  constructor(private readonly map: LibreMap) {}

  setAlarms(alarms: readonly AlarmMark[]): void {
    this.alarms = alarms;
    if (this.isReady) this.draw("alarms", this.alarms.map(markOf));
  }

  /** Nothing of one view is left for the next. */
  clear(): void {
    this.setAlarms([]);
  }

  drawAll(): void {
    this.isReady = true;
    this.setAlarms(this.alarms);
  }

  private draw(source: string, features: Feature[]): void {
    void this.map.getSource<GeoJSONSource>(source)?.setData({ type: "FeatureCollection", features });
  }
}
