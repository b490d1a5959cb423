// VM plan: from the VMs that a host has and those that it should have, what to do. Pure.

import type { VmName } from "../../mesh/index.ts";

export interface VmPlan<Wanted> {
  /** Wanted and not here. */
  readonly start: readonly Wanted[];
  /** Wanted and here. */
  readonly keep: readonly Wanted[];
  /** Here, and no record wants it: `no-orphan`. */
  readonly stop: readonly VmName[];
}

/** Of two wishes for one name the last counts. */
export function planVms<Wanted extends { readonly vm: VmName }>(
  here: readonly VmName[],
  wanted: readonly Wanted[],
): VmPlan<Wanted> {
  const byName = new Map(wanted.map((one) => [one.vm, one]));
  const unique = [...byName.values()];
  return {
    start: unique.filter((one) => !here.includes(one.vm)),
    keep: unique.filter((one) => here.includes(one.vm)),
    stop: here.filter((vm) => !byName.has(vm)),
  };
}
