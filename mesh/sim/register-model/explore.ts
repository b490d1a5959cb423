// Explore: all states of a scenario, breadth first, each once; the first violation with the shortest way to it.

import { type BreakName, breakOf } from "./breaks.ts";
import type { State } from "./layout.ts";
import { Model, type Outgoing } from "./model.ts";
import type { Scenario } from "./scenario.ts";
import { SeenStates } from "./seen-states.ts";
import { type Step, tellStory } from "./story.ts";

export interface ExploreOptions {
  readonly scenario: Scenario;
  readonly broken: BreakName | null;
  /** Moves from the first state, at most; null: no bound. */
  readonly depthMax: number | null;
}

export interface Exploration {
  readonly scenario: string;
  readonly broken: BreakName | null;
  readonly states: number;
  readonly transitions: number;
  /** Moves to those that were reached last. */
  readonly depth: number;
  /** All states within the scenario's bounds were looked at. */
  readonly isExhausted: boolean;
  /** Moves that would have needed more ballots than the scenario has. */
  readonly cuts: number;
  readonly seconds: number;
  readonly violation: Violation | null;
}

interface Violation {
  readonly text: string;
  /** Moves to it, the fewest there are. */
  readonly depth: number;
  /** A line for each move. */
  readonly story: readonly string[];
}

export function explore({ scenario, broken, depthMax }: ExploreOptions): Exploration {
  const startedMs = performance.now();
  const names = broken === null ? [] : [broken, ...(breakOf(broken).also ?? [])];
  const model = new Model(scenario, { broken: new Set(names) });
  const search = new Search(model);
  let depth = 0;
  while (search.isOpen && (depthMax === null || depth < depthMax)) {
    search.expand();
    depth += 1;
  }
  const { states, transitions, isOpen, found } = search;
  return {
    scenario: scenario.name,
    broken,
    states,
    transitions,
    depth,
    isExhausted: !isOpen && found === null,
    cuts: model.cuts,
    seconds: (performance.now() - startedMs) / 1_000,
    violation:
      found === null ? null : { text: found.text, depth, story: tellStory(model, search.wayTo(found)) },
  };
}

interface Found {
  readonly text: string;
  /** Index of the state before it. */
  readonly from: number;
  readonly last: Step;
}

/** The states of one depth, one after the other. */
class Level {
  readonly #width: number;
  #states: State;
  size = 0;

  constructor(width: number) {
    this.#width = width;
    this.#states = new Int32Array(1_024 * width);
  }

  push(state: State): void {
    const at = this.size * this.#width;
    if (at === this.#states.length) {
      const wider = new Int32Array(2 * at);
      wider.set(this.#states);
      this.#states = wider;
    }
    this.#states.set(state, at);
    this.size += 1;
  }

  /** A view. */
  get(at: number): State {
    return this.#states.subarray(at * this.#width, (at + 1) * this.#width);
  }
}

class Search {
  readonly #model: Model;
  readonly #seen = new SeenStates();
  /** States of the newest depth; their indices end with the newest. */
  #level: Level;
  transitions = 0;
  found: Found | null = null;

  constructor(model: Model) {
    this.#model = model;
    this.#level = new Level(model.layout.width);
    const first = model.first();
    const { high, low } = model.fingerprint(first);
    this.#seen.add(high, low, 0);
    this.#level.push(first);
  }

  get states(): number {
    return this.#seen.size;
  }

  get isOpen(): boolean {
    return this.#level.size > 0 && this.found === null;
  }

  /** From the newest depth to the next. */
  expand(): void {
    const level = this.#level;
    const next = new Level(this.#model.layout.width);
    const firstIndex = this.#seen.size - level.size;
    let index = firstIndex;
    let state = level.get(0);
    const emit = (successor: State, { move, ended, violation }: Outgoing): void => {
      this.transitions += 1;
      if (violation !== null) {
        const last = { before: state.slice(), move, ended, after: successor.slice() };
        this.found ??= { text: violation, from: index, last };
        return;
      }
      const { high, low } = this.#model.fingerprint(successor);
      if (this.#seen.add(high, low, index) >= 0) next.push(successor);
    };
    for (let at = 0; at < level.size && this.found === null; at += 1) {
      index = firstIndex + at;
      state = level.get(at);
      this.#model.successors(state, emit);
    }
    this.#level = next;
  }

  /** From the first state: each state on the way is the first successor that has its hash. */
  wayTo({ from, last }: Found): readonly Step[] {
    const steps: Step[] = [];
    let before = this.#model.first();
    for (const { high, low } of this.#seen.pathTo(from).slice(1)) {
      let step: Step | null = null;
      this.#model.successors(before, (after, { move, ended, violation }) => {
        if (step !== null || violation !== null) return;
        const print = this.#model.fingerprint(after);
        if (print.high === high && print.low === low) step = { before, move, ended, after: after.slice() };
      });
      if (step === null) throw new Error("bug: a state on the way has no successor that is the next");
      steps.push(step);
      before = (step as Step).after;
    }
    return [...steps, last];
  }
}
