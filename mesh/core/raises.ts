// Raises: how high our incarnation must go, and how often it may. Each peer may hold another history of ours from before a
// lost disk, so some raises follow each other at once; a second process with our key would go on for ever.

import { INCARNATION_MAX, RAISE_INTERVAL_MS, RAISES_AT_ONCE_MAX } from "../limits.ts";

export interface Raise {
  readonly incarnation: number;
  /** So often that there must be another process with our key. */
  readonly isRepeated: boolean;
}

export class Raises {
  /** The incarnation that is being written to disk, or 0. */
  #pending = 0;
  #count = 0;
  #lastAtMs = 0;

  /** What must be on disk to be above `seen`; undefined if that is under way, or too soon. */
  above(seen: number, nowMs: number): Raise | undefined {
    const incarnation = seen + 1;
    if (incarnation <= this.#pending || incarnation > INCARNATION_MAX) return undefined;
    const isRepeated = this.#count >= RAISES_AT_ONCE_MAX;
    if (isRepeated && nowMs - this.#lastAtMs < RAISE_INTERVAL_MS) return undefined;
    this.#pending = incarnation;
    this.#count += 1;
    this.#lastAtMs = nowMs;
    return { incarnation, isRepeated };
  }

  /** It is on disk. False: a higher one follows, and this one is skipped. */
  end(incarnation: number): boolean {
    if (incarnation < this.#pending) return false;
    this.#pending = 0;
    return true;
  }
}
