// Retire: the recipe of `vm stop` and `destroy`: cordon the targets, stop them. Back: what is only cordoned serves again.

import type { VmName } from "../../../../mesh/index.ts";
import type { PlannedStep, PlannedVm } from "./strategy.ts";

export interface RetireInput {
  readonly vms: readonly PlannedVm[];
  readonly retiring: readonly VmName[];
  readonly targets: readonly VmName[];
  readonly direction: "forward" | "back";
}

/** The next step, or null at the end. What was never routed is stopped without asking anybody. */
export function nextRetireStep(input: RetireInput): PlannedStep | null {
  const named = input.vms.filter((vm) => input.targets.includes(vm.vm));
  const cordoned = named.filter((vm) => vm.phase === "cordoned");
  if (input.direction === "back") return step("serve", cordoned);
  const starting = named.filter((vm) => vm.phase === "prepared" || vm.phase === "starting");
  const retired = cordoned.filter((vm) => input.retiring.includes(vm.vm));
  return step("stop", starting) ?? step("stop", retired) ?? step("cordon", named);
}

function step(kind: PlannedStep["kind"], vms: readonly PlannedVm[]): PlannedStep | null {
  return vms.length === 0 ? null : { kind, vms: vms.map((vm) => vm.vm) };
}
