// Pace: how many VMs more, and how many fewer, than asked for there may be while a rollout runs.

import type { DeploySpec } from "../../../../mesh/index.ts";

export interface Pace {
  readonly surge: number;
  readonly unavailable: number;
}

type PaceSpec = Pick<DeploySpec, "strategy" | "maxSurge" | "maxUnavailable">;

/** Of `count` VMs one at least stays, and there is always a way on: with nothing allowed one more is started. */
export function paceOf({ strategy, maxSurge = 1, maxUnavailable = 0 }: PaceSpec, count: number): Pace {
  if (strategy !== "rolling" && strategy !== "canary") return { surge: Math.max(1, count), unavailable: 0 };
  const surge = resolved(maxSurge, count, Math.ceil);
  const unavailable = Math.max(0, Math.min(count - 1, resolved(maxUnavailable, count, Math.floor)));
  return { surge: surge + unavailable === 0 ? 1 : surge, unavailable };
}

/** A whole number is a count, one between 0 and 1 a share of all. */
function resolved(quantity: number, count: number, round: (value: number) => number): number {
  return Number.isInteger(quantity) ? quantity : round(quantity * count);
}
