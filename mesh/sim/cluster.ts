// Cluster: the real replica of every member in virtual time. One queue, all chance from one seed. What the replica wants
// done is done here: frames and gossip through the network, timers through the queue, incarnations on a disk.

import type { Effect, ReplicaInput } from "../core/effect.ts";
import type { OwnerId } from "../core/ids.ts";
import type { GossipMessage, ReplicaMessage } from "../core/message.ts";
import type { EntryChange } from "../mesh.ts";
import type { BreakName } from "./breaks.ts";
import { fallSilent, SILENCE_MS_MAX } from "./connections.ts";
import { EventQueue } from "./event-queue.ts";
import { Network, type NetworkRates } from "./network.ts";
import type { Gossiped, OverlayRpc } from "./overlay.ts";
import { rpcBytes } from "./overlay-bytes.ts";
import {
  describeMessage,
  freezeMessage,
  gossipDelta,
  gossipId,
  messageBytes,
  roundOf,
  tampered,
  throughCodec,
} from "./replica-messages.ts";
import { seededRandom } from "./seeded-random.ts";
import { SimMember } from "./sim-member.ts";

/** An fsync on a busy disk. */
const DISK_WRITE_MS = 5;
/** Length, Yamux and Noise around a frame. */
const FRAME_HEAD_BYTES = 34;

export interface ClusterOptions {
  readonly seed: number;
  readonly size: number;
  readonly rates: NetworkRates;
  /** Messages are encoded and decoded on their way; else they are passed as they are, frozen. */
  readonly usesCodec: boolean;
  readonly tombstoneGraceMs: number;
  readonly broken: BreakName | undefined;
}

/** By which way a change came; `hops`: links from the origin, for pushes. */
export interface Cause {
  readonly path: "own" | "push" | "pull" | "anti-entropy";
  readonly hops: number;
}

export interface ClusterEvents {
  onChanged(member: SimMember, change: EntryChange, cause: Cause): void;
  /** It found that another process runs with its key. */
  onTwin(member: SimMember): void;
  onSyncEnded(member: SimMember, id: number, isReached: boolean): void;
  onDuplicate(): void;
  /** One readable line an event; undefined: nobody reads them. */
  readonly trace: ((atMs: number, line: string) => void) | undefined;
}

interface SimEvent {
  /** Whose process it happens to: it waits while that is stopped, and is void after its death. Undefined: the world. */
  readonly member: SimMember | undefined;
  readonly life: number;
  readonly run: () => void;
}

export class Cluster {
  readonly members: readonly SimMember[];
  readonly network: Network;
  readonly tombstoneGraceMs: number;
  readonly broken: BreakName | undefined;
  readonly random: () => number;
  /** Of all replicas, by counter. */
  readonly counts: Map<string, number> = new Map();
  readonly events: ClusterEvents;
  readonly #usesCodec: boolean;
  readonly #byOwner = new Map<OwnerId, SimMember>();
  readonly #queue = new EventQueue<SimEvent>();
  readonly #gossipIds = new Map<string, number>();
  #cause: Cause = OWN;
  nowMs: number = 0;
  eventCount: number = 0;

  constructor(
    { seed, size, rates, usesCodec, tombstoneGraceMs, broken }: ClusterOptions,
    events: ClusterEvents,
  ) {
    this.random = seededRandom(seed);
    this.network = new Network({ size, rates, random: this.random });
    this.members = Array.from({ length: size }, (_, index) => new SimMember(index));
    for (const member of this.members) this.#byOwner.set(member.owner, member);
    this.events = events;
    this.tombstoneGraceMs = tombstoneGraceMs;
    this.broken = broken;
    this.#usesCodec = usesCodec;
  }

  member(index: number): SimMember {
    const member = this.members[index];
    if (member === undefined) throw new Error(`bug: no member ${index}`);
    return member;
  }

  memberOf(owner: OwnerId): SimMember {
    const member = this.#byOwner.get(owner);
    if (member === undefined) throw new Error(`bug: no member ${owner}`);
    return member;
  }

