// Between the address and the filters of the fleet.

import type { Status } from "../api/types";
import { type Filter, type Ignition, type Sort, STATUSES } from "../state/fleet";
import { COMPARISONS, type Comparison } from "../state/values";

const SORTS: readonly Sort[] = ["seen", "name", "speed", "status", "value"];

export function filterOf(query: Record<string, string>): Filter {
  const statuses = (query.status ?? "")
    .split(",")
    .filter((status): status is Status => STATUSES.includes(status as Status));
  const ignition = query.ignition === "on" || query.ignition === "off" ? query.ignition : null;
  return { text: query.q ?? "", statuses, group: query.group ?? null, ignition };
}

export function sortOf(query: Record<string, string>): Sort {
  return SORTS.includes(query.sort as Sort) ? (query.sort as Sort) : "status";
}

/** The comparison with a chosen channel's value. */
export const comparisonOf = (query: Record<string, string>): Comparison =>
  COMPARISONS.includes(query.cmp as Comparison) ? (query.cmp as Comparison) : "over";

export type { Ignition };
export { SORTS };
