// Shapes of geofences in words.

import { type Shape, squareMetres } from "../state/shapes";
import * as format from "./format";
import { t } from "./language";

/** Its kind, how large it is, in words. */
export function sizeOf(shapes: readonly Shape[]): string {
  const [first] = shapes;
  if (!first) return "";
  const area = format.area(shapes.reduce((sum, shape) => sum + squareMetres(shape), 0));
  if (shapes.length > 1) return `${t("fence.kind.several", { count: shapes.length })} · ${area}`;
  const kind = t(`fence.kind.${first.kind}`);
  if (first.kind === "circle") return `${kind} · ${t("fence.radius.is", { metres: format.distance(first.metres) })}`;
  if (first.kind === "corridor") return `${kind} · ${t("fence.width.is", { metres: format.distance(first.metres) })}`;
  return `${kind} · ${area}`;
}
