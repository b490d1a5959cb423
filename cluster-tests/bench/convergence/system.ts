// System: one thing that is measured, ours or a floor: how its cluster is started. All else is alike for all (run-system.ts).

import { availableParallelism } from "node:os";
import { createClusterRoot, signVoterList } from "../../../mesh/index.ts";
import type { Place, PlacedMember } from "./place.ts";
import type { Peer, Program } from "./protocol.ts";

export const FLOORS = ["raw", "streams", "serf"] as const;
export type Floor = (typeof FLOORS)[number];
export type SystemName = "ours" | Floor;

export interface ClusterSize {
  readonly hosts: number;
  readonly proxies: number;
}

export interface StartedCluster {
  /** They write. */
  readonly hosts: readonly PlacedMember[];
  readonly proxies: readonly PlacedMember[];
}

/** Of an app: its bound. */
const VMS_MAX = 100;
const VMS_PER_HOST_MAX = 4;
const STARTS_AT_ONCE = Math.max(2, availableParallelism());

/** Resolves when all are connected and, of ours, an app is deployed whose VMs are all routed to. `folder`: of the cluster's key. */
export function startCluster(
  system: SystemName,
  size: ClusterSize,
  { place, folder }: { readonly place: Place; readonly folder: string },
): Promise<StartedCluster> {
  return system === "ours" ? startOurs(size, place, folder) : startFloor(system, size, place);
}

async function startOurs(size: ClusterSize, place: Place, folder: string): Promise<StartedCluster> {
  const { hosts: count, proxies: proxyCount } = size;
  const root = await createClusterRoot(folder);
  if (!root.ok) throw new Error(root.error);
  const cluster = root.value.id;
  const host = (index: number, seeds: readonly string[]): Promise<PlacedMember> =>
    place.start({ name: `host-${index + 1}`, program: "host", config: { cluster, seeds, index } });
  const first = await host(0, []);
  await nameVoter(first, { cluster, keyFile: root.value.keyFile });
  const seeds = [first.contact];
  const proxy = (index: number): Promise<PlacedMember> =>
    place.start({ name: `proxy-${index + 1}`, program: "proxy", config: { cluster, seeds } });
  const others = await inTurns(indices(count - 1), (index) => host(index + 1, seeds));
  const proxies = await inTurns(indices(proxyCount), proxy);
  const hosts = [first, ...others];
  await meet(hosts, proxies);
  await deployVms(hosts, proxies);
  return { hosts, proxies };
}

/** The first host keeps the records. */
async function nameVoter(
  first: PlacedMember,
  root: { readonly cluster: string; readonly keyFile: string },
): Promise<void> {
  const { list } = await first.ask("plan", { hosts: [first.name] });
  const link = await signVoterList(root, new Uint8Array(Buffer.from(list, "base64")));
  if (!link.ok) throw new Error(link.error);
  await first.ask("install", { link: Buffer.from(link.value).toString("base64") });
}

async function deployVms(hosts: readonly PlacedMember[], proxies: readonly PlacedMember[]): Promise<void> {
  const perHost = Math.max(1, Math.min(VMS_PER_HOST_MAX, Math.floor(VMS_MAX / hosts.length)));
  await hosts[0]?.ask("deploy", { vms: perHost * hosts.length });
  await Promise.all([
    ...hosts.map((host) => host.ask("vms", { count: perHost })),
    ...proxies.map((proxy) => proxy.ask("vms", { count: perHost * hosts.length })),
  ]);
}

async function startFloor(program: Program, size: ClusterSize, place: Place): Promise<StartedCluster> {
  const start = (kind: string) => (index: number) =>
    place.start({ name: `${kind}-${index + 1}`, program, config: {} });
  const hosts = await inTurns(indices(size.hosts), start("host"));
  const proxies = await inTurns(indices(size.proxies), start("proxy"));
  await meet(hosts, proxies);
  return { hosts, proxies };
}

async function meet(hosts: readonly PlacedMember[], proxies: readonly PlacedMember[]): Promise<void> {
  const all = [...hosts, ...proxies];
  const peersOf = (member: PlacedMember): readonly Peer[] =>
    all.filter((other) => other !== member).map(({ name, contact }) => ({ name, contact }));
  const isHost = new Set(hosts);
  await Promise.all(
    all.map((member) => member.ask("meet", { peers: peersOf(member), writes: isHost.has(member) })),
  );
}

/** A few at a time: members that all start at once on few cores take each other for dead before they have begun. */
async function inTurns(
  all: readonly number[],
  start: (index: number) => Promise<PlacedMember>,
): Promise<readonly PlacedMember[]> {
  const started: PlacedMember[] = [];
  for (let at = 0; at < all.length; at += STARTS_AT_ONCE) {
    started.push(...(await Promise.all(all.slice(at, at + STARTS_AT_ONCE).map(start))));
  }
  return started;
}

function indices(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index);
}