  trace(line: () => string): void {
    this.events.trace?.(this.nowMs, line());
  }

  /** An event of the world; it happens whoever is stopped. */
  at(atMs: number, run: () => void): void {
    this.#queue.push(atMs, { member: undefined, life: 0, run });
  }

  /** An event of one member's process in its present life. */
  atMember(member: SimMember, atMs: number, run: () => void): void {
    this.#queue.push(atMs, { member, life: member.life, run });
  }

  runUntil(untilMs: number): void {
    while (this.#queue.nextAtMs <= untilMs) {
      this.nowMs = this.#queue.nextAtMs;
      const event = this.#queue.pop();
      if (event !== undefined) this.#happen(event);
    }
    this.nowMs = untilMs;
  }

  step(member: SimMember, input: ReplicaInput, cause: Cause = OWN): void {
    const effects = member.replica?.step(input, this.nowMs) ?? [];
    const before = this.#cause;
    this.#cause = cause;
    for (const effect of effects) this.#perform(member, effect);
    this.#cause = before;
  }

  /** Of the overlay: lossy, but what maintains the mesh is sent until it arrives, as it is over TCP. */
  sendRpc(from: SimMember, to: number, rpc: OverlayRpc<GossipMessage>): void {
    const link = this.network.link(from.index, to);
    if (link === 0) return;
    const bytes = rpcBytes(rpc);
    from.bytesSent += bytes;
    if (this.broken === "gossip" && rpc.kind === "message") return;
    const isReliable = rpc.kind === "subscribe" || rpc.kind === "graft" || rpc.kind === "prune";
    const atMs = isReliable
      ? this.#frameAtMs(from, this.member(to), bytes)
      : this.network.gossipAtMs(from.index, to, this.nowMs);
    if (atMs === undefined) return;
    this.#arrive(from, this.member(to), link, atMs, () => this.member(to).overlay?.receive(from.index, rpc));
    if (isReliable || !this.network.isDoubled()) return;
    const againAtMs = atMs + this.network.delayMs(from.index, to);
    this.#arrive(from, this.member(to), link, againAtMs, () =>
      this.member(to).overlay?.receive(from.index, rpc),
    );
  }

  /** The overlay hands a message to the replica. */
  receiveGossip(
    member: SimMember,
    { payload, id }: Gossiped<GossipMessage>,
    from: number,
    hops: number,
  ): void {
    const sender = this.member(from);
    this.trace(
      () => `${member.name} <- ${sender.name} gossip #${id} hops=${hops} ${describeMessage(payload)}`,
    );
    const input = { kind: "gossip", from: sender.owner, delta: gossipDelta(payload) } as const;
    this.step(member, input, { path: "push", hops });
  }

  #happen({ member, life, run }: SimEvent): void {
    if (member !== undefined) {
      if (member.life !== life) return;
      const freeAtMs = Math.max(member.pausedUntilMs, member.busyUntilMs);
      if (freeAtMs > this.nowMs) {
        // Behind all that waits already: its sequence is the newest.
        this.#queue.push(freeAtMs, { member, life, run });
        return;
      }
      if (member.slowMs > 0) member.busyUntilMs = this.nowMs + member.slowMs;
    }
    this.eventCount += 1;
    run();
  }

  #perform(member: SimMember, effect: Effect): void {
    switch (effect.kind) {
      case "publish":
        this.#publish(member, effect.message);
        break;
      case "send":
        this.#send(member, this.memberOf(effect.to), effect.message);
        break;
      case "schedule":
        this.#schedule(member, { kind: "timer", token: effect.token }, effect.delayMs);
        break;
      case "changed":
        this.events.onChanged(member, effect.change, effect.change.path === "own" ? OWN : this.#cause);
        break;
      case "persist-incarnation":
        this.#persist(member, effect.incarnation);
        break;
      case "count":
        this.counts.set(effect.counter, (this.counts.get(effect.counter) ?? 0) + effect.by);
        if (effect.counter.startsWith("refused-")) member.refusals += effect.by;
        break;
      case "twin":
        this.events.onTwin(member);
        break;
      // Nobody is, in these runs: virtual-cluster.ts has that.
      case "forgotten":
        break;
      case "sync-ended":
        this.events.onSyncEnded(member, effect.id, effect.isReached);
        break;
      default:
        effect satisfies never;
    }
  }

  #schedule(member: SimMember, input: ReplicaInput, delayMs: number): void {
    this.atMember(member, this.nowMs + delayMs, () => this.step(member, input));
  }

  #publish(member: SimMember, message: GossipMessage): void {
    const name = gossipId(message);
    const id = this.#gossipIds.get(name) ?? this.#gossipIds.size + 1;
    this.#gossipIds.set(name, id);
    this.trace(() => `${member.name} publishes #${id} ${describeMessage(message)}`);
    // The same bytes to all, so decoded once: nobody changes what it is told.
    const payload = freezeMessage(this.#usesCodec ? throughCodec(message) : message);
    member.overlay?.publish({ id, payload, bytes: messageBytes(message) });
  }

  #send(from: SimMember, to: SimMember, message: ReplicaMessage): void {
    const link = this.network.link(from.index, to.index);
    if (link === 0) return;
    if (message.kind === "pull") from.pulls.add(roundOf(message));
    if (this.network.isOverflowed()) {
      this.#schedule(from, { kind: "peer-overflowed", peer: to.owner }, 0);
      return;
    }
    const bytes = messageBytes(message) + FRAME_HEAD_BYTES;
    from.bytesSent += bytes;
    // What nobody checks is not for this break to show.
    const isTampered = this.network.isTampered() && this.broken !== "tombstone-grace";
    const sent = (isTampered ? tampered(message, from.owner) : undefined) ?? message;
    const passed = this.#usesCodec ? throughCodec(sent) : freezeMessage(sent);
    const atMs = this.#frameAtMs(from, to, bytes);
    this.#arrive(from, to, link, atMs, () => this.#receive(from, to, passed));
  }

  #receive(from: SimMember, to: SimMember, message: ReplicaMessage): void {
    this.trace(() => `${to.name} <- ${from.name} ${describeMessage(message)}`);
    const isPulled = message.kind === "delta" && to.pulls.delete(roundOf(message));
    const cause: Cause = { path: isPulled ? "pull" : "anti-entropy", hops: 0 };
    this.step(to, { kind: "message", from: from.owner, message }, cause);
  }

  /** A frame that is lost again and again holds up all behind it: so long that nothing is heard over the link, it is given up. */
  #frameAtMs(from: SimMember, to: SimMember, bytes: number): number {
    const atMs = this.network.frameAtMs(from.index, to.index, this.nowMs, bytes);
    if (atMs - this.nowMs >= SILENCE_MS_MAX) fallSilent(this, from, to, atMs);
    return atMs;
  }

  /** If it is still the same link then. */
  #arrive(from: SimMember, to: SimMember, link: number, atMs: number, receive: () => void): void {
    this.atMember(to, atMs, () => {
      if (this.network.link(to.index, from.index) === link) receive();
    });
  }

  #persist(member: SimMember, incarnation: number): void {
    if (this.broken === "raise") return;
    const startId = this.newStartId();
    this.atMember(member, this.nowMs + DISK_WRITE_MS, () => {
      member.incarnationOnDisk = Math.max(member.incarnationOnDisk, incarnation);
      this.trace(() => `${member.name} raises its incarnation to ${incarnation}`);
      this.step(member, { kind: "incarnation-persisted", incarnation, startId });
    });
  }

  /** As the real shell's: random, 48 bits. */
  newStartId(): number {
    return this.broken === "start-id" ? 1 : 1 + Math.floor(this.random() * (2 ** 48 - 2));
  }
}

const OWN: Cause = { path: "own", hops: 0 };
