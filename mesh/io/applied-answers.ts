// Applied answers: tells an owner how much of what it wrote is in force here. It asked up to a version, and hears of each
// step until that is reached: a state, not an event, so that a lost or repeated message does no harm. Or it follows: then it
// hears of all steps, later (follow-answers.ts).

import { type ZodType, z } from "zod";
import type { OwnerId } from "../core/ids.ts";
import { compareVersions, type Version } from "../core/version.ts";
import { connectedOwners, type Mesh } from "../mesh.ts";
import { decodeRecord, encodeRecord } from "../records/record-codec.ts";
import { versionShape } from "../records/shapes.ts";
import { FOLLOW_TOPIC, FollowAnswers } from "./follow-answers.ts";

/** Tell topics: the owner asks, up to its own head; the answer is the owner's head in force at who was asked. */
export const APPLIED_ASK_TOPIC = "applied-ask";
export const APPLIED_TOPIC = "applied";

interface AppliedMessage {
  readonly format: 1;
  readonly head: Version;
}

const messageShape: ZodType<AppliedMessage> = z.strictObject({ format: z.literal(1), head: versionShape });

export function encodeApplied(head: Version): Uint8Array {
  return encodeRecord({ format: 1, head });
}

/** Undefined: not of this release. */
export function decodeApplied(bytes: Uint8Array): Version | undefined {
  const decoded = decodeRecord(messageShape, bytes);
  return decoded.ok ? decoded.value.head : undefined;
}

export interface AppliedAnswersDeps {
  readonly mesh: Pick<Mesh, "store" | "members" | "tell" | "onTell" | "onChange" | "onMembers">;
  /** Milliseconds on a clock that never goes back. */
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly count: (counter: "applied-answers" | "follow-reports", by: number) => void;
}

export class AppliedAnswers {
  readonly #deps: AppliedAnswersDeps;
  /** Up to where each asked; only of who is connected. */
  readonly #asked = new Map<OwnerId, Version>();
  readonly #follows: FollowAnswers;
  /** Who changed in this turn, and when it did last. */
  readonly #due = new Map<OwnerId, number>();
  #settle: () => void = () => undefined;
  #turn: NodeJS.Immediate | undefined;
  #isStopped = false;

  constructor(deps: AppliedAnswersDeps) {
    this.#deps = deps;
    this.#follows = new FollowAnswers(deps);
    const { mesh } = deps;
    mesh.onTell(APPLIED_ASK_TOPIC, (bytes, from) => this.#ask(from, decodeApplied(bytes)));
    mesh.onTell(FOLLOW_TOPIC, (bytes, from) => this.#follow(from, decodeApplied(bytes)));
    mesh.onChange(({ owner }) => {
      if (this.#asked.has(owner) || this.#follows.isFollowed(owner)) this.#answerSoon(owner);
    });
    mesh.onMembers(() => this.#dropLost());
  }

  /** See `Mesh.beforeApplied`. */
  beforeApplied(settle: () => void): void {
    this.#settle = settle;
  }

  /** The last moment in which others hear us. */
  flush(): void {
    this.#follows.flush();
  }

  stop(): void {
    this.#isStopped = true;
    this.#follows.stop();
    clearImmediate(this.#turn);
    this.#asked.clear();
    this.#due.clear();
  }

  #ask(from: OwnerId, upTo: Version | undefined): void {
    if (upTo === undefined || this.#isStopped) return;
    const before = this.#asked.get(from);
    if (before === undefined || compareVersions(before, upTo) < 0) this.#asked.set(from, upTo);
    this.#answerSoon(from);
  }

  /** Told at once where we are: what came before it asked is not lost. */
  #follow(from: OwnerId, head: Version | undefined): void {
    if (head === undefined || this.#isStopped) return;
    this.#follows.follow(from);
    this.#answerSoon(from);
  }

  /** At the end of this turn: all changes that came in it have been told to all listeners by then. */
  #answerSoon(owner: OwnerId): void {
    this.#due.set(owner, this.#deps.nowMs());
    this.#turn ??= setImmediate(() => this.#answer());
  }

  #answer(): void {
    this.#turn = undefined;
    const { mesh, nowMs } = this.#deps;
    this.#settle();
    const inForceAtMs = nowMs();
    for (const [owner, storedAtMs] of this.#due) {
      const head = mesh.store.head(owner);
      if (head === undefined) continue;
      this.#tell(owner, head);
      this.#follows.inForce(owner, { head, storedAtMs, inForceAtMs });
    }
    this.#due.clear();
  }

  #tell(owner: OwnerId, head: Version): void {
    const upTo = this.#asked.get(owner);
    if (upTo === undefined) return;
    const { mesh, count } = this.#deps;
    if (mesh.tell(owner, APPLIED_TOPIC, encodeApplied(head))) count("applied-answers", 1);
    // If that is lost the owner asks again.
    if (compareVersions(head, upTo) >= 0) this.#asked.delete(owner);
  }

  /** Who is back asks again. */
  #dropLost(): void {
    if (this.#asked.size === 0 && this.#follows.isEmpty) return;
    const connected = connectedOwners(this.#deps.mesh.members());
    for (const owner of this.#asked.keys()) if (!connected.has(owner)) this.#asked.delete(owner);
    this.#follows.keep((owner) => connected.has(owner));
  }
}
