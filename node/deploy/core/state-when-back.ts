// State when back: how a rollout ended that went back.

import type { AppRecord, DesiredVm } from "../../../mesh/index.ts";
import { isKept, rolloutOf } from "./commits.ts";
import { isAlone } from "./handoff.ts";
import { targetOf } from "./plan-next.ts";
import { isAsBefore, isScaleOrRestart } from "./within.ts";

/** `failed`: there was nothing to go back to, or it does not serve again. `aborted`: as asked, all is as it was before. */
export function stateWhenBack(record: AppRecord): "rolled-back" | "failed" | "aborted" {
  const rollout = rolloutOf(record);
  const serving = record.vms.filter((vm) => vm.phase === "serving");
  const isAborted = rollout.reason?.code === "aborted";
  if (isScaleOrRestart(rollout)) {
    if (!isAsBefore(record)) return "failed";
    return isAborted ? "aborted" : "rolled-back";
  }
  if (rollout.kind === "move" && isAlone(record)) return serving.length > 0 ? "rolled-back" : "failed";
  if (rollout.kind !== "deploy") {
    const isUntouched = (vm: DesiredVm) => vm.phase === "serving" || isKept(vm, record);
    const back = rollout.targets.every((vm) =>
      record.vms.some((candidate) => candidate.vm === vm && isUntouched(candidate)),
    );
    if (rollout.kind === "sleep" && isAborted && back) return "aborted";
    return back ? "rolled-back" : "failed";
  }
  const { release, count } = targetOf(record, rollout);
  const old = serving.filter((vm) => vm.release === release);
  // It slept, and does again.
  const isAsleep = count === 0 && serving.length === 0 && record.hold?.by === "idle";
  const isBack = isAsleep || (count > 0 && old.length >= count && old.length === serving.length);
  if (isAborted && (isBack || (count === 0 && serving.length === 0))) return "aborted";
  return isBack ? "rolled-back" : "failed";
}
