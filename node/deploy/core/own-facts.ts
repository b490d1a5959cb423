// Own facts: what a rollout's machine itself keeps of what was observed, and writes; whoever decides only reads it.

import type { Ack, GateStanding, MemberName, VmName } from "../../../mesh/index.ts";
import { HeardCounts } from "./canary/heard-counts.ts";
import type { Facts, HostFact, ObservedVm, ProxyFact } from "./facts.ts";

export interface OwnFacts extends Facts {
  readonly vms: Map<VmName, Map<MemberName, ObservedVm>>;
  readonly acks: Map<MemberName, Ack>;
  readonly gates: Map<MemberName, GateStanding>;
  readonly counts: HeardCounts;
  bakedMs: number;
  readonly departedMs: Map<string, number>;
  readonly proxies: Map<MemberName, ProxyFact>;
  readonly hosts: Map<MemberName, HostFact>;
  readonly lost: Set<MemberName>;
  returned: ReadonlySet<string>;
  wanted: number;
  quietMs: ReadonlyMap<MemberName, number>;
  readonly heardAtMs: Map<MemberName, number>;
  readonly expected: Set<MemberName>;
}

export function noFacts(): OwnFacts {
  return {
    vms: new Map(),
    acks: new Map(),
    gates: new Map(),
    counts: new HeardCounts(),
    bakedMs: 0,
    departedMs: new Map(),
    proxies: new Map(),
    hosts: new Map(),
    lost: new Set(),
    returned: new Set(),
    wanted: 0,
    quietMs: new Map(),
    heardAtMs: new Map(),
    expected: new Set(),
  };
}
