// VirtualCluster: the real replica of every member in virtual time. One queue, ties broken by sequence, all chance from one
// seed. Frames are TCP: in order and whole while a link is up, gone with it. Gossip is lost, doubled and overtaken.

import { answerDigest } from "../core/delta.ts";
import type { Effect, ReplicaInput } from "../core/effect.ts";
import { encodeForget, type ForgetWord, forgetKey } from "../core/forget-entry.ts";
import { memberName, type OwnerId, ownerId } from "../core/ids.ts";
import type { HostDelta, Message } from "../core/message.ts";
import { Replica } from "../core/replica.ts";
import { compareVersions, type Version } from "../core/version.ts";
import type { EntryChange } from "../mesh.ts";
import { throughCodec } from "./replica-messages.ts";
import { seededRandom } from "./seeded-random.ts";
import { standInCrypto } from "./stand-in-crypto.ts";

export interface VirtualClusterOptions {
  readonly seed: number;
  readonly size: number;
  /** Of gossip messages, for each receiver. */
  readonly lossRate: number;
  readonly duplicationRate: number;
  /** Of frames: the sender's queue is full. */
  readonly overflowRate: number;
  readonly delayMsMax: number;
  /** A start reads what its member held at its end. Default false. */
  readonly hasSnapshots?: boolean;
}

/** What both sides held when a sync began. */
interface PendingSync {
  readonly target: VirtualMember;
  readonly targetLife: number;
  readonly ours: ReadonlyMap<OwnerId, Version>;
  readonly theirs: ReadonlyMap<OwnerId, Version>;
}

interface QueuedEvent {
  readonly atMs: number;
  readonly sequence: number;
  readonly run: () => void;
}

/** Written by every member as the last before it announces: observers must never miss it (`no-empty-table`). */
export const KEPT_KEY = "kept";

/** Time between a start and its announcement. */
const ANNOUNCE_MS_MAX = 400;

export class VirtualMember {
  readonly owner: OwnerId;
  /** Undefined while it is down. */
  replica: Replica | undefined;
  /** What its next start must be above; lost with its disk. */
  incarnationOnDisk: number = 0;
  /** What it wants to be true of its own entries; it survives a restart, as a VM does. */
  readonly wanted: Map<string, Uint8Array> = new Map();
  /** What else its disk holds; lost with it. Whole states, if the cluster has snapshots. */
  words: Map<OwnerId, ForgetWord> = new Map();
  snapshot: readonly HostDelta[] = [];
  /** It never comes back by itself. */
  isGone: boolean = false;
  /** Grows with each start, so that what was addressed to an earlier one is late. */
  life: number = 0;
  readonly counts: Map<string, number> = new Map();

  constructor(owner: OwnerId) {
    this.owner = owner;
  }
}

export class VirtualCluster {
  readonly members: readonly VirtualMember[];
  readonly random: () => number;
  readonly violations: string[] = [];
  readonly #delayMsMax: number;
  readonly #hasSnapshots: boolean;
  #lossRate: number;
  #duplicationRate: number;
  #overflowRate: number;
  readonly #queue: QueuedEvent[] = [];
  /** Links that are up, with a number that changes each time: what was sent on an earlier one is lost. */
  readonly #links = new Map<string, number>();
  readonly #frameTimes = new Map<string, number>();
  readonly #seen = new Map<string, Version>();
  readonly #syncs = new Map<string, PendingSync>();
  syncsReached: number = 0;
  #sequence = 0;
  nowMs: number = 0;

  constructor(options: VirtualClusterOptions) {
    this.#delayMsMax = options.delayMsMax;
    this.#hasSnapshots = options.hasSnapshots ?? false;
    this.#lossRate = options.lossRate;
    this.#duplicationRate = options.duplicationRate;
    this.#overflowRate = options.overflowRate;
    this.random = seededRandom(options.seed);
    this.members = Array.from(
      { length: options.size },
      (_, at) => new VirtualMember(ownerId(`member-${at}`)),
    );
    for (const member of this.members) this.start(member);
  }

