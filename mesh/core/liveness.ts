// Liveness: who is alive, as this member judges it. SWIM probes a few members at a time and asks others before it blames anyone;
// Lifeguard makes who is slow itself blame later. Two members at least must accuse one, and it must not object, before it is
// dead; and when half of all are lost at once nobody is: a partition must not empty the route tables.
// A pure machine: inputs and effects are in liveness-face.ts.

import {
  LAG_DOUBT_MS,
  LINK_LOST_CHECK_MS,
  OWNERS_MAX,
  PROBE_INTERVAL_MS,
  WATCHED_PROBES_MAX,
} from "../limits.ts";
import { Accusations } from "./accusations.ts";
import type { OwnerId } from "./ids.ts";
import { Judging } from "./judging.ts";
import { count, type LivenessContext, type LivenessTimer, send } from "./liveness-context.ts";
import type {
  Life,
  LivenessEffect,
  LivenessInput,
  LivenessMember,
  LivenessMessage,
  LivenessState,
  LivenessToken,
} from "./liveness-face.ts";
import { compareLives, type Judged, NEVER_MS, newJudged } from "./liveness-member.ts";
import { LocalHealth } from "./local-health.ts";
import { Probing } from "./probing.ts";

export interface LivenessOptions {
  readonly self: OwnerId;
  /** Of this start. */
  readonly life: Life;
  /** Default true. False: plain SWIM, for the simulator to show what the rest is worth. */
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

/** A timer that rang later than this was held up by a stall of our own. */
const STALL_MS = 200;
/** After it what waited for us is read: a turn of the event loop does that, however long it takes. */
const LATE_LOOK_MS = 50;

export class Liveness {
  readonly #context: LivenessContext;
  readonly #probing: Probing;
  readonly #judging: Judging;
  readonly #members = new Map<OwnerId, Judged>();
  readonly #accusations = new Accusations();
  readonly #timers = new Map<number, { readonly timer: LivenessTimer; readonly dueAtMs: number }>();
  /** Those whose standing stream is up, known by an entry or not yet. */
  readonly #links = new Set<OwnerId>();
  #life: Life;
  #isStalled = false;
  #lastSerial = 0;
  #nowMs = 0;
  #effects: LivenessEffect[] = [];

