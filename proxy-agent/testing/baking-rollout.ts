// Baking rollout: what a record says while a canary of v2 bakes, in a step of that number.

import { memberName, type Rollout, type RolloutStep } from "../../mesh/index.ts";

export function bakingRollout(app: string, number: number): Rollout {
  const step: RolloutStep = { number, kind: "bake", vms: [], ackSet: [], startedAtMs: 0 };
  return {
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
}
