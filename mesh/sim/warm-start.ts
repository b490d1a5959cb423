// Warm start: a cluster that has been running. All are connected, the overlay has its mesh, and everyone holds everyone's
// entries, before the first event that is measured. To join a thousand members is another question.

import type { Effect } from "../core/effect.ts";
import type { GossipMessage } from "../core/message.ts";
import type { Cluster } from "./cluster.ts";
import { startProcess } from "./lives.ts";
import { emptyAnswer, gossipDelta } from "./replica-messages.ts";
import type { SimMember } from "./sim-member.ts";
import { neighbours } from "./topology.ts";

/** Until the overlay's mesh has been grafted and pruned. */
const OVERLAY_SETTLES_MS = 3_000;

export interface WarmStartOptions {
  readonly degreeMax: number;
  readonly random: () => number;
  /** What each member has written by then. */
  readonly entriesOf: (member: SimMember) => Iterable<readonly [string, Uint8Array]>;
}

export function warmStart(cluster: Cluster, { degreeMax, random, entriesOf }: WarmStartOptions): void {
  const lists = neighbours(cluster.members.length, degreeMax, random);
  for (const member of cluster.members) {
    member.neighbours = lists[member.index] ?? [];
    startProcess(cluster, member);
  }
  for (const left of cluster.members) {
    for (const right of left.neighbours)
      if (right < left.index) openQuietly(cluster, left, cluster.member(right));
  }
  cluster.runUntil(cluster.nowMs + OVERLAY_SETTLES_MS);
  for (const left of cluster.members) {
    for (const right of left.neighbours) introduce(cluster, left, cluster.member(right));
  }
  const messages = cluster.members.flatMap((member) => publishAll(cluster, member, entriesOf(member)));
  for (const member of cluster.members) {
    for (const [owner, message] of messages) {
      const input = { kind: "gossip", from: owner.owner, delta: gossipDelta(message) } as const;
      if (owner !== member) cluster.step(member, input);
    }
    cluster.step(member, { kind: "begin" });
    member.bytesSent = 0;
  }
}

function openQuietly(cluster: Cluster, left: SimMember, right: SimMember): void {
  cluster.network.open(left.index, right.index);
  left.overlay?.connected(right.index, true);
  right.overlay?.connected(left.index, false);
}

/** The replica learns of a peer while neither holds anything: their exchange is empty. */
function introduce(cluster: Cluster, member: SimMember, peer: SimMember): void {
  for (const effect of stepAside(cluster, member, { kind: "peer-connected", peer: peer.owner })) {
    if (effect.kind !== "send") continue;
    const answer = emptyAnswer(effect.message);
    stepAside(cluster, member, { kind: "message", from: peer.owner, message: answer });
  }
}

/** Writes and announces; returns what it would gossip. */
function publishAll(
  cluster: Cluster,
  member: SimMember,
  entries: Iterable<readonly [string, Uint8Array]>,
): readonly (readonly [SimMember, GossipMessage])[] {
  for (const [key, value] of entries) {
    member.wanted.set(key, value);
    cluster.step(member, { kind: "write", key, value });
  }
  member.isAnnounced = true;
  const effects = stepAside(cluster, member, { kind: "announce" });
  return effects.flatMap((effect) => (effect.kind === "publish" ? [[member, effect.message] as const] : []));
}

/** A step whose effects are not performed. */
function stepAside(
  cluster: Cluster,
  member: SimMember,
  input: Parameters<NonNullable<SimMember["replica"]>["step"]>[0],
): readonly Effect[] {
  return member.replica?.step(input, cluster.nowMs) ?? [];
}
