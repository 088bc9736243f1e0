// The markers, drawn on a canvas: a disc in the colour of the status, with an
// arrow where the device heads. No file, no request.

import type { Severity, Status } from "../api/types";
import type { Palette } from "./colours";

const RATIO = 2;

function canvas(size: number): CanvasRenderingContext2D {
  const element = document.createElement("canvas");
  element.width = element.height = size * RATIO;
  const context = element.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("no canvas");
  context.scale(RATIO, RATIO);
  context.translate(size / 2, size / 2);
  return context;
}

function pixels(context: CanvasRenderingContext2D): ImageData {
  return context.getImageData(0, 0, context.canvas.width, context.canvas.height);
}

/** Seen from above, heading north. */
function moving(colour: string, outline: string): ImageData {
  const c = canvas(30);
  c.beginPath();
  c.moveTo(0, -12.5);
  c.lineTo(9, 9.5);
  c.quadraticCurveTo(0, 4.5, -9, 9.5);
  c.closePath();
  c.lineJoin = "round";
  c.lineWidth = 4;
  c.strokeStyle = outline;
  c.stroke();
  c.fillStyle = colour;
  c.fill();
  return pixels(c);
}

function standing(colour: string, outline: string, hollow: boolean): ImageData {
  const c = canvas(22);
  c.beginPath();
  c.arc(0, 0, 6.5, 0, Math.PI * 2);
  c.lineWidth = 4;
  c.strokeStyle = outline;
  c.stroke();
  c.fillStyle = hollow ? outline : colour;
  c.fill();
  c.lineWidth = 2.2;
  c.strokeStyle = colour;
  c.beginPath();
  c.arc(0, 0, 5.6, 0, Math.PI * 2);
  c.stroke();
  return pixels(c);
}

function stop(colour: string, outline: string): ImageData {
  const c = canvas(22);
  c.beginPath();
  c.roundRect(-7, -7, 14, 14, 4);
  c.fillStyle = colour;
  c.fill();
  c.lineWidth = 2;
  c.strokeStyle = outline;
  c.stroke();
  c.fillStyle = outline;
  c.fillRect(-3, -3.2, 2.1, 6.4);
  c.fillRect(0.9, -3.2, 2.1, 6.4);
  return pixels(c);
}

/** A pin with an exclamation mark: where an alarm opened. */
function alarm(colour: string, outline: string): ImageData {
  const c = canvas(34);
  c.beginPath();
  c.moveTo(0, 15);
  c.bezierCurveTo(-2, 9, -10, 6.5, -10, -3.5);
  c.arc(0, -3.5, 10, Math.PI, 0);
  c.bezierCurveTo(10, 6.5, 2, 9, 0, 15);
  c.closePath();
  c.lineJoin = "round";
  c.lineWidth = 3.4;
  c.strokeStyle = outline;
  c.stroke();
  c.fillStyle = colour;
  c.fill();
  c.fillStyle = outline;
  c.beginPath();
  c.roundRect(-1.5, -9.5, 3, 7.6, 1.5);
  c.arc(0, 1.2, 1.8, 0, Math.PI * 2);
  c.fill();
  return pixels(c);
}

export const alarmName = (severity: Severity): string => `alarm-${severity}`;

export function markerName(status: Status, isMoving: boolean): string {
  return `${status}-${isMoving ? "moving" : "standing"}`;
}

/** Every image of the map with its name. */
export function images(palette: Palette): [string, ImageData][] {
  const all: [string, ImageData][] = [["stop", stop(palette.stop, palette.outline)]];
  for (const [status, colour] of Object.entries(palette.status) as [Status, string][]) {
    all.push([markerName(status, true), moving(colour, palette.outline)]);
    all.push([markerName(status, false), standing(colour, palette.outline, status === "never")]);
  }
  for (const [severity, colour] of Object.entries(palette.severity) as [Severity, string][]) {
    all.push([alarmName(severity), alarm(colour, palette.outline)]);
  }
  return all;
}

export const PIXEL_RATIO = RATIO;
