// Confirming hosts: what the hosts of a world say of apps that never run twice, and what they do that nobody hears of.

import type { AloneStanding, CommittedApp, MemberName, VmName } from "../../../mesh/index.ts";
import type { ObservedVm } from "../core/facts.ts";

export class ConfirmingHosts {
  /** They say what they do not run any more. */
  confirm = false;
  /** Of these nobody has heard it yet. */
  readonly silent: Set<MemberName> = new Set();
  /** VMs that their watchdogs ended. */
  readonly ended: Set<VmName> = new Set();

  factOf(
    host: MemberName,
    committed: CommittedApp | null,
    entries: Iterable<ObservedVm>,
  ): { readonly alone?: readonly AloneStanding[] } {
    if (!this.confirm) return {};
    if (this.silent.has(host) || committed === null) return { alone: [] };
    const vms = [...entries].flatMap(({ entry }) => (entry.host === host ? [entry.vm] : []));
    return { alone: [{ app: committed.record.app, epoch: committed.epoch, vms }] };
  }
}
