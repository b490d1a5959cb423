// Pick endpoint: power of two choices. Two at random, the one with fewer requests in flight wins: nearly as even as
// asking all (Mitzenmacher 2001), and a proxy that sees only its own requests does not herd.

import type { VmName } from "../../mesh/index.ts";
import type { Endpoint } from "./route-table.ts";

export interface Choice {
  /** Endpoints that failed this request already. */
  readonly tried: ReadonlySet<VmName>;
  readonly inFlight: (vm: VmName) => number;
  /** It could not be dialled a moment ago. */
  readonly isSuspect: (vm: VmName) => boolean;
  /** This proxy has reached it once. */
  readonly isReached: (endpoint: Endpoint) => boolean;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/**
 * Undefined: all were tried. Healthy ones of hosts that are there first, those on hosts that are away next; if none is healthy
 * all are asked, since our news may be old: no death empties a table.
 */
export function pickEndpoint(endpoints: readonly Endpoint[], choice: Choice): Endpoint | undefined {
  const left = choice.tried.size === 0 ? endpoints : endpoints.filter(({ vm }) => !choice.tried.has(vm));
  const [only, second] = left;
  if (second === undefined) return only;
  return leastLoadedOfTwo(bestRank(left, choice), choice);
}

function bestRank(endpoints: readonly Endpoint[], choice: Choice): readonly Endpoint[] {
  const healthy = endpoints.filter((endpoint) => endpoint.healthy);
  const here = healthy.filter(({ hostAway }) => !hostAway);
  const trusted = here.filter(({ vm }) => !choice.isSuspect(vm));
  // A new VM gets no request before its way was tried, while there is another.
  const known = trusted.filter((endpoint) => choice.isReached(endpoint));
  return [known, trusted, here, healthy].find((rank) => rank.length > 0) ?? endpoints;
}

function leastLoadedOfTwo(endpoints: readonly Endpoint[], choice: Choice): Endpoint | undefined {
  const count = endpoints.length;
  const firstIndex = Math.min(Math.floor(choice.random() * count), count - 1);
  const first = endpoints[firstIndex];
  if (first === undefined || count === 1) return first;
  const offset = 1 + Math.min(Math.floor(choice.random() * (count - 1)), count - 2);
  const second = endpoints[(firstIndex + offset) % count];
  if (second === undefined) return first;
  return choice.inFlight(second.vm) < choice.inFlight(first.vm) ? second : first;
}
