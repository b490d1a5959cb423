// Gates: what a step that takes VMs away still lacks of the gates before them. Few gates, whatever the number of proxies: with their
// word no request reaches those VMs any more, whoever sends it; proxies that answer only make it fast.

import {
  type CommittedApp,
  type DesiredVm,
  type GateStanding,
  isGated,
  type VmEntry,
  type VmName,
} from "../../../mesh/index.ts";
import { counted } from "./describe.ts";
import { type Facts, observed } from "./facts.ts";
import { isFenced } from "./fences.ts";
import type { Want } from "./standing.ts";

/**
 * No request reaches this VM but through the gate of its host: so it was started, as its host says, or will be if it ever is. One that
 * was started before its host had a gate may be known to a proxy by its own address.
 */
function isBehindGate(desired: DesiredVm, { record }: CommittedApp, facts: Facts): boolean {
  const { release, host } = desired;
  const spec = record.releases.find(({ number }) => number === release)?.spec;
  const wantsGate = spec === undefined || isGated(spec);
  if (!wantsGate || facts.hosts.get(host)?.hasGate !== true) return false;
  const entry = observed(facts, desired)?.entry;
  return entry !== undefined && (entry.gated === true || hasNeverRun(entry));
}

function hasNeverRun({ state, startedAtMs }: VmEntry): boolean {
  return (state === "preparing" || state === "prepared") && startedAtMs === null;
}

/** Those of `vms` to which nobody's silence can send a request: they are behind a gate, or on a host that is off, as a person said. */
function gatedOf(vms: readonly VmName[], committed: CommittedApp, facts: Facts): readonly DesiredVm[] {
  const named = committed.record.vms.filter(({ vm }) => vms.includes(vm));
  return named.filter(
    (vm) => isFenced(committed.record, facts, vm.host) || isBehindGate(vm, committed, facts),
  );
}

/**
 * Null: the gate of its host has confirmed, on disk, that it closed this VM by this record or a later one, and nothing runs there any
 * more. `no-early-stop` and `no-dispatch-to-closed` rest on it.
 */
export function wantOfGate(
  { vm, host }: DesiredVm,
  { epoch, record }: CommittedApp,
  facts: Facts,
): Want | null {
  const want = (what: string, complaint: string): Want => {
    const away =
      facts.hosts.get(host)?.open === true
        ? ""
        : ` (its host is not connected; if it is off, \`grapevine host fence ${host}\`)`;
    return { kind: "gate", who: host, what: `${what}${away}`, complaint: `${host} ${complaint}${away}` };
  };
  const standing = facts.gates.get(host);
  if (standing === undefined || standing.app !== record.app || standing.epoch < epoch) {
    const why = standing?.app === record.app ? whyNotConfirmed(standing) : "";
    return want(`to close ${vm} at its gate${why}`, `has not closed ${vm} at its gate${why}`);
  }
  const requests = standing.inFlight.find((busy) => busy.vm === vm)?.requests ?? 0;
  if (requests === 0) return null;
  const count = counted(requests, "request");
  return want(
    `to drain: ${count} in flight to ${vm} at its gate`,
    `has ${count} in flight to ${vm} at its gate`,
  );
}

/** Of one whose word is of an older record. */
function whyNotConfirmed({ awaits = [], fault }: GateStanding): string {
  if (fault !== undefined) return `, which cannot write down what it closed: ${fault}`;
  return awaits.length === 0 ? "" : `, which waits for ${awaits.join(", ")}`;
}

/**
 * `wantOfGate` of several: empty once every gate that they stand behind has confirmed, but those of hosts that are fenced. What a repair takes
 * out of routing, or a wake that came to nothing, is on a host that is held dead, of the release that serves, and is stopped by that host when
 * it is back.
 */
export function wantsOfGates(vms: readonly VmName[], committed: CommittedApp, facts: Facts): readonly Want[] {
  return askedAtGates(vms, committed, facts).flatMap((vm) => wantOfGate(vm, committed, facts) ?? []);
}

/** Those of `vms` of which the gates of their hosts are asked. */
export function askedAtGates(
  vms: readonly VmName[],
  committed: CommittedApp,
  facts: Facts,
): readonly DesiredVm[] {
  const { record } = committed;
  const kind = record.rollout?.kind;
  const isReplaced = kind === "repair" || kind === "wake";
  return gatedOf(vms, committed, facts).filter(
    ({ host }) => !isFenced(record, facts, host) && !(isReplaced && facts.lost.has(host)),
  );
}

/** Every one of `vms` is behind a gate: a proxy that cannot be heard sends nothing there that its gate would not refuse. */
export function areAllGated(vms: readonly VmName[], committed: CommittedApp, facts: Facts): boolean {
  return vms.length > 0 && gatedOf(vms, committed, facts).length === vms.length;
}
