// Place: which hosts new VMs go to. Deterministic, so that two agents that know the same decide the same.

import type { DesiredVm, MemberName } from "../../../mesh/index.ts";
import type { HostFact } from "./facts.ts";

interface Placement {
  readonly host: MemberName;
  /** "0 VMs of v2 there, 1 of the app, 4 of all": for explanations. */
  readonly reason: string;
}

/** `no-host`: no host is connected and registered. */
export type Placing =
  | { readonly code: "placed"; readonly placements: readonly Placement[] }
  | { readonly code: "no-host"; readonly message: string };

export interface PlaceInput {
  /** The release whose VMs are placed. */
  readonly release: number;
  /** VMs of this app that the record holds. */
  readonly vms: readonly DesiredVm[];
  readonly hosts: Iterable<HostFact>;
  readonly count: number;
}

/**
 * For each VM the open host with the fewest VMs of its release, then of the app, then of all, then by name. Of the release
 * first: the old VMs leave, and counting them alike would gather the new ones where the first old ones left.
 */
export function place({ vms, release, hosts, count }: PlaceInput): Placing {
  const open = [...hosts].filter((host) => host.open);
  const loads = open.map(({ host, vms: all }): Load => {
    const here = vms.filter((vm) => vm.host === host);
    return { host, all, ofApp: here.length, ofRelease: here.filter((vm) => vm.release === release).length };
  });
  if (loads.length === 0) return { code: "no-host", message: "no host is connected to run a VM on" };
  const placements: Placement[] = [];
  for (let index = 0; index < count; index += 1) {
    const best = loads.reduce((left, right) => (isBetter(right, left) ? right : left));
    const reason = `${best.ofRelease} VMs of v${release} there, ${best.ofApp} of the app, ${best.all} of all`;
    placements.push({ host: best.host, reason });
    best.ofRelease += 1;
    best.ofApp += 1;
    best.all += 1;
  }
  return { code: "placed", placements };
}

interface Load {
  readonly host: MemberName;
  ofRelease: number;
  ofApp: number;
  all: number;
}

function isBetter(left: Load, right: Load): boolean {
  if (left.ofRelease !== right.ofRelease) return left.ofRelease < right.ofRelease;
  if (left.ofApp !== right.ofApp) return left.ofApp < right.ofApp;
  if (left.all !== right.all) return left.all < right.all;
  return left.host < right.host;
}
