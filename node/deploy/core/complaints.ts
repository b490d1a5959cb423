// Complaints: what is missing, as a sentence, and the wants of which no step tells by itself.

import {
  type CommittedApp,
  type MemberName,
  type RolloutStep,
  type VmName,
  vmName,
} from "../../../mesh/index.ts";
import { type Facts, isElsewhere } from "./facts.ts";
import type { Planned } from "./plan-next.ts";
import type { Want } from "./standing.ts";

/** "proxy-2 has not acknowledged epoch 7; hello-v1-1 is not gone on host-2", the first few. */
export function complaintsOf(wants: readonly Want[]): string {
  const named = wants.slice(0, 8).map((want) => want.complaint);
  const more = wants.length > named.length ? `; and ${wants.length - named.length} more` : "";
  return `${named.join("; ")}${more}`;
}

export function wantHost(planned: Planned, message: string): Want {
  const who = planned.vms[0] as NonNullable<Want["who"]>;
  return { kind: "vm", who, what: `to be placed: ${message}`, complaint: `${who} has no host: ${message}` };
}

export function leftOf(vms: readonly VmName[], facts: Facts): readonly Want[] {
  const left = vms.filter((vm) => isElsewhere(facts, vm));
  return left.map((vm) => ({ kind: "vm", who: vm, what: "to be gone", complaint: `${vm} is not gone` }));
}

/** What was started on the way back does not run, and nobody starts it again as long as it is only started. */
export function wantSound(complaint: string, step: RolloutStep | null): Want {
  const [who = vmName("vm")] = step?.serves ?? step?.vms ?? [];
  return { kind: "vm", who, what: "to run", complaint };
}

/**
 * A proxy that is silent or away keeps no way back from its end. Of a hold nobody is: what it closes is gone, or has another one in its place,
 * by the step after it.
 */
export function isExcused(
  want: Want,
  {
    facts,
    silent,
    committed,
  }: {
    readonly facts: Facts;
    readonly silent: ReadonlySet<MemberName>;
    readonly committed: CommittedApp;
  },
): boolean {
  if (committed.record.rollout?.step?.kind === "hold") return false;
  if (want.kind === "no-proxy") return true;
  const proxy = want.who as MemberName;
  return want.kind === "proxy" && (silent.has(proxy) || facts.proxies.get(proxy)?.connected === false);
}
