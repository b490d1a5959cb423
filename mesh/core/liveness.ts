// Liveness: who is alive, as this member judges it. SWIM probes a few members at a time and asks others before it blames anyone;
// Lifeguard makes who is slow itself blame later. Two members at least must accuse one, and it must not object, before it is
// dead; and when half of all are lost at once nobody is: a partition must not empty the route tables.
// A pure machine: inputs and effects are in liveness-face.ts.

import {
  ACCUSATIONS_PER_ACCUSER_MAX,
  CONFIRMERS,
  DEAD_PROBE_INTERVAL_MS,
  LAG_DOUBT_MS,
  LINK_LOST_CHECK_MS,
  MASS_DEATH_WINDOW_MS,
  OBJECTION_MS,
  OWNERS_MAX,
  PROBE_INTERVAL_MS,
  PROBE_RELAYS,
  PROBE_TIMEOUT_MS,
  PROBES_PER_INTERVAL,
} from "../limits.ts";
import type { OwnerId } from "./ids.ts";
import type {
  Accusation,
  Life,
  LivenessEffect,
  LivenessInput,
  LivenessMember,
  LivenessMessage,
  LivenessState,
  LivenessToken,
} from "./liveness-face.ts";
import { compareLives, type Judged, newJudged, standingAccusations } from "./liveness-member.ts";
import { LocalHealth } from "./local-health.ts";
import { type Probe, Probes } from "./probes.ts";
import { isMassDeath, suspicionMs } from "./suspicion.ts";

export interface LivenessOptions {
  readonly self: OwnerId;
  /** Of this start. */
  readonly life: Life;
  /** Off: what Lifeguard and we add to SWIM, for the simulator to show what it is worth. */
  readonly isLifeguard?: boolean;
}

export interface LivenessDeps {
  /** In [0, 1). */
  readonly random: () => number;
}

/** What a member's view says of another. */
export interface Judgement {
  readonly state: LivenessState;
  /** On the clock of the steps. */
  readonly sinceMs: number;
  readonly why: string;
}

type Timer =
  | { readonly kind: "interval" }
  | { readonly kind: "probe"; readonly probe: Probe }
  | { readonly kind: "relayed"; readonly serial: number }
  | { readonly kind: "link-lost"; readonly peer: OwnerId }
  | { readonly kind: "suspicion"; readonly owner: OwnerId };

/** A timer that rang later than this was held up by a stall of our own: what it would blame somebody for is asked anew. */
const STALL_MS = 200;

export class Liveness {
  readonly #self: OwnerId;
  readonly #isLifeguard: boolean;
  readonly #random: () => number;
  readonly #health: LocalHealth;
  readonly #members = new Map<OwnerId, Judged>();
  /** Accusations of members of whom no entry is here yet, and how many each accuser holds. */
  readonly #accusedBy = new Map<OwnerId, Map<OwnerId, Accusation>>();
  readonly #probes = new Probes();
  readonly #timers = new Map<number, { readonly timer: Timer; readonly dueAtMs: number }>();
  #life: Life;
  #order: OwnerId[] = [];
  #nextDeadProbeAtMs = 0;
  #isBehind = false;
  #serial = 0;
  #nowMs = 0;
  #effects: LivenessEffect[] = [];

  constructor({ self, life, isLifeguard = true }: LivenessOptions, { random }: LivenessDeps) {
    this.#self = self;
    this.#life = life;
    this.#isLifeguard = isLifeguard;
    this.#random = random;
    this.#health = new LocalHealth(isLifeguard);
  }

  /** Does what `input` asks and returns what the shell must do, in order. `nowMs` never goes back. */
  step(input: LivenessInput, nowMs: number): readonly LivenessEffect[] {
    this.#nowMs = nowMs;
    this.#effects = [];
    this.#handle(input);
    return this.#effects;
  }

  /** Undefined: no member of whom we hold an entry. */
  judgement(owner: OwnerId): Judgement | undefined {
    return this.#members.get(owner);
  }

