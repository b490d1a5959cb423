// Facts: what was observed about one app, newest only. The machine keeps them; every decision is a function of the record and these.

import type {
  Ack,
  AloneStanding,
  DesiredVm,
  GateStanding,
  MemberName,
  Start,
  Version,
  VmEntry,
  VmName,
} from "../../../mesh/index.ts";
import type { HeardCounts } from "./canary/heard-counts.ts";

export interface ObservedVm {
  readonly entry: VmEntry;
  readonly version: Version;
}

/** A member with the role of a proxy whose state is held. Without `registered` it left: its proxy entry is deleted. */
export interface ProxyFact {
  readonly proxy: MemberName;
  readonly registered: boolean;
  readonly connected: boolean;
}

/** A member with the role of a host whose state is held: what it does not list is not there. */
export interface HostFact {
  readonly host: MemberName;
  /** Connected and registered: new VMs may be placed there. */
  readonly open: boolean;
  /** Its agent is connected to ours, registered or not. Absent: as `open` says. */
  readonly connected?: boolean;
  /** The newest start of its agent of which anything is held; absent: nothing is. A fence is about one start. */
  readonly start?: Start;
  /** VMs of all apps that records place there. */
  readonly vms: number;
  /** It says that proxies reach its VMs through a gate. Absent: they dial them themselves. */
  readonly hasGate?: boolean;
  /** Held dead, or gone for good as a person said, since then, milliseconds since 1970; absent: neither. Its VMs may run on. */
  readonly deadSinceMs?: number;
  readonly region?: string;
  /** A person said so: nothing new is placed there. */
  readonly cordoned?: boolean;
  /** A person said so: what runs there shall run elsewhere. */
  readonly draining?: boolean;
  /** VMs that can run there at once; absent: it has not said. */
  readonly capacity?: number;
  /** What it confirms of apps of which something may run there that no record names. Absent: it does not say such things. */
  readonly alone?: readonly AloneStanding[];
}

export interface Facts {
  /** By VM, then by the host that said so. */
  readonly vms: ReadonlyMap<VmName, ReadonlyMap<MemberName, ObservedVm>>;
  readonly acks: ReadonlyMap<MemberName, Ack>;
  /** What the gates of hosts confirm of this app, by host. */
  readonly gates: ReadonlyMap<MemberName, GateStanding>;
  /** What proxies counted in the bake that is in force; of another step nothing is held. */
  readonly counts: Pick<HeardCounts, "has" | "sums">;
  /** For so long this driver has known the step in force. */
  readonly bakedMs: number;
  /** A proxy that is not in here is one of which nothing is known yet: it is waited for, never taken for gone. */
  readonly proxies: ReadonlyMap<MemberName, ProxyFact>;
  readonly hosts: ReadonlyMap<MemberName, HostFact>;
  /**
   * Hosts that have been dead for so long that nobody waits for them: an agent that starts again is held dead for a moment too. And at
   * once those that are fenced (`fences.ts`).
   */
  readonly lost: ReadonlySet<MemberName>;
  /** Fences whose hosts this driver has heard since, by `fenceKey`: their word is over, also before that stands in the record. Absent: none. */
  readonly returned?: ReadonlySet<string>;
  /** When a proxy, or an agent for its gate, last said anything of this app, by the clock of `nowMs`; for people. Absent: nobody did. */
  readonly heardAtMs?: ReadonlyMap<MemberName, number>;
  /** Requests that proxies keep because the app sleeps, as they said a moment ago. Absent: none. */
  readonly wanted?: number;
  /** For how long nobody asked each proxy for the app, of those that said so lately. Absent: none did. */
  readonly quietMs?: ReadonlyMap<MemberName, number>;
  /** For how long this driver has known the commit by which the last VM of a host left the record, by `departedKey`. Absent: of none. */
  readonly departedMs?: ReadonlyMap<string, number>;
  /** Proxies that the last commit knew: they count as registered until they are known to have left. */
  readonly expected: ReadonlySet<MemberName>;
}

/** A VM's entry is believed only from the host that the record gives it to. */
export function observed(
  facts: Facts,
  { vm, host, release }: Pick<DesiredVm, "vm" | "host" | "release">,
): ObservedVm | undefined {
  const seen = facts.vms.get(vm)?.get(host);
  return seen?.entry.release === release ? seen : undefined;
}

export function isHealthy(seen: ObservedVm | undefined): boolean {
  return seen?.entry.state === "running" && seen.entry.health === "healthy";
}

/** Of itself, or it could not be started. */
export function hasEnded(entry: Pick<VmEntry, "state"> | undefined): boolean {
  return entry?.state === "exited" || entry?.state === "failed";
}

/** What it said last is old news from that moment on. */
export function isHeldDead({ hosts, lost }: Facts, host: MemberName): boolean {
  return hosts.get(host)?.deadSinceMs !== undefined || lost.has(host);
}

/** Its host says so: we hold that host's state, and the VM is not in it. Without a host: nobody lists it. */
export function isGone(facts: Facts, vm: VmName, host: MemberName | undefined): boolean {
  const seen = facts.vms.get(vm);
  if (host === undefined) return seen === undefined || seen.size === 0;
  return facts.hosts.has(host) && seen?.has(host) !== true;
}

/** Lost hosts that listed it last: of these nobody can say whether it runs. It is their own to stop once they are back. */
export function lostHostsOf(facts: Facts, vm: VmName): readonly MemberName[] {
  return [...(facts.vms.get(vm)?.keys() ?? [])].filter((host) => facts.lost.has(host));
}

/** A host that is not lost lists it. */
export function isElsewhere(facts: Facts, vm: VmName): boolean {
  return lostHostsOf(facts, vm).length < (facts.vms.get(vm)?.size ?? 0);
}

export function isRegistered(facts: Facts, proxy: MemberName): boolean {
  return facts.proxies.get(proxy)?.registered ?? facts.expected.has(proxy);
}

/** Every proxy that is registered as far as is known, by name: the ack set of a step that is committed now. */
export function registeredProxies(facts: Facts): readonly MemberName[] {
  const named = new Set([...facts.proxies.keys(), ...facts.expected]);
  return [...named].filter((proxy) => isRegistered(facts, proxy)).sort();
}
