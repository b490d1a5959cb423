// Connections: how links come up and go down, with the times that io/links.ts and io/peers.ts give them: a process that
// dies is noticed when its kernel says so, silence after six pings, and a peer that is back is dialed within 1.5 s.

import { DIAL_TIMEOUT_MS, PING_INTERVAL_MS, PINGS_MISSED_MAX, REDIAL_FIRST_MS } from "../limits.ts";
import type { Cluster } from "./cluster.ts";
import { JITTER_RATE } from "./network.ts";
import { ONE_WAY_MAX_MS } from "./regions.ts";
import type { SimMember } from "./sim-member.ts";

/** TCP, Noise, Yamux, hello: until the standing stream is open. */
const HANDSHAKE_ROUND_TRIPS = 3;
/** A link that hears nothing goes down between this and one ping interval later. */
const SILENCE_MS = PING_INTERVAL_MS * PINGS_MISSED_MAX;
/** Silence from here on can take links down: shorter pauses and cuts do not. */
export const SILENCE_MS_MAX: number = SILENCE_MS + PING_INTERVAL_MS;
/** After the last fault: a link that was silent then was given up by now, dialed, and is up again. */
export const LINKS_BACK_MS: number =
  SILENCE_MS_MAX + DIAL_TIMEOUT_MS + HANDSHAKE_ROUND_TRIPS * 2 * ONE_WAY_MAX_MS * (1 + JITTER_RATE);

/** Both ends at once. `right` is the one that is dialed. */
function connect(cluster: Cluster, left: SimMember, right: SimMember): void {
  if (left.replica === undefined || right.replica === undefined) return;
  if (isLinked(cluster, left, right)) return;
  // One that did not hear yet that the last connection is gone: the new one tells it.
  closeEnd(cluster, left, right);
  closeEnd(cluster, right, left);
  cluster.network.open(left.index, right.index);
  cluster.trace(() => `link ${left.name} - ${right.name} is up`);
  for (const [member, peer] of [
    [left, right],
    [right, left],
  ] as const) {
    member.overlay?.connected(peer.index, member === left);
    cluster.step(member, { kind: "peer-connected", peer: peer.owner });
  }
}

/** `member` finds that its link to `peer` is gone. */
function closeEnd(cluster: Cluster, member: SimMember, peer: SimMember): void {
  if (cluster.network.link(member.index, peer.index) === 0) return;
  cluster.network.close(member.index, peer.index);
  if (member.replica === undefined) return;
  cluster.trace(() => `${member.name} lost its link to ${peer.name}`);
  member.overlay?.disconnected(peer.index);
  cluster.step(member, { kind: "peer-disconnected", peer: peer.owner });
}

/** `member` learns at `atMs` that this very link is gone; a later one stays. */
function closeEndAt(cluster: Cluster, member: SimMember, peer: SimMember, atMs: number): void {
  const link = cluster.network.link(member.index, peer.index);
  if (link === 0) return;
  cluster.atMember(member, atMs, () => {
    if (cluster.network.link(member.index, peer.index) !== link) return;
    closeEnd(cluster, member, peer);
    dialSoon(cluster, member, peer);
  });
}

/** A connection breaks: `member` sees it now, its peer when that reaches it. Dialed again. */
export function breakLink(cluster: Cluster, member: SimMember, peer: SimMember): void {
  const { network, nowMs } = cluster;
  if (network.link(member.index, peer.index) === 0) return;
  closeEndAt(cluster, peer, member, network.frameAtMs(member.index, peer.index, nowMs, 0));
  closeEnd(cluster, member, peer);
  dialSoon(cluster, member, peer);
}

/** The process of `member` died: its kernel closes its connections, and what it sent before still comes. */
export function dropLinks(cluster: Cluster, member: SimMember): void {
  const { network, nowMs } = cluster;
  for (const index of member.neighbours) {
    if (network.link(member.index, index) === 0) continue;
    const peer = cluster.member(index);
    network.close(member.index, index);
    closeEndAt(cluster, peer, member, network.frameAtMs(member.index, index, nowMs, 0));
  }
}

/** Nothing is heard over this link from now until `untilMs`: both ends give it up, if that is long enough. */
export function fallSilent(cluster: Cluster, left: SimMember, right: SimMember, untilMs: number): void {
  const atMs = cluster.nowMs + SILENCE_MS + cluster.random() * PING_INTERVAL_MS;
  if (atMs >= untilMs) return;
  closeEndAt(cluster, left, right, atMs);
  closeEndAt(cluster, right, left, atMs);
}

/** The redial loop of a pair that could be connected from now on. */
export function dialSoon(cluster: Cluster, left: SimMember, right: SimMember): void {
  const { network, random } = cluster;
  const waitMs = REDIAL_FIRST_MS + random() * (DIAL_TIMEOUT_MS - REDIAL_FIRST_MS);
  const roundTripMs = network.delayMs(left.index, right.index) + network.delayMs(right.index, left.index);
  cluster.at(cluster.nowMs + waitMs + HANDSHAKE_ROUND_TRIPS * roundTripMs, () => {
    const { nowMs } = cluster;
    const isCut =
      network.isCut(left.index, right.index, nowMs) || network.isCut(right.index, left.index, nowMs);
    const isStopped = Math.max(left.pausedUntilMs, right.pausedUntilMs) > nowMs;
    // Who starts again dials, and is dialed.
    if (!left.isUp || !right.isUp || isLinked(cluster, left, right)) return;
    if (isCut || isStopped) dialSoon(cluster, left, right);
    else connect(cluster, left, right);
  });
}

function isLinked({ network }: Cluster, { index: left }: SimMember, { index: right }: SimMember): boolean {
  return network.link(left, right) !== 0 && network.link(right, left) !== 0;
}

/** Dials all whom `member` should be connected to and is not. */
export function dialNeighbours(cluster: Cluster, member: SimMember): void {
  for (const index of member.neighbours) {
    const peer = cluster.member(index);
    if (!isLinked(cluster, member, peer)) dialSoon(cluster, member, peer);
  }
}
