// Handed over: what a host does of itself with its VMs, for worlds in which a test says what hosts do.

import type { CommittedApp, VmName } from "../../../mesh/index.ts";
import { hasEnded, type ObservedVm } from "../core/facts.ts";
import { isToServe } from "../core/opening.ts";

interface Seen {
  readonly committed: CommittedApp | null;
  readonly entries: ReadonlyMap<VmName, ObservedVm>;
}

/** The record wants no more of it yet. */
export function isPrepared({ committed }: Pick<Seen, "committed">, vm: VmName): boolean {
  return committed?.record.vms.some((one) => one.vm === vm && one.phase === "prepared") === true;
}

/** Its host may run it by now. */
export function mayComeUp(seen: Seen, vm: VmName): boolean {
  return !isPrepared(seen, vm) && !isBehindAnother(seen, vm) && !isLeftDown(seen, vm);
}

/** It ended before it served: its host does not start it again. */
function isLeftDown({ committed, entries }: Seen, vm: VmName): boolean {
  const wanted = committed?.record.vms.find((one) => one.vm === vm);
  return wanted !== undefined && isToServe(wanted) && hasEnded(entries.get(vm)?.entry);
}

/** Another VM runs on the same host still, of which no record wants any more: the host keeps the order. */
function isBehindAnother({ committed, entries }: Seen, vm: VmName): boolean {
  const host = committed?.record.vms.find((one) => one.vm === vm)?.host;
  const isNamed = (name: VmName) => committed?.record.vms.some((one) => one.vm === name);
  return [...entries].some(([name, { entry }]) => entry.host === host && !isNamed(name));
}
