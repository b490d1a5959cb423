// The liveness simulator's cluster: many failure detectors, the real core, in virtual time. What is modelled: links (some per
// member, as the mesh has), one-way delays, loss, members that are killed, frozen, cut one way, or run a tenth of the time.
// Accusations and objections spread as the mesh's gossip does: some hops, and what is lost is repaired about a second later.

import { type OwnerId, ownerId } from "../../core/ids.ts";
import { Liveness } from "../../core/liveness.ts";
import type {
  Accusation,
  LivenessEffect,
  LivenessInput,
  LivenessMember,
  LivenessState,
} from "../../core/liveness-face.ts";
import { EventQueue } from "../event-queue.ts";
import { oneWayMs } from "../regions.ts";
import { seededRandom } from "../seeded-random.ts";

/** A member that gets a tenth of its CPU, in the worst way: nothing for long, then a little. */
const SLOW_PERIOD_MS = 5_000;
const SLOW_RUN_MS = 500;
/** Of its CPU for each message or timer: about what one costs in a real member on a loaded machine. */
const SLOW_EVENT_MS = 1;
/** TCP's first retransmission; each after that takes twice as long (RFC 6298). */
const RETRANSMIT_FIRST_MS = 200;
const RETRANSMITS_MAX = 6;
/** A frozen member's events are looked at again after this. */
const FROZEN_LOOK_MS = 1_000;
const LAN_MS = 0.5;
const GOSSIP_HOPS_MAX = 3;
const REPAIR_MS = 1_000;

export interface LivenessClusterOptions {
  readonly members: number;
  /** Of each member, at random, both ways. */
  readonly links: number;
  readonly seed: number;
  readonly isLifeguard: boolean;
  readonly place: "lan" | "wan";
  /** Of each packet, 0 to 1. */
  readonly loss: number;
  /** So many of the last members have links that lose more: `lossyLoss`, both ways. */
  readonly lossy: number;
  readonly lossyLoss: number;
}

export interface SimJudgement {
  readonly atMs: number;
  readonly observer: number;
  readonly member: number;
  readonly to: LivenessState;
}

type Mode = "up" | "killed" | "frozen" | "slow" | "cut-in" | "cut-out";

interface Member {
  readonly index: number;
  readonly owner: OwnerId;
  readonly links: Set<number>;
  detector: Liveness;
  life: { incarnation: number; refutation: number };
  mode: Mode;
  /** Which half of a partition it is in. */
  side: number;
  /** What a slow one has not come to yet. As in a real one, what is due by the clock is done before what was received. */
  readonly due: Event[];
  readonly received: Event[];
  isRunning: boolean;
  readonly judgements: Map<number, LivenessState>;
}

type Event =
  | { readonly kind: "input"; readonly to: number; readonly from: number; readonly input: LivenessInput }
  | { readonly kind: "life"; readonly to: number; readonly of: number }
  /** A slow one takes the next thing. */
  | { readonly kind: "run"; readonly to: number };

export class LivenessCluster {
  readonly #options: LivenessClusterOptions;
  readonly #random: () => number;
  readonly #queue = new EventQueue<Event>();
  readonly #members: Member[];
  readonly #indexes = new Map<OwnerId, number>();
  readonly #listeners: ((judgement: SimJudgement) => void)[] = [];
  /** By accuser and accused, the newest: what comes late does not win. */
  readonly #said = new Map<string, Accusation | null>();
  /** When the last message of a stream arrives: TCP keeps the order. By `from * members + to`. */
  readonly #arrivals = new Map<number, number>();
  #nowMs = 0;
  sent = 0;

