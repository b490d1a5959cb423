// Raises: how high our incarnation must go, and how often it may. Each peer may hold another history of ours from before a
// lost disk, so some raises follow each other at once; each costs everyone our whole state, so more are spread over time.

import { INCARNATION_MAX, RAISE_INTERVAL_MS, RAISES_AT_ONCE_MAX } from "../limits.ts";
import type { Start } from "./version.ts";

export class Raises {
  /** The incarnation that is being written to disk, or 0. */
  #pending = 0;
  #seen: Start = { incarnation: 0, startId: 0 };
  #count = 0;
  #lastAtMs = 0;

  /** What the raise under way is above. */
  get seen(): Start {
    return this.#seen;
  }

  /** What must be on disk to be above `seen`; undefined if that is under way, or too soon. */
  above(seen: Start, nowMs: number): number | undefined {
    const incarnation = seen.incarnation + 1;
    if (incarnation <= this.#pending || incarnation > INCARNATION_MAX) return undefined;
    if (this.#count >= RAISES_AT_ONCE_MAX && nowMs - this.#lastAtMs < RAISE_INTERVAL_MS) return undefined;
    this.#pending = incarnation;
    this.#seen = seen;
    this.#count += 1;
    this.#lastAtMs = nowMs;
    return incarnation;
  }

  /** It is on disk. False: a higher one follows, and this one is skipped. */
  end(incarnation: number): boolean {
    if (incarnation < this.#pending) return false;
    this.#pending = 0;
    return true;
  }
}
