// Replacing: rollouts in which new VMs take the place of old ones that serve well, and so wait for all evidence that the new do.

import type { Rollout } from "../../../mesh/index.ts";

/** Before old VMs are stopped each proxy has reached the new: also one that joined or started again since they serve. */
export function isReplacing({
  rollout,
}: {
  readonly rollout: Pick<Rollout, "kind" | "direction"> | null;
}): boolean {
  if (rollout?.direction !== "forward") return false;
  return rollout.kind === "deploy" || rollout.kind === "move" || rollout.kind === "restart";
}

/** On its way forward, and it could go back: what it adds it waits for, and gives up at a deadline. */
export function canReturn(record: Parameters<typeof isReplacing>[0]): boolean {
  return isReplacing(record) || (record.rollout?.kind === "scale" && record.rollout.direction === "forward");
}
