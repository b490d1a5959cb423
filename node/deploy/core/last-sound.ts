// Last sound: no step takes out of routing what serves, while all that would serve instead is not known to run: it is unwell, or its
// host is lost. A rollout that goes back meets it when the host of the old VMs died meanwhile, one that goes on when that of the new did.

import type { AppRecord, DesiredVm, RolloutStep, VmName } from "../../../mesh/index.ts";
import { type Facts, isHealthy, isHeldDead, observed } from "./facts.ts";
import { isLeaving } from "./quorum.ts";
import { type Want, wantHealthy } from "./standing.ts";

export function isSound(vm: DesiredVm, facts: Facts): boolean {
  return !isHeldDead(facts, vm.host) && isHealthy(observed(facts, vm));
}

/** What must come first; empty: some VM is left that is known to serve, or none is taken away that is. */
export function missingBefore(
  record: AppRecord,
  step: {
    readonly kind: RolloutStep["kind"];
    readonly vms: readonly VmName[];
    readonly serves?: readonly VmName[];
  },
  facts: Facts,
): readonly Want[] {
  if (!isLeaving(step.kind)) return [];
  const serving = record.vms.filter(({ phase }) => phase === "serving");
  const isTaken = ({ vm }: DesiredVm) => step.vms.includes(vm);
  // What takes over after a hold serves by the step after it.
  const isNext = (vm: DesiredVm) =>
    step.kind === "hold" && vm.phase !== "starting" && vm.phase !== "prepared" && !isOfTaken(vm);
  const isOfTaken = ({ release }: DesiredVm) =>
    record.vms.some((vm) => vm.release === release && isTaken(vm));
  const left = record.vms.filter(
    (vm) => (vm.phase === "serving" && !isTaken(vm)) || step.serves?.includes(vm.vm) === true || isNext(vm),
  );
  const isAnyTaken = serving.some((vm) => isTaken(vm) && isSound(vm, facts));
  if (!isAnyTaken || left.length === 0 || left.some((vm) => isSound(vm, facts))) return [];
  return left.map(({ vm, host }) => wantHealthy(vm, host, facts));
}
