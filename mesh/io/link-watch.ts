// LinkWatch: whether the peer at the other end of a link still gives signs of life. A link that is quiet both ways is pinged
// now and then. One on which we said something and heard nothing is in doubt: pinged each tick, and given up when that many
// stay unanswered. Pings are counted, not timed: after a stall of our own the first tick blames nobody.

import { KEEPALIVE_INTERVAL_MS, PING_INTERVAL_MS, PINGS_MISSED_MAX } from "../limits.ts";

const KEEPALIVE_TICKS = KEEPALIVE_INTERVAL_MS / PING_INTERVAL_MS;
/** Of the interval, at random: links that came up together are not all pinged in one tick. */
const KEEPALIVE_JITTER = 0.3;

/** What to do in a tick. `dead`: the peer is to be given up. */
export type WatchStep = "nothing" | "ping" | "dead";

export class LinkWatch {
  readonly #random: () => number;
  #wasHeard = true;
  /** Since something was heard. Of what was said in the same tick after that a doubt is not worth its ping. */
  #hasSaid = false;
  #missedPings = 0;
  #quietTicks = 0;
  #patienceTicks = 0;

  /** `random`: in [0, 1). */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Any sign of life. */
  heard(): void {
    this.#wasHeard = true;
  }

  /** Anything that was said to it, also if it was dropped because it takes nothing. */
  said(): void {
    this.#hasSaid = true;
  }

  /** What was heard before counts no more. Returns whether it is to be pinged now: no doubt is under way. */
  doubt(): boolean {
    this.#wasHeard = false;
    this.#hasSaid = true;
    return this.#missedPings === 0;
  }

  /** Each `PING_INTERVAL_MS`. */
  tick(): WatchStep {
    if (this.#wasHeard) return this.#begin();
    if (!this.#hasSaid) {
      this.#quietTicks += 1;
      if (this.#quietTicks < this.#patienceTicks) return "nothing";
    }
    this.#missedPings += 1;
    return this.#missedPings > PINGS_MISSED_MAX ? "dead" : "ping";
  }

  #begin(): WatchStep {
    this.#wasHeard = false;
    this.#hasSaid = false;
    this.#missedPings = 0;
    this.#quietTicks = 0;
    this.#patienceTicks = Math.ceil(KEEPALIVE_TICKS * (1 - KEEPALIVE_JITTER * this.#random()));
    return "nothing";
  }
}
