// Injects a plan of faults into a cluster, and heals it.

import type { Cluster } from "./cluster.ts";
import { breakLink, dialNeighbours, dialSoon, fallSilent, SILENCE_MS_MAX } from "./connections.ts";
import { describeFault, type Fault } from "./faults.ts";
import { crash, restart } from "./lives.ts";
import { PERFECT } from "./network.ts";
import type { SimMember } from "./sim-member.ts";
import type { SyncChecks } from "./sync-checks.ts";

/** After a member is back: it is dialed within 1.5 s, and by then holds all that it lacked. */
const RECOVERY_MS = 3_000;

export function injectFaults(cluster: Cluster, faults: readonly Fault[], syncs: SyncChecks): void {
  for (const fault of faults) {
    cluster.at(fault.atMs, () => {
      cluster.trace(() => `FAULT ${describeFault(fault)}`);
      inject(cluster, fault, syncs);
    });
  }
}

function inject(cluster: Cluster, fault: Fault, syncs: SyncChecks): void {
  switch (fault.kind) {
    case "crash":
      crashFor(cluster, cluster.member(fault.member), fault);
      break;
    case "pause":
      pause(cluster, cluster.member(fault.member), cluster.nowMs + fault.forMs);
      break;
    case "slow":
      slowDown(cluster, cluster.member(fault.member), fault);
      break;
    case "clock":
      cluster.member(fault.member).clockOffsetMs = fault.offsetMs;
      break;
    case "partition":
      partition(cluster, new Set(fault.members), cluster.nowMs + fault.forMs);
      break;
    case "one-way":
      for (const to of fault.to) cut(cluster, fault.member, to, cluster.nowMs + fault.forMs);
      break;
    case "broken-link":
      breakLink(cluster, cluster.member(fault.member), cluster.member(fault.peer));
      break;
    case "sync":
      syncs.begin(cluster, cluster.member(fault.member), cluster.member(fault.peer));
      break;
    default:
      fault satisfies never;
  }
}

function crashFor(cluster: Cluster, member: SimMember, fault: { downMs: number; losesDisk: boolean }): void {
  if (!member.isUp) return;
  const backAtMs = cluster.nowMs + fault.downMs;
  member.touch(cluster.nowMs, backAtMs + RECOVERY_MS);
  crash(cluster, member, fault.losesDisk);
  cluster.at(backAtMs, () => restart(cluster, member));
}

function pause(cluster: Cluster, member: SimMember, untilMs: number): void {
  if (!member.isUp || member.pausedUntilMs > cluster.nowMs) return;
  member.touch(cluster.nowMs, untilMs + RECOVERY_MS);
  member.pausedUntilMs = untilMs;
  if (untilMs - cluster.nowMs < SILENCE_MS_MAX) return;
  for (const peer of member.neighbours) fallSilent(cluster, member, cluster.member(peer), untilMs);
  cluster.at(untilMs, () => dialNeighbours(cluster, member));
}

function slowDown(cluster: Cluster, member: SimMember, fault: { forMs: number; eventMs: number }): void {
  const untilMs = cluster.nowMs + fault.forMs;
  member.touch(cluster.nowMs, untilMs + RECOVERY_MS);
  member.slowMs = fault.eventMs;
  cluster.at(untilMs, () => {
    member.slowMs = 0;
  });
}

function partition(cluster: Cluster, inside: ReadonlySet<number>, untilMs: number): void {
  for (const member of inside) {
    for (const { index } of cluster.members) {
      if (inside.has(index)) continue;
      cut(cluster, member, index, untilMs);
      cluster.network.cut(index, member, untilMs);
    }
  }
}

function cut(cluster: Cluster, from: number, to: number, untilMs: number): void {
  if (from === to) return;
  const [left, right] = [cluster.member(from), cluster.member(to)];
  for (const member of [left, right]) member.touch(cluster.nowMs, untilMs + RECOVERY_MS);
  cluster.network.cut(from, to, untilMs);
  fallSilent(cluster, left, right, untilMs);
  cluster.at(untilMs, () => {
    if (cluster.network.link(from, to) === 0 || cluster.network.link(to, from) === 0)
      dialSoon(cluster, left, right);
  });
}

/** All up, nothing lost from here on, everyone dials. */
export function heal(cluster: Cluster): void {
  cluster.trace(() => "HEAL");
  cluster.network.rates = PERFECT;
  cluster.network.mend();
  for (const member of cluster.members) {
    member.slowMs = 0;
    if (!member.isUp) restart(cluster, member);
  }
  for (const member of cluster.members) dialNeighbours(cluster, member);
}

/** All are up, announced and connected to all whom they should be. */
export function isWhole(cluster: Cluster): boolean {
  return cluster.members.every(
    ({ index, isUp, isAnnounced, neighbours }) =>
      isUp && isAnnounced && neighbours.every((peer) => cluster.network.link(index, peer) !== 0),
  );
}
