// LivenessLoop: performs the failure detector's effects. Probes go over the standing stream; accusations are entries of our own
// host state; objections are our member entry, written anew.

import type { Logger } from "pino";
import {
  ACCUSATION_PREFIX,
  accusationKey,
  accusedBy,
  decodeAccusation,
  encodeAccusation,
} from "../core/accusation-entry.ts";
import type { OwnerId } from "../core/ids.ts";
import { Liveness } from "../core/liveness.ts";
import type {
  LivenessEffect,
  LivenessInput,
  LivenessMember,
  LivenessMessage,
} from "../core/liveness-face.ts";
import { decodeMember, MEMBER_KEY } from "../core/member.ts";
import { LAG_LOOK_INTERVAL_MS } from "../limits.ts";
import type { Entry, EntryChange, MemberLiveness } from "../mesh.ts";
import { LoopLag } from "./loop-lag.ts";
import { Timeouts } from "./timeouts.ts";

export interface LivenessLoopOptions {
  readonly self: OwnerId;
  readonly incarnation: number;
}

export interface LivenessLoopDeps {
  /** False when its link is down. */
  readonly send: (to: OwnerId, message: LivenessMessage) => boolean;
  /** Of our own state. */
  readonly write: (key: string, value: Uint8Array | null) => void;
  /** The member entries of all. */
  readonly memberEntries: () => readonly Entry[];
  readonly writeRefutation: (refutation: number) => void;
  /** Looks at the link to it now. */
  readonly doubt: (peer: OwnerId) => void;
  readonly onJudged: () => void;
  readonly count: (counter: string, by: number) => void;
  readonly logger: Logger;
}

export class LivenessLoop {
  readonly #self: OwnerId;
  readonly #deps: LivenessLoopDeps;
  readonly #liveness: Liveness;
  readonly #timers = new Timeouts();
  readonly #startedAtMs = Date.now();
  #incarnation: number;
  readonly #lag = new LoopLag();
  #lagLook: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor({ self, incarnation }: LivenessLoopOptions, deps: LivenessLoopDeps) {
    this.#self = self;
    this.#incarnation = incarnation;
    this.#deps = deps;
    const life = { incarnation, refutation: 0 };
    this.#liveness = new Liveness({ self, life }, { random: Math.random });
  }

  begin(): void {
    this.#step({ kind: "begin" });
    this.#lag.start();
    // Who is late itself must not blame others for it.
    this.#lagLook = setInterval(
      () => this.#step({ kind: "lag", lagMs: this.#lag.takeWorstMs() }),
      LAG_LOOK_INTERVAL_MS,
    );
  }

  /** How late our own event loop was at worst in so many last milliseconds. */
  lagMs(withinMs: number): number {
    return Math.round(this.#lag.worstMs(withinMs));
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#lagLook);
    this.#lag.stop();
    this.#timers.clear();
  }

  link(peer: OwnerId, isUp: boolean): void {
    this.#step({ kind: "link", peer, isUp });
  }

  dialFailed(peer: OwnerId, isRefused: boolean): void {
    this.#step({ kind: "dial-failed", peer, isRefused });
  }

  message(from: OwnerId, message: LivenessMessage): void {
    this.#step({ kind: "message", from, message });
  }

  /** Whatever changed in the store; only what is about members and accusations counts. */
  changed(change: EntryChange): void {
    if (change.key === MEMBER_KEY) this.#memberChanged(change);
    else if (change.key.startsWith(ACCUSATION_PREFIX)) this.#accusationChanged(change);
  }

  judgement(owner: OwnerId): MemberLiveness {
    const judged = this.#liveness.judgement(owner);
    // Ourselves; or one of whom there is no entry any more.
    if (judged === undefined) return { state: "alive", sinceMs: this.#startedAtMs, why: "" };
    const { state, sinceMs, why } = judged;
    return { state, why, sinceMs: Math.round(Date.now() - (performance.now() - sinceMs)) };
  }

  describe(): string {
    return this.#liveness.describe();
  }

  #memberChanged(change: EntryChange): void {
    if (change.value === null) {
      const members = this.#deps.memberEntries().flatMap((entry) => memberOf(entry) ?? []);
      this.#step({ kind: "members", members });
      return;
    }
    const member = memberOf(change);
    if (member === undefined) return;
    if (change.owner !== this.#self) {
      this.#step({ kind: "member", member });
      return;
    }
    // Our start was raised: objections begin anew with it.
    if (member.life.incarnation === this.#incarnation) return;
    this.#incarnation = member.life.incarnation;
    this.#step({ kind: "life", life: member.life });
  }

  #accusationChanged({ owner, key, value }: EntryChange): void {
    const suspect = accusedBy(key);
    if (suspect === undefined) return;
    const decoded = value === null ? undefined : decodeAccusation(value);
    // A peer of another release, or one that errs: its word does not count, and what it said before it says no more.
    if (decoded?.ok === false) this.#deps.count("refused-accusation", 1);
    const accusation = decoded?.ok === true ? decoded.value : null;
    this.#step({ kind: "accusation", accuser: owner, suspect, accusation });
  }

  #step(input: LivenessInput): void {
    if (this.#isStopped) return;
    for (const effect of this.#liveness.step(input, performance.now())) this.#perform(effect);
  }

  #perform(effect: LivenessEffect): void {
    switch (effect.kind) {
      case "send":
        this.#deps.send(effect.to, effect.message);
        break;
      case "schedule":
        this.#timers.after(effect.delayMs, () => this.#step({ kind: "timer", token: effect.token }));
        break;
      case "accuse":
        this.#deps.write(
          accusationKey(effect.suspect),
          effect.accusation === null ? null : encodeAccusation(effect.accusation),
        );
        break;
      case "refute":
        this.#deps.writeRefutation(effect.refutation);
        break;
      case "doubt":
        this.#deps.doubt(effect.peer);
        break;
      case "judged":
        this.#judged(effect);
        break;
      case "count":
        this.#deps.count(effect.counter, effect.by);
        break;
      default:
        effect satisfies never;
    }
  }

  #judged({ owner, from, to, why }: Extract<LivenessEffect, { kind: "judged" }>): void {
    this.#deps.logger.info({ member: owner, from, to, why }, "liveness changed");
    this.#deps.onJudged();
  }
}

function memberOf({ owner, value, version }: Entry): LivenessMember | undefined {
  const record = value === null ? undefined : decodeMember(value);
  if (record?.ok !== true) return undefined;
  const { refutation, isLeaving } = record.value;
  return { owner, life: { incarnation: version.incarnation, refutation }, hasLeft: isLeaving };
}
