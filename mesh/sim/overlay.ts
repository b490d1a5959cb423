// Overlay: one member's gossipsub, as a pure machine on one topic. It stands in for the real router with the figures that
// io/libp2p.ts and io/gossip.ts leave it: flood publish by the origin, forwarding over the mesh with every message once (by who
// has it from its origin: core/hand-on-delay.ts), IHAVE and IWANT from the message cache at each heartbeat, graft and prune.
// overlay-compliance.test.ts runs the same cases on both.
// Left out: scores (weights are 0 there), fanout (all are subscribed), peer exchange (off), IDONTWANT, flood protection.

import { handOnDelayMs } from "../core/hand-on-delay.ts";

/** As io/libp2p.ts has them. */
const MESH_TARGET = 4;
const MESH_LOW = 3;
const MESH_HIGH = 6;
const MESH_OUTBOUND_MIN = 1;
/** gossipsub v1.1's defaults, which io/libp2p.ts keeps. */
export const GOSSIP_HEARTBEAT_MS = 1_000;
const LAZY_PEERS_MIN = 2;
const LAZY_FACTOR = 0.05;
const CACHE_HEARTBEATS = 5;
const ADVERTISED_HEARTBEATS = 3;
const SEEN_HEARTBEATS = 120;
const PRUNE_BACKOFF_HEARTBEATS = 60;
/** Answers to one peer for one message. */
const RETRANSMISSIONS_MAX = 3;

/** A message on its way; the same object at every member. */
export interface Gossiped<Payload> {
  readonly id: number;
  readonly payload: Payload;
  readonly bytes: number;
}

export type OverlayRpc<Payload> =
  /** `hops` links from the origin. */
  | { readonly kind: "message"; readonly message: Gossiped<Payload>; readonly hops: number }
  | { readonly kind: "ihave" | "iwant"; readonly ids: readonly number[] }
  | { readonly kind: "subscribe" | "graft" | "prune" };

export interface OverlayDeps<Payload> {
  readonly send: (to: number, rpc: OverlayRpc<Payload>) => void;
  /** Once for each message that is new here. */
  readonly deliver: (message: Gossiped<Payload>, from: number, hops: number) => void;
  readonly onDuplicate: () => void;
  /** Everybody could be connected to everybody. */
  readonly isFull: boolean;
  /** Calls it then, if the member still runs. */
  readonly later: (delayMs: number, run: () => void) => void;
  /** In [0, 1). */
  readonly random: () => number;
}

interface Cached<Payload> {
  readonly message: Gossiped<Payload>;
  readonly hops: number;
  readonly asked: Map<number, number>;
  /** Peers that sent it. */
  readonly senders: Set<number>;
}

export class Overlay<Payload> {
  readonly #deps: OverlayDeps<Payload>;
  /** Connected peers, and whether we dialed them. */
  readonly #connected = new Map<number, boolean>();
  /** Of those, who told us that they subscribe. */
  readonly #subscribed = new Set<number>();
  readonly #mesh = new Set<number>();
  /** Until which heartbeat a peer that was pruned is not grafted. */
  readonly #backoffs = new Map<number, number>();
  /** By message id, the heartbeat at which it came. */
  readonly #seen = new Map<number, number>();
  readonly #cache = new Map<number, Cached<Payload>>();
  #windows: number[][] = Array.from({ length: CACHE_HEARTBEATS }, () => []);
  #heartbeats = 0;

  constructor(deps: OverlayDeps<Payload>) {
    this.#deps = deps;
  }

  get mesh(): ReadonlySet<number> {
    return this.#mesh;
  }

  connected(peer: number, isOutbound: boolean): void {
    this.#connected.set(peer, isOutbound);
    this.#deps.send(peer, { kind: "subscribe" });
  }

  disconnected(peer: number): void {
    this.#connected.delete(peer);
    this.#subscribed.delete(peer);
    this.#mesh.delete(peer);
  }

