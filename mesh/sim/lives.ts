// Lives: how a member's process starts and dies, and what its disk and clock remember.

import { learnsOn } from "../io/learning.ts";
import { LEARN_LOOK_MS, LEARN_MS } from "../limits.ts";
import type { Cluster } from "./cluster.ts";
import { dialNeighbours, dropLinks } from "./connections.ts";
import { newReplica } from "./new-replica.ts";
import { GOSSIP_HEARTBEAT_MS, Overlay } from "./overlay.ts";
import type { SimMember } from "./sim-member.ts";

/** An agent finds its VMs, then announces. */
const ANNOUNCE_MS_MAX = 400;

/** As io/identity.ts does it: above the disk and the clock, on disk before the first publish. */
export function startProcess(cluster: Cluster, member: SimMember): void {
  member.life += 1;
  member.isAnnounced = false;
  member.busyUntilMs = 0;
  member.pulls.clear();
  const clockMs = member.hasNoClock ? 0 : Math.floor(WALL_CLOCK_MS + cluster.nowMs + member.clockOffsetMs);
  member.incarnationOnDisk = Math.max(member.incarnationOnDisk, clockMs, 0) + 1;
  const start = { incarnation: member.incarnationOnDisk, startId: cluster.newStartId() };
  const { random, tombstoneGraceMs, broken } = cluster;
  member.replica = newReplica({ self: member.owner, start, random, tombstoneGraceMs, broken });
  member.overlay = new Overlay({
    send: (to, rpc) => cluster.sendRpc(member, to, rpc),
    deliver: (message, from, hops) => cluster.receiveGossip(member, message, from, hops),
    onDuplicate: () => cluster.events.onDuplicate(),
    isFull: member.neighbours.length === cluster.members.length - 1,
    later: (delayMs, run) => cluster.atMember(member, cluster.nowMs + delayMs, run),
    random,
  });
  cluster.trace(() => `${member.name} starts with incarnation ${start.incarnation}`);
  scheduleHeartbeat(cluster, member, cluster.random() * GOSSIP_HEARTBEAT_MS);
}

/** Virtual time 0 on a wall clock that is right. */
const WALL_CLOCK_MS = Date.UTC(2026, 0, 1);

/**
 * First it writes what it finds, before it knows how that fares; then all as it wants it, says that this is all, and
 * announces. So a start has more writes than keys, and a lost disk can bring a counter above that of the life before.
 */
export function restart(cluster: Cluster, member: SimMember): void {
  if (member.isUp) return;
  const isForgetful = member.incarnationOnDisk === 0;
  startProcess(cluster, member);
  cluster.step(member, { kind: "begin" });
  const found = new Uint8Array([member.life]);
  for (const key of member.wanted.keys()) cluster.step(member, { kind: "write", key, value: found });
  const foundMs = cluster.random() * ANNOUNCE_MS_MAX;
  if (isForgetful) announceOnceLearned(cluster, member, Math.max(LEARN_MS, foundMs));
  else announceAfter(cluster, member, foundMs);
  dialNeighbours(cluster, member);
}

/** As io/learning.ts does it: who forgot its incarnation hears for a while what it wrote before. */
function announceOnceLearned(cluster: Cluster, member: SimMember, waitMs: number, waitedMs = 0): void {
  cluster.atMember(member, cluster.nowMs + waitMs, () => {
    const isOutdone = member.replica?.isOutdone() === true;
    if (learnsOn(waitedMs + waitMs, isOutdone))
      announceOnceLearned(cluster, member, LEARN_LOOK_MS, waitedMs + waitMs);
    else announceAfter(cluster, member, 0);
  });
}

function announceAfter(cluster: Cluster, member: SimMember, delayMs: number): void {
  cluster.atMember(member, cluster.nowMs + delayMs, () => {
    for (const [key, value] of member.wanted) cluster.step(member, { kind: "write", key, value });
    announce(cluster, member);
  });
}

function announce(cluster: Cluster, member: SimMember): void {
  member.isAnnounced = true;
  cluster.step(member, { kind: "announce" });
}

/** Without a word. `losesDisk`: its next start does not know of this one. */
export function crash(cluster: Cluster, member: SimMember, losesDisk: boolean): void {
  if (!member.isUp) return;
  cluster.trace(() => `${member.name} crashes${losesDisk ? " and loses its disk" : ""}`);
  dropLinks(cluster, member);
  member.replica = undefined;
  member.overlay = undefined;
  member.pausedUntilMs = 0;
  if (losesDisk) member.incarnationOnDisk = 0;
}

function scheduleHeartbeat(cluster: Cluster, member: SimMember, delayMs: number): void {
  cluster.atMember(member, cluster.nowMs + delayMs, () => {
    member.overlay?.heartbeat();
    scheduleHeartbeat(cluster, member, GOSSIP_HEARTBEAT_MS);
  });
}