  /** A start with what survived: it is written in two parts, as an agent finds its VMs, and only then announced. */
  start(member: VirtualMember): void {
    member.life += 1;
    member.incarnationOnDisk += 1;
    const start = { incarnation: member.incarnationOnDisk, startId: Math.floor(this.random() * 2 ** 40) };
    member.replica = new Replica(
      { self: member.owner, start },
      { random: this.random, ...standInCrypto(member.owner) },
    );
    for (const word of member.words.values()) this.step(member, { kind: "forget", word });
    this.step(member, { kind: "restore", deltas: member.snapshot });
    this.step(member, { kind: "begin" });
    for (const [key, value] of member.wanted) {
      if (key !== KEPT_KEY) this.step(member, { kind: "write", key, value });
    }
    const { life } = member;
    this.#at(this.nowMs + this.random() * ANNOUNCE_MS_MAX, () => {
      if (member.life !== life || member.replica === undefined) return;
      this.write(member, KEPT_KEY, member.wanted.get(KEPT_KEY) ?? new Uint8Array([1]));
      this.step(member, { kind: "announce" });
    });
    for (const other of this.members) if (other.replica !== undefined) this.connect(member, other);
  }

  /** Without a word. `losesDisk`: its next start does not know of this one. */
  crash(member: VirtualMember, losesDisk: boolean): void {
    for (const other of this.members) this.disconnect(member, other);
    member.snapshot = this.#hasSnapshots && !losesDisk ? snapshotOf(member) : [];
    member.replica = undefined;
    if (!losesDisk) return;
    member.incarnationOnDisk = 0;
    member.words.clear();
  }

  /** At `member`, as an operator has it: on disk with it, and written again at each start. */
  forget(member: VirtualMember, gone: VirtualMember): void {
    const upTo = member.replica?.store.head(gone.owner);
    if (upTo === undefined) return;
    const value = encodeForget({ upTo, name: memberName("gone") });
    this.write(member, forgetKey(gone.owner), value);
  }

  write(member: VirtualMember, key: string, value: Uint8Array | null): void {
    if (value === null) member.wanted.delete(key);
    else member.wanted.set(key, value);
    this.step(member, { kind: "write", key, value });
  }

  sync(member: VirtualMember, target: VirtualMember): void {
    if (member === target || member.replica === undefined || target.replica === undefined) return;
    this.#sequence += 1;
    const [ours, theirs] = [this.#headsOf(member), this.#headsOf(target)];
    this.#syncs.set(`${member.owner}/${member.life} ${this.#sequence}`, {
      target,
      targetLife: target.life,
      ours,
      theirs,
    });
    this.step(member, { kind: "sync", peer: target.owner, id: this.#sequence });
  }

  connect(left: VirtualMember, right: VirtualMember): void {
    const name = linkName(left, right);
    if (left === right || this.#links.has(name) || !left.replica || !right.replica) return;
    this.#sequence += 1;
    this.#links.set(name, this.#sequence);
    this.step(left, { kind: "peer-connected", peer: right.owner });
    this.step(right, { kind: "peer-connected", peer: left.owner });
  }

  disconnect(left: VirtualMember, right: VirtualMember): void {
    if (!this.#links.delete(linkName(left, right))) return;
    this.step(left, { kind: "peer-disconnected", peer: right.owner });
    this.step(right, { kind: "peer-disconnected", peer: left.owner });
  }

  /** All up, all connected, nothing lost from here on. */
  heal(): void {
    this.#lossRate = 0;
    this.#duplicationRate = 0;
    this.#overflowRate = 0;
    for (const member of this.members) if (member.replica === undefined && !member.isGone) this.start(member);
    for (const left of this.members) for (const right of this.members) this.connect(left, right);
  }

  runFor(durationMs: number): void {
    const untilMs = this.nowMs + durationMs;
    for (let next = this.#queue[0]; next !== undefined && next.atMs <= untilMs; next = this.#queue[0]) {
      this.#queue.shift();
      this.nowMs = next.atMs;
      next.run();
    }
    this.nowMs = untilMs;
  }

  step(member: VirtualMember, input: ReplicaInput): void {
    const effects = member.replica?.step(input, this.nowMs) ?? [];
    for (const effect of effects) this.#perform(member, effect);
  }

  #perform(member: VirtualMember, effect: Effect): void {
    switch (effect.kind) {
      case "publish":
        for (const other of this.members) this.#gossip(member, other, effect.message);
        break;
      case "send":
        this.#frame(member, effect.to, effect.message);
        break;
      case "schedule":
        this.#later(effect.delayMs, member, { kind: "timer", token: effect.token });
        break;
      case "changed":
        this.#check(member, effect.change);
        break;
      case "persist-incarnation":
        this.#persist(member, effect.incarnation);
        break;
      case "forgotten":
        member.words.set(effect.word.owner, effect.word);
        break;
      case "count":
        member.counts.set(effect.counter, (member.counts.get(effect.counter) ?? 0) + effect.by);
        break;
      case "sync-ended":
        if (effect.isReached) this.#checkSync(member, effect.id);
        break;
      case "twin":
        this.violations.push(`twin: ${member.owner} found another`);
        break;
      default:
        effect satisfies never;
    }
  }

  #persist(member: VirtualMember, incarnation: number): void {
    const startId = Math.floor(this.random() * 2 ** 40);
    const { life } = member;
    this.#at(this.nowMs + 1, () => {
      if (member.life !== life) return;
      member.incarnationOnDisk = incarnation;
      this.step(member, { kind: "incarnation-persisted", incarnation, startId });
    });
  }

  #gossip(from: VirtualMember, to: VirtualMember, message: Message): void {
    if (from === to || !this.#links.has(linkName(from, to)) || this.random() < this.#lossRate) return;
    const copies = this.random() < this.#duplicationRate ? 2 : 1;
    const decoded = throughCodec(message);
    if (decoded.kind !== "gossip") return;
    for (let copy = 0; copy < copies; copy += 1) {
      const delayMs = this.random() * this.#delayMsMax;
      this.#later(delayMs, to, { kind: "gossip", from: from.owner, delta: decoded.delta });
    }
  }

  #frame(from: VirtualMember, to: OwnerId, message: Message): void {
    const receiver = this.members.find((member) => member.owner === to);
    const link = receiver && this.#links.get(linkName(from, receiver));
    if (receiver === undefined || link === undefined) return;
    if (this.random() < this.#overflowRate) {
      this.#later(0, from, { kind: "peer-overflowed", peer: to });
      return;
    }
    const decoded = throughCodec(message);
    if (!("round" in decoded)) return;
    const direction = `${from.owner} ${to}`;
    const earliestMs = this.#frameTimes.get(direction) ?? 0;
    const atMs = Math.max(earliestMs, this.nowMs + this.random() * this.#delayMsMax);
    this.#frameTimes.set(direction, atMs);
    this.#at(atMs, () => {
      if (this.#links.get(linkName(from, receiver)) !== link) return;
      this.step(receiver, { kind: "message", from: from.owner, message: decoded });
    });
  }

  /** `single-writer`: at one observer, in one life, an owner's key only moves forward. */
  #check(member: VirtualMember, change: EntryChange): void {
    const name = `${member.owner}/${member.life} ${change.owner} ${change.key}`;
    const before = this.#seen.get(name);
    // Its owner did not delete it.
    if (change.path === "forgotten") return;
    if (before !== undefined && compareVersions(change.version, before) <= 0) {
      this.violations.push(`single-writer: ${name} went back`);
    }
    this.#seen.set(name, change.version);
    if (change.key === KEPT_KEY && change.value === null)
      this.violations.push(`no-empty-table: ${name} vanished`);
  }

  /** What is in force at `member` and declared complete by its owner. */
  #headsOf({ replica }: VirtualMember): ReadonlyMap<OwnerId, Version> {
    const heads = new Map<OwnerId, Version>();
    for (const { owner } of this.members) {
      const state = replica?.store.held(owner).inForce;
      if (state?.isComplete === true) heads.set(owner, state.head);
    }
    return heads;
  }

  /** Both hold what the other held when it began, each of all but itself. */
  #checkSync(member: VirtualMember, id: number): void {
    const sync = this.#syncs.get(`${member.owner}/${member.life} ${id}`);
    if (sync === undefined || sync.target.life !== sync.targetLife) return;
    this.syncsReached += 1;
    const { target, ours, theirs } = sync;
    for (const [holder, wanted] of [
      [member, theirs],
      [target, ours],
    ] as const) {
      const held = this.#headsOf(holder);
      for (const [owner, version] of wanted) {
        const head = held.get(owner);
        const isHeld = head !== undefined && compareVersions(head, version) >= 0;
        if (!isHeld && owner !== holder.owner)
          this.violations.push(
            `sync of ${member.owner} with ${target.owner}: ${holder.owner} lacks ${owner}`,
          );
      }
    }
  }

  #later(delayMs: number, member: VirtualMember, input: ReplicaInput): void {
    const { life } = member;
    this.#at(this.nowMs + delayMs, () => {
      if (member.life === life) this.step(member, input);
    });
  }

  #at(atMs: number, run: () => void): void {
    this.#sequence += 1;
    const event = { atMs, sequence: this.#sequence, run };
    const at = this.#queue.findLastIndex((queued) => queued.atMs <= atMs);
    this.#queue.splice(at + 1, 0, event);
  }
}

function snapshotOf({ replica }: VirtualMember): readonly HostDelta[] {
  if (replica === undefined) return [];
  const request = { asker: ownerId("disk"), items: [], scope: "all", bytesMax: Infinity, turn: 0 } as const;
  return answerDigest(replica.store, request).deltas;
}

function linkName(left: VirtualMember, right: VirtualMember): string {
  return [left.owner, right.owner].sort().join(" ");
}
