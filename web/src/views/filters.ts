// Between the address and the filters of the fleet.

import type { Status } from "../api/types";
import { type Filter, type Ignition, type Sort, STATUSES } from "../state/fleet";

const SORTS: readonly Sort[] = ["seen", "name", "speed", "status"];

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

export type { Ignition };
export { SORTS };
