// Forgotten: the owners that an operator removed. Remembered for a while, so that a straggler cannot bring their entries
// back; a start that they begin later is welcome.

import { FORGOTTEN_OWNERS_MAX } from "../limits.ts";
import type { OwnerId } from "./ids.ts";
import { compareStarts, type Start } from "./version.ts";

export class Forgotten {
  /** The last start of each that was forgotten. Insertion order is age. */
  readonly #starts = new Map<OwnerId, Start>();

  /** Words may come in any order: the highest start counts. */
  add(owner: OwnerId, start: Start): void {
    if (this.covers(owner, start)) return;
    this.#starts.delete(owner);
    this.#starts.set(owner, start);
    if (this.#starts.size <= FORGOTTEN_OWNERS_MAX) return;
    const [oldest] = this.#starts.keys();
    if (oldest !== undefined) this.#starts.delete(oldest);
  }

  /** True for what must not come back: a start up to the one that was forgotten. */
  covers(owner: OwnerId, start: Start): boolean {
    const forgotten = this.#starts.get(owner);
    return forgotten !== undefined && compareStarts(start, forgotten) <= 0;
  }

  /** The owner is back with a later start. */
  remove(owner: OwnerId): void {
    this.#starts.delete(owner);
  }
}
