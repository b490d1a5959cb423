// Place: which hosts new VMs go to. Deterministic, so that two agents that know the same decide the same, and each choice with its reason.

import type { DesiredVm, MemberName } from "../../../mesh/index.ts";
import type { HostFact } from "./facts.ts";

interface Placement {
  readonly host: MemberName;
  /** "0 VMs of v2 there and 1 in region eu, 1 of the app, 4 of all": for explanations. */
  readonly reason: string;
}

/** `no-host`: there is none, or none has room; `message` says of each why. */
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
  /** Of an app that sleeps: hosts that have what it needs to run. */
  readonly ranOn?: readonly MemberName[];
}

/**
 * For each VM the host with room in the region with the fewest VMs of its release; of those the host with the fewest of the
 * release, then of the app, then one that it ran on before it slept, then the one with the fewest of all, then by name. Of the release first: the old VMs leave, and counting them alike would gather
 * the new ones where the first old ones left. Not placed on: who is not connected, is cordoned, or is full.
 */
export function place({ vms, release, hosts, count, ranOn = [] }: PlaceInput): Placing {
  const all = [...hosts];
  const loads = all
    .filter((host) => obstacleOf(host) === null)
    .map((host) => ({ ...loadOf(host, vms, release), isKnown: ranOn.includes(host.host) }));
  const placements: Placement[] = [];
  for (let index = 0; index < count; index += 1) {
    const open = loads.filter(hasRoom);
    const inRegion = regionCounts(all, vms, release, placements);
    const [first, ...others] = open;
    if (first === undefined)
      return { code: "no-host", message: describeObstacles(all, loads, placements.length, count) };
    const best = others.reduce((left, right) => (isBetter(right, left, inRegion) ? right : left), first);
    placements.push({ host: best.host, reason: describeLoad(best, release, inRegion) });
    best.ofRelease += 1;
    best.ofApp += 1;
    best.all += 1;
  }
  return { code: "placed", placements };
}

interface Load {
  readonly host: MemberName;
  readonly region: string;
  readonly capacity: number;
  /** It ran there before. */
  readonly isKnown: boolean;
  ofRelease: number;
  ofApp: number;
  all: number;
}

function loadOf(
  { host, vms: all, ...fact }: HostFact,
  vms: readonly DesiredVm[],
  release: number,
): Omit<Load, "isKnown"> {
  const here = vms.filter((vm) => vm.host === host);
  const ofRelease = here.filter((vm) => vm.release === release).length;
  const capacity = fact.capacity ?? Number.POSITIVE_INFINITY;
  return { host, region: fact.region ?? "", capacity, all, ofApp: here.length, ofRelease };
}

function hasRoom({ all, capacity }: Load): boolean {
  return all < capacity;
}

/** VMs of the release in each region, those just placed among them. */
function regionCounts(
  hosts: readonly HostFact[],
  vms: readonly DesiredVm[],
  release: number,
  placed: readonly Placement[],
): ReadonlyMap<string, number> {
  const regions = new Map(hosts.map(({ host, region = "" }) => [host, region]));
  const counts = new Map<string, number>();
  const where = [...vms.filter((vm) => vm.release === release), ...placed];
  for (const { host } of where) {
    const region = regions.get(host) ?? "";
    counts.set(region, (counts.get(region) ?? 0) + 1);
  }
  return counts;
}

function isBetter(left: Load, right: Load, inRegion: ReadonlyMap<string, number>): boolean {
  const [ofLeft, ofRight] = [left, right].map(({ region }) => inRegion.get(region) ?? 0) as [number, number];
  if (ofLeft !== ofRight) return ofLeft < ofRight;
  if (left.ofRelease !== right.ofRelease) return left.ofRelease < right.ofRelease;
  if (left.ofApp !== right.ofApp) return left.ofApp < right.ofApp;
  if (left.isKnown !== right.isKnown) return left.isKnown;
  if (left.all !== right.all) return left.all < right.all;
  return left.host < right.host;
}

function describeLoad(
  { region, ofRelease, ofApp, all }: Load,
  release: number,
  inRegion: ReadonlyMap<string, number>,
): string {
  const where = region === "" ? "" : ` and ${inRegion.get(region) ?? 0} in region ${region}`;
  return `${ofRelease} VMs of v${release} there${where}, ${ofApp} of the app, ${all} of all`;
}

/** What keeps a host from getting any VM; null: nothing. */
function obstacleOf({ open, cordoned }: HostFact): string | null {
  if (!open) return "is not connected";
  return cordoned === true ? "is cordoned" : null;
}

function describeObstacles(
  hosts: readonly HostFact[],
  loads: readonly Load[],
  placed: number,
  count: number,
): string {
  const fullHosts = new Map(
    loads.map(({ host, all, capacity }) => [host, `is full (${all} of ${capacity} VMs)`]),
  );
  const list = hosts
    .map((host) => ({ host: host.host, why: obstacleOf(host) ?? fullHosts.get(host.host) ?? "" }))
    .sort((left, right) => (left.host < right.host ? -1 : 1))
    .slice(0, OBSTACLES_SAID_MAX)
    .map(({ host, why }) => `${host} ${why}`);
  if (list.length === 0) return "no host is connected to run a VM on";
  const head = placed === 0 ? "no host can run a VM" : `there is room for ${placed} of ${count} VMs`;
  const more = hosts.length > list.length ? `; and ${hosts.length - list.length} more` : "";
  return `${head}: ${list.join("; ")}${more}`;
}

/** Of many hosts the first few tell enough. */
const OBSTACLES_SAID_MAX = 8;
