// Replacing: rollouts in which new VMs take the place of old ones that serve well, and so wait for all evidence that the new do.

import type { Rollout } from "../../../mesh/index.ts";

/** Before old VMs are stopped each proxy has reached the new: also one that joined or started again since they serve. */
export function isReplacing({
  rollout,
}: {
  readonly rollout: Pick<Rollout, "kind" | "direction"> | null;
}): boolean {
  if (rollout?.direction !== "forward") return false;
  return rollout.kind === "deploy" || rollout.kind === "move";
}
