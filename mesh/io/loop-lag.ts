// LoopLag: how late our own event loop is, as a timer sees it. A process that gets little CPU, or has too much to do, is late.

import { LAG_KEPT_MS } from "../limits.ts";

/** Often enough to see a stall that a handshake would see. */
const LOOK_INTERVAL_MS = 100;

export class LoopLag {
  /** The last looks, oldest first. */
  readonly #looksMs: number[] = [];
  #timer: NodeJS.Timeout | undefined;
  #dueAtMs = 0;
  #sinceTakenMs = 0;

  start(): void {
    this.#dueAtMs = performance.now() + LOOK_INTERVAL_MS;
    this.#timer = setInterval(() => this.#look(), LOOK_INTERVAL_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The latest of the looks since this was asked last, milliseconds. */
  takeWorstMs(): number {
    const worstMs = this.#sinceTakenMs;
    this.#sinceTakenMs = 0;
    return worstMs;
  }

  /** The latest that a look of so many last milliseconds was, at most `LAG_KEPT_MS`. A loop that stalls looks less often: of more then. */
  worstMs(withinMs: number): number {
    return Math.max(0, ...this.#looksMs.slice(-Math.ceil(withinMs / LOOK_INTERVAL_MS)));
  }

  #look(): void {
    const nowMs = performance.now();
    const lagMs = nowMs - this.#dueAtMs;
    this.#sinceTakenMs = Math.max(this.#sinceTakenMs, lagMs);
    this.#looksMs.push(lagMs);
    if (this.#looksMs.length > LAG_KEPT_MS / LOOK_INTERVAL_MS) this.#looksMs.shift();
    this.#dueAtMs = nowMs + LOOK_INTERVAL_MS;
  }
}
