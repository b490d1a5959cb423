// Compaction: collects tombstones after a grace. Ages are local: now and then the counter of each state is marked, and what
// lies at or below a mark older than the grace goes. Thin on purpose; owners that died are not collected here.

import { COMPACTION_INTERVAL_MS } from "../limits.ts";
import type { HostState } from "./host-state.ts";

interface Mark {
  readonly counter: number;
  readonly atMs: number;
}

export class Compaction {
  readonly #graceMs: number;
  readonly #isSafe: boolean;
  readonly #marks = new WeakMap<HostState, Mark[]>();
  #lastRunAtMs = Number.NEGATIVE_INFINITY;

  /** `isSafe` false: what went is not told (`Protections.tombstoneGrace`). */
  constructor(graceMs: number, isSafe: boolean) {
    this.#graceMs = graceMs;
    this.#isSafe = isSafe;
  }

  /** Returns how many tombstones went. Runs at most once an interval, however often it is called. */
  run(states: Iterable<HostState>, nowMs: number): number {
    if (nowMs - this.#lastRunAtMs < Math.min(COMPACTION_INTERVAL_MS, this.#graceMs / 4)) return 0;
    this.#lastRunAtMs = nowMs;
    let collected = 0;
    for (const state of states) collected += this.#runOne(state, nowMs);
    return collected;
  }

  #runOne(state: HostState, nowMs: number): number {
    const marks = this.#marks.get(state) ?? [];
    const firstYoung = marks.findIndex((mark) => nowMs - mark.atMs < this.#graceMs);
    const old = marks.splice(0, firstYoung === -1 ? marks.length : firstYoung);
    marks.push({ counter: state.counter, atMs: nowMs });
    this.#marks.set(state, marks);
    const upTo = old.at(-1);
    return upTo === undefined ? 0 : state.compact(upTo.counter, this.#isSafe);
  }
}
