// Gate word: what a gate itself answered, in place of an app, and what became of the attempt by it.

import type { GateAnswer } from "../core/gate-headers.ts";
import { GATE_ANSWER_BYTES_MAX } from "../limits.ts";
import type { Outcome } from "./attempt.ts";

/** 102 Processing: the gate's word that a VM takes the request, and that its body may follow. */
export const CLAIMED_STATUS = 102;

export class GateWord {
  readonly #answer: GateAnswer;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(answer: GateAnswer) {
    this.#answer = answer;
  }

  /** What is over the bound is dropped: a record that is cut proves nothing. */
  add(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > GATE_ANSWER_BYTES_MAX) this.#chunks = [];
    else this.#chunks.push(chunk);
  }

  outcome(): Outcome {
    const bytes = Buffer.concat(this.#chunks);
    switch (this.#answer) {
      case "shut":
      case "behind":
      case "ahead":
      case "closed":
        return { kind: "refused", why: this.#answer, bytes };
      case "unreachable":
        return { kind: "failed", status: 502, reason: bytes.toString(), ...NOTHING_SENT };
      case "late":
        return { kind: "failed", status: 504, reason: bytes.toString(), ...MAY_HAVE_RUN, timedOut: true };
      case "cut":
        return { kind: "cut" };
      case "failed":
        return { kind: "unsendable", reason: bytes.toString() };
      case "lost":
      case "done":
        return { kind: "failed", status: 502, reason: bytes.toString(), ...MAY_HAVE_RUN };
    }
  }
}

const NOTHING_SENT = { sent: false, responded: false, timedOut: false, gate: null } as const;
const MAY_HAVE_RUN = { sent: true, responded: false, timedOut: false, gate: null } as const;
