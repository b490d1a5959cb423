// Start ahead: what a start looks at on disk is looked at before, while it waits for its turn: requests may be held until it is done.

import type { VmSpec } from "./vm-driver.ts";

/** What was looked at so long ago may be another thing now. */
export const AHEAD_MS_MAX = 5_000;

export class StartAhead {
  readonly #look: () => Promise<VmSpec>;
  readonly #nowMs: () => number;
  #ahead: { readonly looked: Promise<VmSpec>; readonly atMs: number } | null = null;

  /** `look`: all of a VM but what it is told of itself. Rejects with why it cannot be started. */
  constructor(look: () => Promise<VmSpec>, nowMs: () => number) {
    this.#look = look;
    this.#nowMs = nowMs;
  }

  /** Looks, unless that was done just now. */
  look(): Promise<VmSpec> {
    const nowMs = this.#nowMs();
    if (this.#ahead !== null && nowMs - this.#ahead.atMs < AHEAD_MS_MAX) return this.#ahead.looked;
    const looked = this.#look();
    const ahead = { looked, atMs: nowMs };
    this.#ahead = ahead;
    // Who waits for it hears of it; the next may go better.
    looked.catch(() => {
      if (this.#ahead === ahead) this.#ahead = null;
    });
    return looked;
  }

  /** For one start: the next looks anew. `self`: what it is told of itself, over its own env. */
  async take(self: VmSpec["env"]): Promise<VmSpec> {
    const looked = this.look();
    this.#ahead = null;
    const spec = await looked;
    return { ...spec, env: { ...spec.env, ...self } };
  }
}
