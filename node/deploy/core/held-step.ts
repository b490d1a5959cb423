// Held step: whether the last step of a rollout holds the app's requests.

import type { Rollout, RolloutStep, RolloutStepReport } from "../../../mesh/index.ts";

interface Held {
  readonly rollout: Pick<Rollout, "step" | "history"> | null;
}

/** The last step of the rollout, if it is a hold: nothing lifted it yet. */
export function lastHold({ rollout }: Held): RolloutStep | RolloutStepReport | null {
  const last = rollout?.step ?? rollout?.history.at(-1);
  return last?.kind === "hold" ? last : null;
}

/** The rollout's last step holds the app's requests, whoever else does. */
export function isHeldByStep(record: Held): boolean {
  return lastHold(record) !== null;
}
