// Clock: the queue of virtual time of one run, its chance, its counts and its story. The only thing that all parts share.

import type { RegisterName } from "../../register/certificate.ts";
import { EventQueue } from "../event-queue.ts";
import { seededRandom } from "../seeded-random.ts";
import type { BreakName } from "./breaks.ts";
import { type Counts, newCounts } from "./counts.ts";
import { inWords } from "./words.ts";

/** `register`: of which the line tells; null: of all. */
export type Trace = (atMs: number, line: string, register: RegisterName | null) => void;

export interface ClockOptions {
  readonly seed: number;
  readonly broken: BreakName | null;
  readonly trace: Trace | null;
}

export class Clock {
  readonly random: () => number;
  readonly counts: Counts = newCounts();
  readonly #broken: BreakName | null;
  readonly #trace: Trace | null;
  readonly #queue = new EventQueue<() => void>();
  #nowMs = 0;
  #events = 0;

  constructor({ seed, broken, trace }: ClockOptions) {
    this.random = seededRandom(seed);
    this.#broken = broken;
    this.#trace = trace;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** That have happened. */
  get events(): number {
    return this.#events;
  }

  isBroken(name: BreakName): boolean {
    return this.#broken === name;
  }

  after(delayMs: number, happen: () => void): void {
    this.#queue.push(this.#nowMs + delayMs, happen);
  }

  /** Until `isDone`, or that time at the latest; false: the time came first. */
  run(untilMs: number, isDone: () => boolean): boolean {
    while (!isDone()) {
      const atMs = this.#queue.nextAtMs;
      if (atMs > untilMs) return false;
      const happen = this.#queue.pop();
      this.#nowMs = atMs;
      this.#events += 1;
      happen?.();
    }
    return true;
  }

  /** The line is made only if somebody reads it. */
  tell(register: RegisterName | null, line: () => string): void {
    this.#trace?.(this.#nowMs, inWords(register, line()), register);
  }

  // --- chance

  chance(share: number): boolean {
    return this.random() < share;
  }

  between(min: number, max: number): number {
    return min + this.random() * (max - min);
  }

  pick<Item>(items: readonly Item[]): Item | undefined {
    return items[Math.floor(this.random() * items.length)];
  }
}