  /** Ours, 0 (well) to 8. */
  get health(): number {
    return this.#health.value;
  }

  describe(): string {
    const count = (state: LivenessState) => this.#inState(state).length;
    return `alive=${count("alive")} suspect=${count("suspect")} dead=${count("dead")} left=${count("left")} health=${this.#health.value} probes=${this.#probes.size}`;
  }

  #handle(input: LivenessInput): void {
    switch (input.kind) {
      case "begin":
        this.#schedule({ kind: "interval" }, PROBE_INTERVAL_MS * this.#random());
        break;
      case "members":
        this.#setMembers(input.members);
        break;
      case "link":
        this.#setLink(input.peer, input.isUp);
        break;
      case "refused":
        this.#refusedBy(input.peer);
        break;
      case "message":
        this.#message(input.from, input.message);
        break;
      case "accusation":
        this.#accusation(input);
        break;
      case "lag":
        if (input.lagMs >= LAG_DOUBT_MS) this.#health.worsen();
        break;
      case "timer":
        this.#timer(input.token);
        break;
      default:
        input satisfies never;
    }
  }

  // --- who there is

  #setMembers(members: readonly LivenessMember[]): void {
    const present = new Set(members.slice(0, OWNERS_MAX).map(({ owner }) => owner));
    for (const owner of [...this.#members.keys()]) if (!present.has(owner)) this.#forget(owner);
    for (const member of members.slice(0, OWNERS_MAX)) {
      if (member.owner !== this.#self) this.#setMember(member);
    }
  }

  #setMember(member: LivenessMember): void {
    const known = this.#members.get(member.owner);
    if (known === undefined) {
      const judged = newJudged(member, this.#nowMs);
      this.#members.set(member.owner, judged);
      for (const [accuser, said] of this.#accusedBy.get(member.owner) ?? [])
        judged.accusers.set(accuser, said);
      this.#judge(judged);
      return;
    }
    const isNew = compareLives(member.life, known.life) > 0;
    const isNewStart = member.life.incarnation > known.life.incarnation;
    if (isNew) known.life = member.life;
    known.hasLeft = member.hasLeft;
    if (isNew) this.#acquit(known);
    if (member.hasLeft) this.#become(known, "left", "it said that it leaves");
    else if (isNewStart || (isNew && known.state !== "dead")) this.#become(known, "alive", "");
    else if (known.state === "left") this.#become(known, "alive", "");
    // It objected: that is a word of its own, younger than what it was held dead for.
    else if (isNew) this.#become(known, "alive", "");
    this.#judge(known);
  }

  #forget(owner: OwnerId): void {
    const judged = this.#members.get(owner);
    if (judged !== undefined) this.#acquit(judged);
    this.#members.delete(owner);
    this.#probes.forget(owner);
    this.#order = this.#order.filter((other) => other !== owner);
  }

  // --- hints

  #setLink(peer: OwnerId, isUp: boolean): void {
    const judged = this.#members.get(peer);
    if (judged === undefined) return;
    judged.isLinked = isUp;
    if (isUp) {
      judged.isRefused = false;
      if (judged.state === "suspect" || judged.state === "dead") this.#probe(judged);
    } else if (judged.state === "alive") {
      this.#schedule({ kind: "link-lost", peer }, LINK_LOST_CHECK_MS);
    }
  }

  #refusedBy(peer: OwnerId): void {
    const judged = this.#members.get(peer);
    if (judged === undefined || judged.isLinked) return;
    judged.isRefused = true;
    // What was silent until now is closed, as we see now.
    if (judged.own?.reason === "silent") this.#accuse(judged);
  }

  // --- probes

  #interval(isLate: boolean): void {
    if (isLate) this.#health.worsen();
    this.#isBehind = isLate;
    for (const judged of this.#inState("suspect")) {
      if (judged.isWatched) this.#probe(judged);
      this.#judge(judged);
    }
    for (let count = 0; count < PROBES_PER_INTERVAL; count += 1) {
      const judged = this.#nextInOrder();
      if (judged !== undefined) this.#probe(judged);
    }
    this.#probeDead();
    const widened = this.#isLifeguard ? 1 + this.#health.value / 4 : 1;
    this.#schedule({ kind: "interval" }, PROBE_INTERVAL_MS * widened * (0.9 + 0.2 * this.#random()));
  }

  /** Shuffled round-robin (SWIM, section 4.3): everybody is asked once before anybody twice. */
  #nextInOrder(): Judged | undefined {
    for (let tries = 0; tries < 2; tries += 1) {
      while (this.#order.length > 0) {
        const owner = this.#order.pop();
        const judged = owner === undefined ? undefined : this.#members.get(owner);
        if (judged !== undefined && isProbed(judged)) return judged;
      }
      this.#order = shuffled([...this.#members.keys()], this.#random);
    }
    return undefined;
  }

  #probeDead(): void {
    const dead = this.#inState("dead");
    const judged = dead[Math.floor(this.#random() * dead.length)];
    if (judged === undefined || this.#nowMs < this.#nextDeadProbeAtMs) return;
    this.#nextDeadProbeAtMs = this.#nowMs + DEAD_PROBE_INTERVAL_MS;
    this.#probe(judged);
  }

  #probe(judged: Judged): void {
    const probe = this.#probes.begin(judged.owner, this.#nowMs);
    if (probe === undefined) return;
    if (judged.isLinked) {
      this.#send(judged.owner, { kind: "probe", serial: probe.serial, accused: this.#accusedLife(judged) });
      this.#await(probe);
    } else {
      this.#askOthers(probe);
    }
  }

  #accusedLife(judged: Judged): Life | null {
    return this.#isLifeguard && this.#standing(judged).length > 0 ? judged.life : null;
  }

  #await(probe: Probe): void {
    probe.dueAtMs = this.#nowMs + this.#probeTimeoutMs();
    this.#schedule({ kind: "probe", probe }, this.#probeTimeoutMs());
  }

  #probeTimeoutMs(): number {
    return PROBE_TIMEOUT_MS * (1 + this.#health.value / 2);
  }

  #askOthers(probe: Probe): void {
    probe.stage = "indirect";
    const others = this.#inState("alive").filter((other) => other.isLinked && other.owner !== probe.target);
    for (const relay of shuffled(others, this.#random).slice(0, PROBE_RELAYS)) {
      probe.relays.add(relay.owner);
      this.#send(relay.owner, { kind: "probe-request", serial: probe.serial, target: probe.target });
    }
    this.#await(probe);
  }

  #probeDue(probe: Probe, isLate: boolean): void {
    const judged = this.#members.get(probe.target);
    if (this.#probes.own(probe.serial) !== probe || judged === undefined) return;
    if (isLate && this.#isLifeguard) {
      // Its answer may wait in our own queue: nobody is blamed for our stall.
      this.#health.worsen();
      this.#probes.end(probe);
      this.#count("probes-voided");
      this.#probe(judged);
    } else if (probe.stage === "direct") {
      this.#askOthers(probe);
    } else {
      this.#probes.end(probe);
      this.#failed(judged, probe);
    }
  }

  #failed(judged: Judged, probe: Probe): void {
    this.#count("probes-failed");
    const isUnheard = probe.relays.size > 0 && probe.nacks === 0;
    if (probe.nacks < probe.relays.size) this.#health.worsen();
    // Not even one of those that we asked said a word: it is as likely we who are not heard. Others will find out.
    if (this.#isLifeguard && isUnheard && !judged.isRefused && this.#inState("alive").length > 1) {
      this.#count("probes-unheard");
      judged.isWatched = true;
      this.#schedule({ kind: "link-lost", peer: judged.owner }, this.#probeTimeoutMs());
      return;
    }
    if (judged.state !== "left") this.#accuse(judged);
  }

  #acked(target: OwnerId, probe: Probe): void {
    this.#probes.end(probe);
    this.#health.improve();
    const judged = this.#members.get(target);
    if (judged === undefined) return;
    judged.ackSentAtMs = Math.max(judged.ackSentAtMs, probe.sentAtMs);
    if (judged.own !== null && probe.sentAtMs >= judged.suspectAtMs) this.#takeBack(judged);
    if (judged.state === "dead") this.#become(judged, "alive", "");
    this.#judge(judged);
  }

  // --- messages

  #message(from: OwnerId, message: LivenessMessage): void {
    if (!this.#members.has(from)) return;
    switch (message.kind) {
      case "probe":
        this.#send(from, { kind: "probe-ack", serial: message.serial });
        if (message.accused !== null) this.#object(message.accused);
        break;
      case "probe-ack":
        this.#ack(from, message.serial);
        break;
      case "probe-request":
        this.#relay(from, message.serial, message.target);
        break;
      case "probe-report":
        this.#report(from, message.serial, message.isAlive);
        break;
      default:
        message satisfies never;
    }
  }

  #ack(from: OwnerId, serial: number): void {
    const probe = this.#probes.own(serial);
    if (probe?.target === from) this.#acked(from, probe);
    if (this.#probes.relayed(serial)?.target !== from) return;
    const relayed = this.#probes.takeRelayed(serial);
    if (relayed === undefined) return;
    this.#send(relayed.asker, { kind: "probe-report", serial: relayed.askerSerial, isAlive: true });
  }

  #relay(asker: OwnerId, askerSerial: number, target: OwnerId): void {
    const judged = this.#members.get(target);
    const isOurself = target === this.#self;
    if (isOurself || judged?.isLinked !== true) {
      this.#send(asker, { kind: "probe-report", serial: askerSerial, isAlive: isOurself });
      return;
    }
    const relayed = this.#probes.relay(asker, askerSerial, target);
    if (relayed === undefined) {
      this.#count("probe-requests-dropped");
      return;
    }
    const accused = this.#accusedLife(judged);
    this.#send(target, { kind: "probe", serial: relayed.serial, accused });
    // Before the asker gives up: no answer of the target's is news about us.
    this.#schedule({ kind: "relayed", serial: relayed.serial }, 0.7 * PROBE_TIMEOUT_MS);
  }

  #relayedDue(serial: number): void {
    const relayed = this.#probes.takeRelayed(serial);
    if (relayed === undefined || !this.#isLifeguard) return;
    this.#send(relayed.asker, { kind: "probe-report", serial: relayed.askerSerial, isAlive: false });
  }

  #report(from: OwnerId, serial: number, isAlive: boolean): void {
    const probe = this.#probes.own(serial);
    if (probe === undefined || !probe.relays.has(from)) return;
    if (isAlive) this.#acked(probe.target, probe);
    else probe.nacks = Math.min(probe.relays.size, probe.nacks + 1);
  }

  // --- accusations

  #accusation({ accuser, suspect, accusation }: Extract<LivenessInput, { kind: "accusation" }>): void {
    if (accuser === this.#self) return;
    if (suspect === this.#self) {
      if (accusation !== null) this.#object(accusation.life);
      return;
    }
    this.#remember(accuser, suspect, accusation);
    const judged = this.#members.get(suspect);
    if (judged === undefined) return;
    if (accusation === null) judged.accusers.delete(accuser);
    else judged.accusers.set(accuser, accusation);
    this.#judge(judged);
  }

  /** Also of members that we have not heard of yet. Bounded: the member map is, and what one accuser may hold. */
  #remember(accuser: OwnerId, suspect: OwnerId, accusation: Accusation | null): void {
    const said = this.#accusedBy.get(suspect) ?? new Map<OwnerId, Accusation>();
    if (accusation === null) {
      said.delete(accuser);
      if (said.size === 0) this.#accusedBy.delete(suspect);
      return;
    }
    if (said.size >= ACCUSATIONS_PER_ACCUSER_MAX || this.#accusedBy.size > OWNERS_MAX) {
      this.#count("accusations-dropped");
      return;
    }
    this.#accusedBy.set(suspect, said.set(accuser, accusation));
  }

  /** Somebody accuses this life of ours: a higher one voids it. */
  #object(accused: Life): void {
    if (accused.incarnation !== this.#life.incarnation || accused.refutation < this.#life.refutation) return;
    this.#life = { ...this.#life, refutation: accused.refutation + 1 };
    this.#health.worsen();
    this.#count("refutations");
    this.#effects.push({ kind: "refute", refutation: this.#life.refutation });
  }

  #accuse(judged: Judged): void {
    const reason = judged.isRefused && !judged.isLinked ? "closed" : "silent";
    const isSaid =
      judged.own !== null && judged.own.reason === reason && compareLives(judged.own.life, judged.life) === 0;
    if (!isSaid) {
      judged.own = { life: judged.life, reason };
      this.#count("accusations");
      this.#effects.push({ kind: "accuse", suspect: judged.owner, accusation: judged.own });
    }
    this.#judge(judged);
  }

  #takeBack(judged: Judged): void {
    if (judged.own === null) return;
    judged.own = null;
    this.#effects.push({ kind: "accuse", suspect: judged.owner, accusation: null });
  }

  /** A higher life of it is here: all that was said of lower ones is void. */
  #acquit(judged: Judged): void {
    this.#takeBack(judged);
    judged.suspectAtMs = Number.NEGATIVE_INFINITY;
    judged.secondAtMs = Number.NEGATIVE_INFINITY;
  }

  #standing(judged: Judged): readonly Accusation[] {
    return standingAccusations(judged, (accuser) => {
      const state = this.#members.get(accuser)?.state;
      return state === "alive" || state === "suspect";
    });
  }

  // --- judgement

  #judge(judged: Judged): void {
    if (judged.state === "left" || judged.state === "dead") return;
    const accusations = this.#standing(judged);
    if (accusations.length === 0 || this.#isVouched(judged)) {
      if (judged.state === "suspect") this.#become(judged, "alive", "");
      return;
    }
    if (judged.state === "alive") this.#suspect(judged, accusations);
    const accusersMin = this.#isLifeguard ? 2 : 1;
    if (accusations.length >= accusersMin && judged.secondAtMs === Number.NEGATIVE_INFINITY) {
      judged.secondAtMs = this.#nowMs;
    }
    this.#weigh(judged, accusations);
  }

  /** It answered us lately, after the suspicion began: whoever else cannot reach it. */
  #isVouched(judged: Judged): boolean {
    const freshMs = 2 * PROBE_INTERVAL_MS + this.#probeTimeoutMs();
    const isFresh = this.#nowMs - judged.ackSentAtMs <= freshMs;
    return this.#isLifeguard && isFresh && judged.own === null && judged.ackSentAtMs >= judged.suspectAtMs;
  }

  #suspect(judged: Judged, accusations: readonly Accusation[]): void {
    judged.suspectAtMs = this.#nowMs;
    judged.secondAtMs = Number.NEGATIVE_INFINITY;
    const others = this.#members.size;
    judged.isWatched = judged.own !== null || this.#random() * others < CONFIRMERS;
    const reason = accusations.some((said) => said.reason === "closed") ? "its port is closed" : "no answer";
    this.#become(judged, "suspect", reason);
    this.#effects.push({ kind: "doubt", peer: judged.owner });
    if (judged.isWatched) this.#probe(judged);
  }

  /** Dead, if it is time, or when to look again. */
  #weigh(judged: Judged, accusations: readonly Accusation[]): void {
    const accusersMin = this.#isLifeguard ? 2 : 1;
    if (accusations.length < accusersMin) return;
    const patienceMs = suspicionMs({
      members: this.#inState("alive").length + 1,
      accusers: accusations.length,
      isClosed: this.#isClosed(judged, accusations),
      health: this.#health.value,
      isDynamic: this.#isLifeguard,
    });
    const objectionMs = this.#isLifeguard ? judged.secondAtMs + OBJECTION_MS : 0;
    const deadAtMs = Math.max(judged.suspectAtMs + patienceMs, objectionMs);
    if (this.#nowMs < deadAtMs) {
      this.#schedule({ kind: "suspicion", owner: judged.owner }, deadAtMs - this.#nowMs);
    } else if (this.#isBraked()) {
      this.#count("deaths-braked");
      judged.why = "too many are lost at once: it may be we who are cut off";
    } else {
      judged.diedAtMs = this.#nowMs;
      this.#become(judged, "dead", `${judged.why}, as ${accusations.length} members found`);
    }
  }

  #isClosed(judged: Judged, accusations: readonly Accusation[]): boolean {
    const closed = accusations.filter(({ reason }) => reason === "closed").length;
    const possible = Math.min(3, this.#inState("alive").length + 1);
    return !judged.isLinked && closed >= Math.max(2, possible);
  }

  #isBraked(): boolean {
    if (!this.#isLifeguard) return false;
    const fresh = (judged: Judged) => this.#nowMs - judged.diedAtMs < MASS_DEATH_WINDOW_MS;
    const lost = this.#inState("suspect").length + this.#inState("dead").filter(fresh).length;
    return isMassDeath({ lost, alive: this.#inState("alive").length + 1 });
  }

  #become(judged: Judged, to: LivenessState, why: string): void {
    const from = judged.state;
    if (from === to) return;
    Object.assign(judged, { state: to, sinceMs: this.#nowMs, why });
    if (to === "left" || to === "alive") judged.isWatched = false;
    this.#effects.push({ kind: "judged", owner: judged.owner, from, to, why });
    // Whose word counts has changed with it.
    if (from === "dead" || to === "dead" || to === "left") this.#judgeAccusedBy(judged.owner);
  }

  #judgeAccusedBy(accuser: OwnerId): void {
    for (const judged of this.#members.values()) if (judged.accusers.has(accuser)) this.#judge(judged);
  }

  // --- timers

  #timer(token: LivenessToken): void {
    const found = this.#timers.get(token.serial);
    if (found === undefined) return;
    this.#timers.delete(token.serial);
    const { timer, dueAtMs } = found;
    const isLate = this.#nowMs - dueAtMs > STALL_MS || this.#isBehind;
    switch (timer.kind) {
      case "interval":
        this.#interval(this.#nowMs - dueAtMs > STALL_MS);
        break;
      case "probe":
        this.#probeDue(timer.probe, isLate);
        break;
      case "relayed":
        this.#relayedDue(timer.serial);
        break;
      case "link-lost":
        this.#linkLost(timer.peer);
        break;
      case "suspicion":
        this.#suspicionDue(timer.owner);
        break;
      default:
        timer satisfies never;
    }
  }

  #linkLost(peer: OwnerId): void {
    const judged = this.#members.get(peer);
    if (judged !== undefined && judged.state === "alive" && !judged.isLinked) this.#probe(judged);
  }

  #suspicionDue(owner: OwnerId): void {
    const judged = this.#members.get(owner);
    if (judged?.state === "suspect") this.#judge(judged);
  }

  #schedule(timer: Timer, delayMs: number): void {
    this.#serial += 1;
    this.#timers.set(this.#serial, { timer, dueAtMs: this.#nowMs + delayMs });
    this.#effects.push({ kind: "schedule", token: { purpose: timer.kind, serial: this.#serial }, delayMs });
  }

  #inState(state: LivenessState): readonly Judged[] {
    return [...this.#members.values()].filter((judged) => judged.state === state);
  }

  #send(to: OwnerId, message: LivenessMessage): void {
    this.#effects.push({ kind: "send", to, message });
  }

  #count(counter: string, by = 1): void {
    this.#effects.push({ kind: "count", counter, by });
  }
}

function isProbed({ state, isWatched }: Judged): boolean {
  return state === "alive" || (state === "suspect" && !isWatched);
}

/** Fisher and Yates. */
function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  const all = [...items];
  for (let index = all.length - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1));
    [all[index], all[other]] = [all[other] as Item, all[index] as Item];
  }
  return all;
}