  constructor(options: LivenessClusterOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.#members = Array.from({ length: options.members }, (_, index) => this.#newMember(index));
    for (const { owner, index } of this.#members) this.#indexes.set(owner, index);
    this.#link();
    for (const member of this.#members) this.#begin(member);
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  onJudgement(listener: (judgement: SimJudgement) => void): void {
    this.#listeners.push(listener);
  }

  /** Members that can be asked: neither killed nor frozen. */
  observers(): readonly number[] {
    return this.#members.filter(({ mode }) => mode === "up").map(({ index }) => index);
  }

  judgement(observer: number, member: number): LivenessState {
    return this.#members[observer]?.judgements.get(member) ?? "alive";
  }

  set(index: number, mode: Mode): void {
    const member = this.#at(index);
    const wasKilled = member.mode === "killed";
    member.mode = mode;
    if (mode === "killed") this.#closeLinks(member);
    if (wasKilled && mode === "up") this.#restart(member);
  }

  /** Each member is on the side that `sideOf` says; between sides nothing passes. */
  part(sideOf: (index: number) => number): void {
    for (const member of this.#members) member.side = sideOf(member.index);
  }

  run(forMs: number): void {
    const endMs = this.#nowMs + forMs;
    while (this.#queue.nextAtMs <= endMs) {
      this.#nowMs = this.#queue.nextAtMs;
      const event = this.#queue.pop();
      if (event !== undefined) this.#deliver(event);
    }
    this.#nowMs = endMs;
  }

  // --- members

  #at(index: number): Member {
    return this.#members[index] as Member;
  }

  #newMember(index: number): Member {
    const owner = ownerId(`member-${index}`);
    const life = { incarnation: 1, refutation: 0 };
    const judgements = new Map<number, LivenessState>();
    const detector = this.#newDetector(owner, life);
    const waiting = { due: [], received: [], isRunning: false };
    return { index, owner, links: new Set(), detector, life, mode: "up", side: 0, ...waiting, judgements };
  }

  #newDetector(self: OwnerId, life: Member["life"]): Liveness {
    const { isLifeguard } = this.#options;
    return new Liveness({ self, life, isLifeguard }, { random: this.#random });
  }

  #link(): void {
    const { members, links } = this.#options;
    for (const member of this.#members) {
      while (member.links.size < Math.min(links, members - 1)) {
        const other = Math.floor(this.#random() * members);
        if (other === member.index) continue;
        member.links.add(other);
        this.#at(other).links.add(member.index);
      }
    }
  }

  #begin(member: Member): void {
    this.#step(member, { kind: "begin" });
    this.#step(member, { kind: "members", members: this.#viewOf(member) });
    for (const other of member.links) {
      const { mode, owner } = this.#at(other);
      if (mode !== "killed") this.#step(member, { kind: "link", peer: owner, isUp: true });
    }
  }

  #viewOf(member: Member): readonly LivenessMember[] {
    const others = this.#members.filter((other) => other !== member);
    return others.map(({ owner, life }) => ({ owner, life, hasLeft: false }));
  }

  #closeLinks(member: Member): void {
    for (const peer of member.links) {
      const link: LivenessInput = { kind: "link", peer: member.owner, isUp: false };
      const refused: LivenessInput = { kind: "dial-failed", peer: member.owner, isRefused: true };
      this.#later(this.#delayMs(member.index, peer), { to: peer, from: peer, input: link });
      this.#later(3 * this.#delayMs(member.index, peer), { to: peer, from: peer, input: refused });
    }
  }