  constructor({ self, life, isLifeguard = true }: LivenessOptions, { random }: LivenessDeps) {
    this.#life = life;
    this.#context = {
      self,
      isLifeguard,
      members: this.#members,
      accusations: this.#accusations,
      byState: { alive: new Set(), suspect: new Set(), dead: new Set(), left: new Set() },
      watched: new Set(),
      linked: new Set(),
      health: new LocalHealth(isLifeguard),
      random,
      nowMs: () => this.#nowMs,
      emit: (effect) => void this.#effects.push(effect),
      schedule: (timer, delayMs) => this.#schedule(timer, delayMs),
    };
    this.#judging = new Judging(this.#context, {
      probe: (judged) => this.#probing.probe(judged),
      timeoutMs: () => this.#probing.timeoutMs(),
    });
    this.#probing = new Probing(this.#context, {
      onAcked: (judged, sentAtMs) => this.#judging.acked(judged, sentAtMs),
      onFailed: (judged, isAlone) => this.#failed(judged, isAlone),
      accusedLife: (judged) => this.#accusedLife(judged),
    });
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

  describe(): string {
    const states = (["alive", "suspect", "dead", "left"] as const).map(
      (state) => `${state}=${this.#context.byState[state].size}`,
    );
    return `${states.join(" ")} health=${this.#context.health.value} probes=${this.#probing.size}`;
  }

  #handle(input: LivenessInput): void {
    switch (input.kind) {
      case "begin":
        this.#schedule({ kind: "interval" }, PROBE_INTERVAL_MS * this.#context.random());
        break;
      case "life":
        this.#life = input.life;
        break;
      case "members":
        this.#setMembers(input.members);
        break;
      case "member":
        this.#setMember(input.member);
        break;
      case "link":
        this.#setLink(input.peer, input.isUp);
        break;
      case "dial-failed":
        this.#dialFailed(input.peer, input.isRefused);
        break;
      case "message":
        if (this.#isKnown(input.from)) this.#message(input.from, input.message);
        break;
      case "accusation":
        this.#accusation(input);
        break;
      case "lag":
        if (input.lagMs >= LAG_DOUBT_MS) this.#context.health.worsen();
        break;
      case "timer":
        this.#timer(input.token);
        break;
      default:
        input satisfies never;
    }
  }

  // --- who there is

  #setMembers(all: readonly LivenessMember[]): void {
    const members = all.slice(0, OWNERS_MAX);
    const present = new Set(members.map(({ owner }) => owner));
    for (const owner of [...this.#members.keys()]) if (!present.has(owner)) this.#forget(owner);
    for (const member of members) this.#setMember(member);
  }

  #setMember(member: LivenessMember): void {
    if (member.owner === this.#context.self) return;
    const judged = this.#members.get(member.owner);
    if (judged === undefined) {
      this.#addMember(member);
      return;
    }
    const isNews = compareLives(member.life, judged.life) > 0;
    if (isNews) {
      if (member.life.incarnation > judged.life.incarnation) judged.wasLinked = judged.isLinked;
      judged.life = member.life;
      this.#judging.acquit(judged);
    }
    if (member.hasLeft) this.#judging.become(judged, "left", "it said that it leaves");
    // It began anew, or objected: a word of its own, younger than what it was held dead for.
    else if (isNews || judged.state === "left") this.#judging.become(judged, "alive", "");
    this.#judging.judge(judged);
  }

  #addMember(member: LivenessMember): void {
    if (this.#members.size >= OWNERS_MAX) return;
    const judged = newJudged(member, this.#nowMs);
    judged.isLinked = this.#links.has(member.owner);
    if (judged.isLinked) this.#context.linked.add(judged);
    judged.wasLinked = judged.isLinked;
    this.#members.set(member.owner, judged);
    this.#accusations.know(member.owner, judged);
    this.#context.byState[judged.state].add(judged);
    this.#judging.judge(judged);
  }

  #forget(owner: OwnerId): void {
    const judged = this.#members.get(owner);
    if (judged !== undefined) {
      this.#judging.acquit(judged);
      this.#context.byState[judged.state].delete(judged);
      this.#context.watched.delete(judged);
      this.#context.linked.delete(judged);
    }
    this.#members.delete(owner);
    this.#accusations.know(owner, undefined);
    this.#probing.forget(owner);
  }

  // --- hints

  #setLink(peer: OwnerId, isUp: boolean): void {
    if (isUp) this.#links.add(peer);
    else this.#links.delete(peer);
    const judged = this.#members.get(peer);
    if (judged === undefined) return;
    judged.isLinked = isUp;
    if (isUp) this.#context.linked.add(judged);
    else this.#context.linked.delete(judged);
    if (!isUp) {
      this.#schedule({ kind: "link-lost", peer }, LINK_LOST_CHECK_MS);
      return;
    }
    judged.wasLinked = true;
    judged.isRefused = false;
    if (judged.state === "suspect" || judged.state === "dead") this.#probing.probe(judged);
  }

  #dialFailed(peer: OwnerId, isRefused: boolean): void {
    const judged = this.#members.get(peer);
    if (judged === undefined || judged.isLinked) return;
    judged.isRefused = isRefused;
    // Whom we dialed and did not reach we know something of, though there never was a link.
    judged.wasLinked = true;
    // What was silent until now is closed, as we see now.
    if (isRefused && judged.state === "suspect" && judged.own !== null)
      this.#judging.accuse(judged, { isAlone: !judged.isOwnTold });
  }

  #linkLost(peer: OwnerId): void {
    const judged = this.#members.get(peer);
    if (judged?.state === "alive" && !judged.isLinked) this.#probing.probe(judged);
  }

  // --- messages

  /** Who has a link may not have announced itself yet: it is answered, and may ask, all the same. */
  #isKnown(peer: OwnerId): boolean {
    return this.#links.has(peer) || this.#members.has(peer);
  }

  #message(from: OwnerId, message: LivenessMessage): void {
    switch (message.kind) {
      case "probe":
        send(this.#context, from, { kind: "probe-ack", serial: message.serial });
        if (message.accused !== null) this.#object(message.accused);
        break;
      case "probe-ack":
        this.#probing.acked(from, message.serial);
        break;
      case "probe-request":
        this.#probing.relay(from, message.serial, message.target);
        break;
      case "probe-report":
        this.#probing.reported(from, message.serial, message.isAlive);
        break;
      default:
        message satisfies never;
    }
  }

  /** Somebody accuses this life of ours: a higher one voids it. One that we never had nobody can have seen, and nobody counts. */
  #object(accused: Life): void {
    if (compareLives(accused, this.#life) !== 0) return;
    this.#life = { ...this.#life, refutation: accused.refutation + 1 };
    this.#context.health.worsen();
    count(this.#context, "refutations");
    this.#context.emit({ kind: "refute", refutation: this.#life.refutation });
  }

  // --- accusations

  #accusation({ accuser, suspect, accusation }: Extract<LivenessInput, { kind: "accusation" }>): void {
    const { self } = this.#context;
    if (accuser === self) return;
    if (suspect === self) {
      if (accusation !== null) this.#object(accusation.life);
      return;
    }
    const isNoted = this.#accusations.note(accuser, suspect, accusation, this.#members.get(accuser));
    if (!isNoted) count(this.#context, "accusations-dropped");
    const judged = this.#members.get(suspect);
    if (judged !== undefined) this.#judging.judge(judged);
  }

  #accusedLife(judged: Judged): Life | null {
    const isSaid = this.#context.isLifeguard && this.#judging.standing(judged).accusers > 0;
    return isSaid ? judged.life : null;
  }

  #failed(judged: Judged, isAlone: boolean): void {
    if (judged.state === "alive" || judged.state === "suspect") this.#judging.accuse(judged, { isAlone });
  }

  // --- timers

  #timer({ serial }: LivenessToken): void {
    const found = this.#timers.get(serial);
    if (found === undefined) return;
    this.#timers.delete(serial);
    const isLate = this.#context.isLifeguard && this.#nowMs - found.dueAtMs > STALL_MS;
    this.#ring(found.timer, isLate);
  }

  #ring(timer: LivenessTimer, isLate: boolean): void {
    switch (timer.kind) {
      case "interval":
        this.#interval(isLate);
        break;
      case "probe":
        this.#probing.due(timer.probe, isLate || this.#isStalled);
        break;
      case "relayed":
        this.#probing.relayedDue(timer.serial);
        break;
      case "link-lost":
        this.#linkLost(timer.peer);
        break;
      case "suspicion":
        this.#suspicionDue(timer.owner, isLate && !timer.isAgain);
        break;
      default:
        timer satisfies never;
    }
  }

  #interval(isLate: boolean): void {
    this.#isStalled = isLate;
    if (isLate) this.#context.health.worsen();
    this.#probeWatched();
    const { byState, watched } = this.#context;
    for (const judged of new Set([...byState.suspect, ...watched])) this.#look(judged, isLate);
    this.#probing.round();
    this.#schedule({ kind: "interval" }, this.#probing.roundDelayMs());
  }

  /** In a partition half of all are watched: in turn, then. */
  #probeWatched(): void {
    const { watched } = this.#context;
    for (const judged of watched) if (!this.#isWatchedOn(judged)) watched.delete(judged);
    const longestAgo = [...watched].sort((left, right) => left.probedAtMs - right.probedAtMs);
    for (const judged of longestAgo.slice(0, WATCHED_PROBES_MAX)) this.#probing.probe(judged);
  }

  #isWatchedOn(judged: Judged): boolean {
    const isOpen = judged.state === "alive" || judged.state === "suspect";
    return isOpen && this.#judging.standing(judged).accusers > 0;
  }

  #suspicionDue(owner: OwnerId, isLate: boolean): void {
    const judged = this.#members.get(owner);
    if (judged === undefined) return;
    // What was armed has rung, also if that was a little early.
    judged.armedForMs = NEVER_MS;
    this.#look(judged, isLate);
  }

  /** After a stall of ours its objection may wait in our queue: that is read first. */
  #look(judged: Judged, isLate: boolean): void {
    if (!isLate) this.#judging.judge(judged);
    else this.#schedule({ kind: "suspicion", owner: judged.owner, isAgain: true }, LATE_LOOK_MS);
  }

  #schedule(timer: LivenessTimer, delayMs: number): void {
    this.#lastSerial += 1;
    this.#timers.set(this.#lastSerial, { timer, dueAtMs: this.#nowMs + delayMs });
    const token = { purpose: timer.kind, serial: this.#lastSerial };
    this.#effects.push({ kind: "schedule", token, delayMs });
  }
}
