// Applied answers: tells an owner how much of what it wrote is in force here. It asked up to a version, and hears of each
// step until that is reached: a state, not an event, so that a lost or repeated message does no harm.

import { type ZodType, z } from "zod";
import type { OwnerId } from "../core/ids.ts";
import { compareVersions, type Version } from "../core/version.ts";
import { connectedOwners, type Mesh } from "../mesh.ts";
import { decodeRecord, encodeRecord } from "../records/record-codec.ts";
import { versionShape } from "../records/shapes.ts";

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
  readonly count: (counter: "applied-answers", by: number) => void;
}

export class AppliedAnswers {
  readonly #deps: AppliedAnswersDeps;
  /** Up to where each asked; only of who is connected. */
  readonly #asked = new Map<OwnerId, Version>();
  readonly #due = new Set<OwnerId>();
  #settle: () => void = () => undefined;
  #turn: NodeJS.Immediate | undefined;
  #isStopped = false;

  constructor(deps: AppliedAnswersDeps) {
    this.#deps = deps;
    const { mesh } = deps;
    mesh.onTell(APPLIED_ASK_TOPIC, (bytes, from) => this.#ask(from, decodeApplied(bytes)));
    mesh.onChange(({ owner }) => {
      if (this.#asked.has(owner)) this.#answerSoon(owner);
    });
    mesh.onMembers(() => this.#dropLost());
  }

  /** See `Mesh.beforeApplied`. */
  beforeApplied(settle: () => void): void {
    this.#settle = settle;
  }

  stop(): void {
    this.#isStopped = true;
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

  /** At the end of this turn: all changes that came in it have been told to all listeners by then. */
  #answerSoon(owner: OwnerId): void {
    this.#due.add(owner);
    this.#turn ??= setImmediate(() => this.#answer());
  }

  #answer(): void {
    this.#turn = undefined;
    const { mesh, count } = this.#deps;
    this.#settle();
    for (const owner of this.#due) {
      const head = mesh.store.head(owner);
      const upTo = this.#asked.get(owner);
      if (head === undefined || upTo === undefined) continue;
      if (mesh.tell(owner, APPLIED_TOPIC, encodeApplied(head))) count("applied-answers", 1);
      // If that is lost the owner asks again.
      if (compareVersions(head, upTo) >= 0) this.#asked.delete(owner);
    }
    this.#due.clear();
  }

  /** Who is back asks again. */
  #dropLost(): void {
    if (this.#asked.size === 0) return;
    const connected = connectedOwners(this.#deps.mesh.members());
    for (const owner of this.#asked.keys()) if (!connected.has(owner)) this.#asked.delete(owner);
  }
}
