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
  const best = rankOfBest(endpoints, choice);
  return endpoints.filter((endpoint) => rankOf(endpoint, choice) === best);
}

/** How far the best of them is trusted, the fewer the more: Infinity of none. */
export function rankOfBest(endpoints: readonly Endpoint[], choice: Choice): number {
  return Math.min(...endpoints.map((endpoint) => rankOf(endpoint, choice)));
}

/** 0: healthy, there, and dialled before · 1: not dialled a moment ago · 2: its host is away · 3: not healthy. */
function rankOf({ vm, healthy, hostAway }: Endpoint, choice: Choice): number {
  if (!healthy) return 3;
  if (hostAway) return 2;
  return choice.isSuspect(vm) ? 1 : 0;
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
