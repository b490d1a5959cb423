// Network: loses, doubles, delays and so reorders messages between hosts, and is cut, both ways or one. Worse than the streams of the
// mesh, which lose only what their queue has no room for.

import type { Clock } from "./clock.ts";

/** Each run has its own shares, from none to these: what shows a fault where much is lost may hide it where nothing is, and the other way. */
const LOSS_MAX = 0.25;
const DOUBLE_MAX = 0.1;
const STRAY_MAX = 0.05;
/** Comes when its operation is over, or its sender has restarted. */
const STRAY_MS_MAX = 3_000;
const DELAY_MS_MIN = 0.5;
/** One way between the far ends of a region. */
const DELAY_MS_MAX = 25;
/** A process to itself. */
const LOCAL_MS = 0.02;

export class Network {
  readonly #clock: Clock;
  /** By sender, then receiver: until when it is cut. */
  readonly #cuts: number[][];
  readonly #loss: number;
  readonly #double: number;
  readonly #stray: number;
  #isFaulty = true;

  constructor(clock: Clock, hosts: number) {
    this.#clock = clock;
    // Most runs are near the lower end.
    this.#loss = LOSS_MAX * clock.random() ** 2;
    this.#double = DOUBLE_MAX * clock.random() ** 2;
    this.#stray = STRAY_MAX * clock.random() ** 2;
    this.#cuts = Array.from({ length: hosts }, () => Array.from({ length: hosts }, () => 0));
  }

  cut(from: number, to: number, untilMs: number): void {
    const row = this.#cuts[from];
    if (row !== undefined && from !== to) row[to] = Math.max(row[to] ?? 0, untilMs);
  }

  /** Nothing is lost or cut from here on. What is on its way stays so. */
  heal(): void {
    this.#isFaulty = false;
    for (const row of this.#cuts) row.fill(0);
  }

  send(from: number, to: number, deliver: () => void): void {
    const clock = this.#clock;
    if (from === to) {
      clock.after(LOCAL_MS, deliver);
      return;
    }
    if (this.#isCut(from, to) || (this.#isFaulty && clock.chance(this.#loss))) {
      clock.counts.lost += 1;
      return;
    }
    this.#deliver(from, to, deliver);
    if (!this.#isFaulty || !clock.chance(this.#double)) return;
    clock.counts.doubled += 1;
    this.#deliver(from, to, deliver);
  }

  #deliver(from: number, to: number, deliver: () => void): void {
    this.#clock.after(this.#delayMs(), () => {
      if (this.#isCut(from, to)) this.#clock.counts.lost += 1;
      else deliver();
    });
  }

  #delayMs(): number {
    const clock = this.#clock;
    if (this.#isFaulty && clock.chance(this.#stray)) return clock.between(DELAY_MS_MAX, STRAY_MS_MAX);
    // Most are near the lower end.
    return DELAY_MS_MIN + (DELAY_MS_MAX - DELAY_MS_MIN) * clock.random() ** 2;
  }

  #isCut(from: number, to: number): boolean {
    return (this.#cuts[from]?.[to] ?? 0) > this.#clock.nowMs;
  }
}
