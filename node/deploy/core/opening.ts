// Opening: VMs to which requests that are held go as soon as their hosts say that they are healthy. A proxy may have heard that before we do, so
// they leave as those do that serve: closed first. But of what ended nothing is left to close, and what a lost host has that host ends when
// it is back.

import type { DesiredVm, WantedPhase } from "../../../mesh/index.ts";
import { type Facts, hasEnded, observed } from "./facts.ts";

/** It was started, and nothing but its health is waited for. */
export function isToServe({ phase }: { readonly phase: WantedPhase }): boolean {
  return phase === "starting" || phase === "opening";
}

/** Nobody has to be asked before it leaves. */
export function isFreeToLeave(vm: DesiredVm, facts: Facts): boolean {
  // Before it serves its host does not start it again.
  if (vm.phase === "opening") return hasEnded(observed(facts, vm)?.entry) || facts.lost.has(vm.host);
  return vm.phase === "prepared" || vm.phase === "starting";
}

/** As a strategy plans them: those that are free to leave are as if nothing had ever been routed to them. */
export function withFreedAsStarting(vms: readonly DesiredVm[], facts: Facts): readonly DesiredVm[] {
  return vms.map((vm) =>
    vm.phase === "opening" && isFreeToLeave(vm, facts) ? { ...vm, phase: "starting" } : vm,
  );
}

export function withOpeningClosed(vm: DesiredVm): DesiredVm {
  return vm.phase === "opening" ? asCordoned(vm) : vm;
}

export function asCordoned(vm: DesiredVm): DesiredVm {
  return { ...vm, phase: "cordoned", requires: null };
}
