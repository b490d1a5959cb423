// Planned steps: VMs as a strategy sees them, and what it plans as text, for tests of strategies.

import { type VmPhase, vmName } from "../../../mesh/index.ts";
import type { PlannedStep, PlannedVm } from "../core/strategies/strategy.ts";

export function plannedVm(name: string, release: number, phase: VmPhase = "serving"): PlannedVm {
  return { vm: vmName(name), release, phase };
}

/** "flip a b for v2-1 v2-2 (lifted)". */
export function told(steps: readonly PlannedStep[]): readonly string[] {
  return steps.map(({ kind, vms, serves, hold }) => {
    const entering = serves === undefined ? "" : ` for ${serves.join(" ")}`;
    return `${kind} ${vms.join(" ")}${entering}${hold === undefined ? "" : ` (${hold})`}`;
  });
}
