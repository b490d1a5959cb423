// Strategy: the recipe of a rollout, as a pure function from what the record holds to the steps that are left.

import type { RolloutStep, VmName, VmPhase } from "../../../../mesh/index.ts";

/** One step to come. Of a `start` the names are those that the next VMs get. */
export interface PlannedStep {
  readonly kind: RolloutStep["kind"];
  readonly vms: readonly VmName[];
}

export interface PlannedVm {
  readonly vm: VmName;
  readonly release: number;
  readonly phase: VmPhase;
}

export interface PlanInput {
  readonly vms: readonly PlannedVm[];
  /** VMs whose cordon was the last step and is complete: only they may be stopped now. */
  readonly retiring: readonly VmName[];
  /** What shall run in the end. Null release: nothing of any release counts as wanted. */
  readonly target: { readonly release: number | null; readonly count: number };
  /** Name of the `index`th VM of the target release that is started from here on, from 0. */
  readonly nameOf: (index: number) => VmName;
  /** VMs above the target's count that may run for the time of the rollout, 1 or more. */
  readonly surge: number;
}

export interface Strategy {
  /** All steps that are left, in order; empty: the target is reached. Called anew before each step. */
  plan(input: PlanInput): readonly PlannedStep[];
}

/** What the record would hold after `step`. */
export function applyPlanned(
  vms: readonly PlannedVm[],
  step: PlannedStep,
  release: number | null,
): readonly PlannedVm[] {
  const named = new Set(step.vms);
  const move = (phase: VmPhase) => vms.map((vm) => (named.has(vm.vm) ? { ...vm, phase } : vm));
  switch (step.kind) {
    case "start":
      return [...vms, ...step.vms.map((vm): PlannedVm => ({ vm, release: release ?? 0, phase: "starting" }))];
    case "serve":
      return move("serving");
    case "cordon":
      return move("cordoned");
    case "stop":
      return vms.filter((vm) => !named.has(vm.vm));
  }
}
