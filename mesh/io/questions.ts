// Questions: digests and pulls that wait for their answer, one a turn of the event loop. An answer may take milliseconds; a
// hundred members that join at once must not keep everybody else waiting for all of theirs.

import type { OwnerId } from "../core/ids.ts";
import type { DigestMessage, PullMessage } from "../core/message.ts";

export type Question = DigestMessage | PullMessage;

/** Pulls of one peer that wait; each names one owner or a few, and an honest peer has one for each at a time. */
const PULLS_PER_PEER_MAX = 64;

interface Asked {
  readonly from: OwnerId;
  /** The newest one stands for all before: it says what its sender holds now. */
  digest: DigestMessage | undefined;
  readonly pulls: PullMessage[];
}

export class Questions {
  readonly #answer: (from: OwnerId, question: Question) => void;
  readonly #onDropped: () => void;
  /** Who asked, in the order of their turns. */
  readonly #asked = new Map<OwnerId, Asked>();
  #turn: NodeJS.Immediate | undefined;

  constructor(answer: (from: OwnerId, question: Question) => void, onDropped: () => void) {
    this.#answer = answer;
    this.#onDropped = onDropped;
  }

  add(from: OwnerId, question: Question): void {
    const asked = this.#asked.get(from) ?? { from, digest: undefined, pulls: [] };
    this.#asked.set(from, asked);
    if (question.kind === "digest") asked.digest = question;
    else if (asked.pulls.length < PULLS_PER_PEER_MAX) asked.pulls.push(question);
    else this.#onDropped();
    this.#turn ??= setImmediate(() => this.#next());
  }

  /** A peer that was lost waits for no answer. */
  drop(from: OwnerId): void {
    this.#asked.delete(from);
  }

  stop(): void {
    this.#asked.clear();
    clearImmediate(this.#turn);
  }

  #next(): void {
    this.#turn = undefined;
    const [asked] = this.#asked.values();
    if (asked === undefined) return;
    // Its next one comes after those of all others.
    this.#asked.delete(asked.from);
    const question = asked.pulls.shift() ?? asked.digest;
    if (question?.kind === "digest") asked.digest = undefined;
    if (asked.pulls.length > 0 || asked.digest !== undefined) this.#asked.set(asked.from, asked);
    if (this.#asked.size > 0) this.#turn = setImmediate(() => this.#next());
    if (question !== undefined) this.#answer(asked.from, question);
  }
}