  /** To every connected peer that subscribes. A message that is known goes nowhere. */
  publish(message: Gossiped<Payload>): void {
    if (this.#seen.has(message.id)) return;
    this.#remember(message, 0);
    for (const peer of this.#subscribed) this.#deps.send(peer, { kind: "message", message, hops: 1 });
  }

  receive(from: number, rpc: OverlayRpc<Payload>): void {
    if (!this.#connected.has(from)) return;
    switch (rpc.kind) {
      case "message":
        this.#take(from, rpc.message, rpc.hops);
        break;
      case "ihave":
        this.#ask(from, rpc.ids);
        break;
      case "iwant":
        this.#answer(from, rpc.ids);
        break;
      case "subscribe":
        this.#subscribe(from);
        break;
      case "graft":
        this.#graft(from);
        break;
      case "prune":
        this.#mesh.delete(from);
        this.#backOff(from);
        break;
      default:
        rpc satisfies never;
    }
  }

  heartbeat(): void {
    this.#heartbeats += 1;
    this.#forget();
    const others = this.#shuffle([...this.#subscribed].filter((peer) => !this.#mesh.has(peer)));
    const candidates = others.filter((peer) => !this.#backoffs.has(peer));
    if (this.#mesh.size < MESH_LOW) this.#graftAll(candidates.splice(0, MESH_TARGET - this.#mesh.size));
    if (this.#mesh.size > MESH_HIGH) this.#pruneExcess();
    if (this.#mesh.size >= MESH_LOW) this.#graftOutbound(candidates);
    this.#advertise(others.filter((peer) => !this.#mesh.has(peer)));
    this.#windows = [[], ...this.#windows.slice(0, -1)];
  }

  #take(from: number, message: Gossiped<Payload>, hops: number): void {
    const cached = this.#cache.get(message.id);
    cached?.senders.add(from);
    if (this.#seen.has(message.id)) {
      this.#deps.onDuplicate();
      return;
    }
    const { senders } = this.#remember(message, hops);
    senders.add(from);
    this.#deps.deliver(message, from, hops);
    const { later, random, isFull } = this.#deps;
    if (hops > 1) {
      this.#handOn(message, hops, senders);
      return;
    }
    const delayMs = handOnDelayMs(isFull, random);
    if (delayMs !== undefined) later(delayMs, () => this.#handOn(message, hops, senders));
  }

  #handOn(message: Gossiped<Payload>, hops: number, senders: ReadonlySet<number>): void {
    for (const peer of this.#mesh) {
      if (!senders.has(peer)) this.#deps.send(peer, { kind: "message", message, hops: hops + 1 });
    }
  }

  #remember(message: Gossiped<Payload>, hops: number): Cached<Payload> {
    const cached = { message, hops, asked: new Map(), senders: new Set<number>() };
    this.#seen.set(message.id, this.#heartbeats);
    this.#cache.set(message.id, cached);
    this.#windows[0]?.push(message.id);
    return cached;
  }

  #ask(from: number, ids: readonly number[]): void {
    const missing = ids.filter((id) => !this.#seen.has(id));
    if (missing.length > 0) this.#deps.send(from, { kind: "iwant", ids: missing });
  }

  #answer(to: number, ids: readonly number[]): void {
    for (const id of ids) {
      const cached = this.#cache.get(id);
      const asked = (cached?.asked.get(to) ?? 0) + 1;
      if (cached === undefined || asked > RETRANSMISSIONS_MAX) continue;
      cached.asked.set(to, asked);
      this.#deps.send(to, { kind: "message", message: cached.message, hops: cached.hops + 1 });
    }
  }

  /** A mesh that is short of members is filled at once, without waiting for the heartbeat. */
  #subscribe(from: number): void {
    this.#subscribed.add(from);
    if (this.#mesh.size < MESH_LOW && !this.#backoffs.has(from)) this.#graftAll([from]);
  }

  #graft(from: number): void {
    if (this.#mesh.has(from)) return;
    const isFull = this.#mesh.size >= MESH_HIGH && this.#connected.get(from) !== true;
    if (isFull || this.#backoffs.has(from)) this.#prune(from);
    else this.#mesh.add(from);
  }

  #graftAll(peers: readonly number[]): void {
    for (const peer of peers) {
      if (this.#mesh.has(peer)) continue;
      this.#mesh.add(peer);
      this.#deps.send(peer, { kind: "graft" });
    }
  }

  #prune(peer: number): void {
    this.#mesh.delete(peer);
    this.#backOff(peer);
    this.#deps.send(peer, { kind: "prune" });
  }

  #backOff(peer: number): void {
    this.#backoffs.set(peer, this.#heartbeats + PRUNE_BACKOFF_HEARTBEATS);
  }

  /** Down to the target, keeping a few that we dialed, if there are. */
  #pruneExcess(): void {
    const shuffled = this.#shuffle([...this.#mesh]);
    const dialed = shuffled.filter((peer) => this.#connected.get(peer)).slice(0, MESH_OUTBOUND_MIN);
    const ranked = [...new Set([...dialed, ...shuffled])];
    for (const peer of ranked.slice(MESH_TARGET)) this.#prune(peer);
  }

  /** So that others cannot choose all of our mesh. */
  #graftOutbound(candidates: readonly number[]): void {
    const dialed = [...this.#mesh].filter((peer) => this.#connected.get(peer)).length;
    if (dialed >= MESH_OUTBOUND_MIN) return;
    const outbound = candidates.filter((peer) => this.#connected.get(peer));
    this.#graftAll(outbound.slice(0, MESH_OUTBOUND_MIN - dialed));
  }

  #advertise(others: readonly number[]): void {
    const ids = this.#windows
      .slice(0, ADVERTISED_HEARTBEATS)
      .flat()
      .filter((id) => this.#cache.has(id));
    if (ids.length === 0) return;
    const count = Math.floor(Math.max(LAZY_PEERS_MIN, LAZY_FACTOR * others.length));
    for (const peer of others.slice(0, count)) this.#deps.send(peer, { kind: "ihave", ids });
  }

  #forget(): void {
    for (const id of this.#windows.at(-1) ?? []) this.#cache.delete(id);
    for (const [id, at] of this.#seen) {
      if (this.#heartbeats - at < SEEN_HEARTBEATS) break;
      this.#seen.delete(id);
    }
    for (const [peer, until] of this.#backoffs) if (until <= this.#heartbeats) this.#backoffs.delete(peer);
  }

  #shuffle(peers: number[]): number[] {
    for (let last = peers.length - 1; last > 0; last -= 1) {
      const other = Math.floor(this.#deps.random() * (last + 1));
      [peers[last], peers[other]] = [peers[other] as number, peers[last] as number];
    }
    return peers;
  }
}
