// Waking: what a wake starts, and what it leaves. Requests wait for it, so few VMs that serve are better than none.

import type { AppRecord, DesiredVm } from "../../../mesh/index.ts";
import { asReached, type CommitContext, rolloutOf, withStep } from "./commits.ts";
import type { Facts } from "./facts.ts";
import { isSound } from "./last-sound.ts";
import { isFreeToLeave, isToServe, withOpeningClosed } from "./opening.ts";
import type { Planned } from "./plan-next.ts";
import type { Applied } from "./starts.ts";

/** What came to run well serves. What did not leaves, closed first if it must be. What an earlier rollout closed is kept by whom it waits for. */
export function wokenOf(record: AppRecord, facts: Facts): readonly DesiredVm[] {
  return record.vms.flatMap((vm): readonly DesiredVm[] => {
    if (vm.phase === "serving" || vm.phase === "cordoned") return [vm];
    if (isToServe(vm) && isSound(vm, facts)) return [asReached(vm, "serving", facts)];
    return isFreeToLeave(vm, facts) ? [] : [withOpeningClosed(vm)];
  });
}

/** Of a wake as many are started as there is room for. */
export function withFittingStep(record: AppRecord, planned: Planned, context: CommitContext): Applied {
  const applied = withStep(record, planned, context);
  const isFewer = rolloutOf(record).kind === "wake" && planned.kind === "start" && planned.vms.length > 1;
  if (applied.code === "applied" || !isFewer) return applied;
  const fewer = withFittingStep(record, { ...planned, vms: planned.vms.slice(0, -1) }, context);
  return fewer.code === "applied" ? fewer : applied;
}
