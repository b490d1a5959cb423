// Sim time: one clock for all. Every event takes a moment; when nothing else can happen, it goes on to the next thing that is due,
// whatever that is: no deadline is met while something is under way that would have come before it.

/** What one event takes. */
const EVENT_MS = 5;

export interface Timer {
  readonly atMs: number;
  readonly run: () => void;
}

export class SimTime {
  nowMs = 0;
  /** The next one first; of two that are due at the same time the older one. */
  readonly #timers: Timer[] = [];

  after(delayMs: number, run: () => void): Timer {
    return this.at(this.nowMs + delayMs, run);
  }

  at(atMs: number, run: () => void): Timer {
    const timer = { atMs: Math.max(atMs, this.nowMs), run };
    let index = this.#timers.length;
    while (index > 0 && (this.#timers[index - 1] as Timer).atMs > timer.atMs) index -= 1;
    this.#timers.splice(index, 0, timer);
    return timer;
  }

  cancel(timer: Timer | null): void {
    const index = timer === null ? -1 : this.#timers.indexOf(timer);
    if (index >= 0) this.#timers.splice(index, 1);
  }

  /** What was due meanwhile is done. */
  passMoment(): void {
    this.#passUntil(this.nowMs + EVENT_MS);
  }

  /** On to the next thing that is due. False: nothing ever is. */
  skip(): boolean {
    const next = this.#timers[0];
    if (next === undefined) return false;
    this.#passUntil(next.atMs);
    return true;
  }

  #passUntil(endMs: number): void {
    for (let next = this.#timers[0]; next !== undefined && next.atMs <= endMs; next = this.#timers[0]) {
      this.#timers.shift();
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
    }
    this.nowMs = endMs;
  }
}
