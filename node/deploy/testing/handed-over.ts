// Handed over: what a host does of itself with VMs of an app that never runs twice, for worlds in which a test says what hosts do.

import type { CommittedApp, VmName } from "../../../mesh/index.ts";
import type { ObservedVm } from "../core/facts.ts";

interface Seen {
  readonly committed: CommittedApp | null;
  readonly entries: ReadonlyMap<VmName, ObservedVm>;
}

/** The record wants no more of it yet. */
export function isPrepared({ committed }: Pick<Seen, "committed">, vm: VmName): boolean {
  return committed?.record.vms.some((one) => one.vm === vm && one.phase === "prepared") === true;
}

/** Another VM runs on the same host still, of which no record wants any more: the host keeps the order. */
export function isBehindAnother({ committed, entries }: Seen, vm: VmName): boolean {
  const host = committed?.record.vms.find((one) => one.vm === vm)?.host;
  const isNamed = (name: VmName) => committed?.record.vms.some((one) => one.vm === name);
  return [...entries].some(([name, { entry }]) => entry.host === host && !isNamed(name));
}