  #restart(member: Member): void {
    member.life = { incarnation: member.life.incarnation + 1, refutation: 0 };
    member.detector = this.#newDetector(member.owner, member.life);
    member.judgements.clear();
    this.#begin(member);
    for (const peer of member.links) {
      const up: LivenessInput = { kind: "link", peer: member.owner, isUp: true };
      this.#later(2 * this.#delayMs(member.index, peer), { to: peer, from: peer, input: up });
    }
    this.#spreadLife(member);
  }

  // --- effects

  #step(member: Member, input: LivenessInput): void {
    for (const effect of member.detector.step(input, this.#nowMs)) this.#perform(member, effect);
  }

  #perform(member: Member, effect: LivenessEffect): void {
    switch (effect.kind) {
      case "send":
        this.#send(member, effect);
        break;
      case "schedule":
        this.#later(effect.delayMs, {
          to: member.index,
          from: member.index,
          input: { kind: "timer", token: effect.token },
        });
        break;
      case "accuse":
        this.#spread(member, effect.suspect, effect.accusation);
        break;
      case "refute":
        member.life = { ...member.life, refutation: effect.refutation };
        this.#spreadLife(member);
        break;
      case "judged":
        this.#judged(member, this.#indexes.get(effect.owner) ?? -1, effect.to);
        break;
      case "doubt":
      case "count":
        break;
      default:
        effect satisfies never;
    }
  }

  #judged(observer: Member, member: number, to: LivenessState): void {
    observer.judgements.set(member, to);
    const judgement = { atMs: this.#nowMs, observer: observer.index, member, to };
    for (const listener of this.#listeners) listener(judgement);
  }

  #send(from: Member, { to, message }: Extract<LivenessEffect, { kind: "send" }>): void {
    const index = this.#indexes.get(to);
    if (index === undefined || !from.links.has(index)) return;
    this.sent += 1;
    const stream = from.index * this.#options.members + index;
    const delayMs = this.#delayMs(from.index, index) + this.#retransmitMs(from.index, index);
    const atMs = Math.max(this.#arrivals.get(stream) ?? 0, this.#nowMs + delayMs);
    this.#arrivals.set(stream, atMs);
    const input: LivenessInput = { kind: "message", from: from.owner, message };
    this.#queue.push(atMs, { kind: "input", to: index, from: from.index, input });
  }

  #spread(accuser: Member, suspect: OwnerId, accusation: Accusation | null): void {
    this.#said.set(`${accuser.owner} ${suspect}`, accusation);
    const input: LivenessInput = { kind: "accusation", accuser: accuser.owner, suspect, accusation };
    this.#gossip(accuser, (index) => ({ kind: "input", to: index, from: accuser.index, input }));
  }

  #spreadLife(member: Member): void {
    this.#gossip(member, (index) => ({ kind: "life", to: index, of: member.index }));
  }

  #gossip(from: Member, eventTo: (index: number) => Event): void {
    for (const { index } of this.#members) {
      if (index !== from.index)
        this.#queue.push(this.#nowMs + this.#gossipMs(from.index, index), eventTo(index));
    }
  }

  // --- the network

  #delayMs(from: number, to: number): number {
    const baseMs = this.#options.place === "lan" ? LAN_MS : oneWayMs(from, to);
    return baseMs * (1 + 0.2 * this.#random());
  }

  #lossOf(from: number, to: number): number {
    const { members, lossy, loss, lossyLoss } = this.#options;
    return Math.max(from, to) >= members - lossy ? lossyLoss : loss;
  }

  /** The stream is TCP's: what is lost comes later. */
  #retransmitMs(from: number, to: number): number {
    const loss = this.#lossOf(from, to);
    let delayMs = 0;
    for (let times = 0; times < RETRANSMITS_MAX && this.#random() < loss; times += 1)
      delayMs += RETRANSMIT_FIRST_MS * 2 ** times;
    return delayMs;
  }

  #gossipMs(from: number, to: number): number {
    const hops = 1 + Math.floor(GOSSIP_HOPS_MAX * this.#random());
    const isLost = this.#random() < this.#lossOf(from, to);
    return hops * this.#delayMs(from, to) + (isLost ? REPAIR_MS * (0.5 + this.#random()) : 0);
  }

  #later(delayMs: number, event: Omit<Extract<Event, { kind: "input" }>, "kind">): void {
    this.#queue.push(this.#nowMs + delayMs, { kind: "input", ...event });
  }

  #deliver(event: Event): void {
    const to = this.#at(event.to);
    if (to.mode === "killed") return;
    if (event.kind === "run") this.#runSlow(to);
    else if (to.mode === "frozen") this.#queue.push(this.#nowMs + FROZEN_LOOK_MS, event);
    else if (to.mode === "slow") this.#wait(to, event);
    else this.#arrive(to, event);
  }

  #arrive(to: Member, event: Exclude<Event, { kind: "run" }>): void {
    const from = this.#at(event.kind === "life" ? event.of : event.from);
    if (from === to || this.#passes(from, to)) this.#take(to, event);
    // Gossip that did not pass is repaired once it can; a message on a stream is lost with it.
    else if (event.kind === "life" || event.input.kind === "accusation") {
      this.#queue.push(this.#nowMs + REPAIR_MS, event);
    }
  }

  // --- those with little CPU

  #wait(to: Member, event: Event): void {
    const isTimer = event.kind === "input" && event.input.kind === "timer";
    (isTimer ? to.due : to.received).push(event);
    if (!to.isRunning) this.#runNext(to, this.#nowMs);
  }

  /** Once it has CPU again, from `atMs` on. */
  #runNext(to: Member, atMs: number): void {
    to.isRunning = true;
    const phaseMs = (atMs + to.index * 37) % SLOW_PERIOD_MS;
    const waitMs = phaseMs < SLOW_RUN_MS ? 0 : SLOW_PERIOD_MS - phaseMs + 0.001;
    this.#queue.push(atMs + waitMs, { kind: "run", to: to.index });
  }

  #runSlow(to: Member): void {
    to.isRunning = false;
    const next = to.due.shift() ?? to.received.shift();
    if (next === undefined || next.kind === "run") return;
    this.#arrive(to, next);
    if (to.due.length + to.received.length > 0) this.#runNext(to, this.#nowMs + SLOW_EVENT_MS);
  }

  #passes(from: Member, to: Member): boolean {
    return from.side === to.side && from.mode !== "cut-out" && to.mode !== "cut-in";
  }

  #take(to: Member, event: Exclude<Event, { kind: "run" }>): void {
    if (event.kind === "life") {
      const { owner, life } = this.#at(event.of);
      this.#step(to, { kind: "member", member: { owner, life, hasLeft: false } });
      return;
    }
    const { input } = event;
    if (input.kind !== "accusation") {
      this.#step(to, input);
      return;
    }
    const newest = this.#said.get(`${input.accuser} ${input.suspect}`) ?? null;
    this.#step(to, { ...input, accusation: newest });
  }
}
