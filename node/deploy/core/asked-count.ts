// Asked count: how many VMs of a release shall serve. For a while more do: a move and a repair start one before they take one away, and what
// came to no end may have left one too many.

import { type AppRecord, isUnderWay } from "../../../mesh/index.ts";

/**
 * As the rollout says that replaces VMs of this release, or was the last that did; else as many as serve. What the app's file says is of its
 * next deploy: somebody may have scaled it since.
 */
export function askedCount(record: AppRecord, release: number): number {
  const { rollout } = record;
  const serving = servingCount(record, release);
  const isReplaced = rollout !== null && REPLACES.includes(rollout.kind) && rollout.to === release;
  return isReplaced ? Math.min(serving, rollout.count ?? serving) : serving;
}

const REPLACES: readonly NonNullable<AppRecord["rollout"]>["kind"][] = ["repair", "move", "restart"];

/** Of those that serve, how many are too many once the move that runs is dropped. */
export function surplusOfMove(record: AppRecord): number {
  const { rollout } = record;
  if (!isUnderWay(rollout) || rollout?.kind !== "move" || rollout.to === null) return 0;
  return servingCount(record, rollout.to) - askedCount(record, rollout.to);
}

function servingCount({ vms }: AppRecord, release: number): number {
  return vms.filter((vm) => vm.phase === "serving" && vm.release === release).length;
}
