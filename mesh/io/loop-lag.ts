// LoopLag: how late our own event loop is, as a timer sees it. A process that gets little CPU, or has too much to do, is late.

/** Often enough to see a stall that a handshake would see. */
const LOOK_INTERVAL_MS = 100;
/** What was seen counts for so many looks: one that is on time amid many that are late proves nothing. */
const LOOKS_KEPT = 10;

export class LoopLag {
  readonly #looks: number[] = [];
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

  /** The latest that a look of the last second was, milliseconds. */
  get worstMs(): number {
    return Math.max(0, ...this.#looks);
  }

  #look(): void {
    const nowMs = performance.now();
    const lagMs = nowMs - this.#dueAtMs;
    this.#sinceTakenMs = Math.max(this.#sinceTakenMs, lagMs);
    this.#looks.push(lagMs);
    if (this.#looks.length > LOOKS_KEPT) this.#looks.shift();
    this.#dueAtMs = nowMs + LOOK_INTERVAL_MS;
  }
}
