// Convergence: how long each write of ours took until the last of those who must have it had it. Whom it must reach is frozen
// when it is written; who never says so makes it lost, not forgotten. Pure: clocks are arguments, and what is kept is bounded.

import { CONVERGENCE_DEADLINE_MS, CONVERGENCE_WRITES_MAX } from "../limits.ts";
import { Histogram, type HistogramView } from "./histogram.ts";
import type { OwnerId } from "./ids.ts";

/** Seconds. From one hop on loopback to the deadline; denser where a healthy cluster is, so that a change can be seen. */
const BUCKETS_SECONDS: readonly number[] = [
  0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5,
  10, 30,
];

/** `proxies`: the last of them routes by it. `stores`: the last member, host or proxy, holds it. */
const GOALS = ["proxies", "stores"] as const;
type Goal = (typeof GOALS)[number];

/**
 * Why a write is counted as lost. `deadline`: somebody has not said in time that it has it. `new-start`: we began a new start,
 * so nobody will. `bound`: too many were under way, this was the oldest.
 */
const LOSSES = ["deadline", "new-start", "bound"] as const;
type Loss = (typeof LOSSES)[number];

export interface GoalView {
  /** Writes that somebody had to get: those in `seconds`, those lost, and those under way. */
  readonly writes: number;
  readonly seconds: HistogramView;
  readonly lost: Readonly<Record<Loss, number>>;
}

export type ConvergenceView = Readonly<Record<Goal, GoalView>>;

/** Whom a write must reach. One object for all writes between two changes of the cluster. */
export type Audience = Readonly<Record<Goal, ReadonlySet<OwnerId>>>;

/** What a member told: our history up to `counter` is held there, since `storesMs`, and in force, since `proxiesMs`, by our clock. */
export interface Reached {
  readonly counter: number;
  readonly atMs: Readonly<Record<Goal, number>>;
}

interface Progress {
  left: number;
  lastMs: number;
}

interface Write {
  readonly counter: number;
  readonly atMs: number;
  readonly audience: Audience;
  readonly progress: Readonly<Record<Goal, Progress>>;
}

export class Convergence {
  /** In the order of their counters. */
  #pending: Write[] = [];
  /** How far each member said that it is, of this start. */
  readonly #reached: Readonly<Record<Goal, Map<OwnerId, number>>> = { proxies: new Map(), stores: new Map() };
  readonly #goals: Readonly<Record<Goal, GoalCount>> = { proxies: new GoalCount(), stores: new GoalCount() };

  /** `counter`: of this start. A write that a listener does while it hears of another comes before that one. */
  wrote(counter: number, atMs: number, audience: Audience): void {
    const begin = (goal: Goal): Progress => ({ left: audience[goal].size, lastMs: 0 });
    const progress = { proxies: begin("proxies"), stores: begin("stores") };
    for (const goal of GOALS) if (progress[goal].left > 0) this.#goals[goal].writes += 1;
    if (isOver(progress)) return;
    const at = this.#pending.findLastIndex((write) => write.counter < counter) + 1;
    this.#pending.splice(at, 0, { counter, atMs, audience, progress });
    if (this.#pending.length > CONVERGENCE_WRITES_MAX) this.#lose(this.#pending.splice(0, 1), "bound");
  }

  reached(owner: OwnerId, { counter, atMs }: Reached): void {
    for (const goal of GOALS) {
      const before = this.#reached[goal].get(owner) ?? 0;
      if (counter <= before) continue;
      this.#reached[goal].set(owner, counter);
      this.#advance(goal, owner, { before, counter, atMs: atMs[goal] });
    }
    const done = this.#pending.findIndex((write) => !isOver(write.progress));
    this.#pending.splice(0, done === -1 ? this.#pending.length : done);
  }

  /** Gives up what is past its deadline. */
  expire(nowMs: number): void {
    const first = this.#pending.findIndex(({ atMs }) => nowMs - atMs < CONVERGENCE_DEADLINE_MS);
    this.#lose(this.#pending.splice(0, first === -1 ? this.#pending.length : first), "deadline");
  }

  /** Nothing of what is under way will be said any more. Members begin from nothing again. */
  end(loss: Loss): void {
    this.#lose(this.#pending.splice(0), loss);
    for (const goal of GOALS) this.#reached[goal].clear();
  }

  get isIdle(): boolean {
    return this.#pending.length === 0;
  }

  /** Who has not said yet that it has a write from `beforeMs` or earlier. */
  awaited(beforeMs: number): ReadonlySet<OwnerId> {
    const owners = new Set<OwnerId>();
    const seen = new Set<Audience>();
    // From the last on: who lacks an earlier one lacks this one too.
    for (const { atMs, counter, audience } of this.#pending.toReversed()) {
      if (atMs > beforeMs || seen.has(audience)) continue;
      seen.add(audience);
      for (const goal of GOALS) {
        const reached = this.#reached[goal];
        for (const owner of audience[goal]) if ((reached.get(owner) ?? 0) < counter) owners.add(owner);
      }
    }
    return owners;
  }

  /** Who left takes no memory. Not while something is under way: who is back would be counted twice. */
  forget(isKnown: (owner: OwnerId) => boolean): void {
    if (!this.isIdle) return;
    for (const goal of GOALS)
      for (const owner of this.#reached[goal].keys()) if (!isKnown(owner)) this.#reached[goal].delete(owner);
  }

  view(): ConvergenceView {
    return { proxies: this.#goals.proxies.view(), stores: this.#goals.stores.view() };
  }

  #advance(goal: Goal, owner: OwnerId, step: { before: number; counter: number; atMs: number }): void {
    for (let at = this.#firstAfter(step.before); at < this.#pending.length; at += 1) {
      const write = this.#pending[at];
      if (write === undefined || write.counter > step.counter) return;
      if (!write.audience[goal].has(owner)) continue;
      const progress = write.progress[goal];
      progress.left -= 1;
      progress.lastMs = Math.max(progress.lastMs, step.atMs - write.atMs);
      if (progress.left === 0) this.#goals[goal].seconds.add(progress.lastMs / 1_000);
    }
  }

  /** Binary search: behind a silent member thousands may wait. */
  #firstAfter(counter: number): number {
    let [low, high] = [0, this.#pending.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#pending[middle]?.counter ?? 0) <= counter) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #lose(writes: readonly Write[], loss: Loss): void {
    for (const { progress } of writes)
      for (const goal of GOALS) if (progress[goal].left > 0) this.#goals[goal].lost[loss] += 1;
  }
}

class GoalCount {
  writes = 0;
  readonly seconds: Histogram = new Histogram(BUCKETS_SECONDS);
  readonly lost: Record<Loss, number> = { deadline: 0, "new-start": 0, bound: 0 };

  view(): GoalView {
    return { writes: this.writes, seconds: this.seconds.view(), lost: { ...this.lost } };
  }
}

function isOver(progress: Write["progress"]): boolean {
  return GOALS.every((goal) => progress[goal].left === 0);
}
