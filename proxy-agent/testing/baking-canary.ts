// Baking canary: what a record says while a canary of v2 bakes.

import { type AppRecord, memberName, type RolloutStep, type Weights } from "../../mesh/index.ts";

export interface BakingCanary {
  /** Number of the bake step. */
  readonly step: number;
  readonly weights: Weights;
}

/** A canary of v2 that bakes. */
export function bakingCanary(
  app: string,
  { step: number, weights }: BakingCanary,
): Pick<AppRecord, "weights" | "rollout"> {
  const step: RolloutStep = { number, kind: "bake", vms: [], ackSet: [], startedAtMs: 0 };
  const rollout: AppRecord["rollout"] = {
    id: `${app}-v2`,
    kind: "deploy",
    from: 1,
    to: 2,
    state: "running",
    direction: "forward",
    driver: memberName("host-1"),
    step,
    history: [],
    reason: null,
    targets: [],
    startedAtMs: 0,
    endedAtMs: null,
  };
  return { weights, rollout };
}
