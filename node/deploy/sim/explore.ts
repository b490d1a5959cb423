// Explore: every fault of the driver before every event of a scenario, one run each. Nothing is sampled. With a seed, events come in
// another order, and faults in twos.

import { seededRandom } from "../../../mesh/sim/seeded-random.ts";
import type { BreakName } from "./breaks.ts";
import { FAULT_NAMES, type Fault, type RunResult, run } from "./run.ts";
import { SCENARIOS } from "./scenarios.ts";

export interface ExploreTask {
  /** Of `SCENARIOS`. */
  readonly scenario: number;
  /** 0: every fault before every event, in the one order. */
  readonly seed: number;
  readonly broken: BreakName | null;
}

export interface Violation {
  readonly scenario: string;
  readonly seed: number;
  readonly faults: readonly Fault[];
  readonly text: string;
  /** The last of what happened. */
  readonly lines: readonly string[];
}

export interface Explored {
  readonly scenario: string;
  readonly runs: number;
  readonly events: number;
  readonly commits: number;
  /** How many runs ended so. */
  readonly states: Readonly<Record<string, number>>;
  readonly violations: number;
  readonly first: Violation | null;
}

const STORY_LINES = 60;
/** Runs of one seed: each with two faults anywhere. */
const RUNS_PER_SEED = 40;

export function explore({ scenario: index, seed, broken }: ExploreTask): Explored {
  const scenario = SCENARIOS[index];
  if (scenario === undefined) throw new Error(`there is no scenario ${index}`);
  const tally = new Tally(scenario.name, seed);
  const undisturbed = run({ scenario, faults: [], broken, random: null });
  tally.add(undisturbed, []);
  if (seed === 0) {
    for (let atEvent = 0; atEvent < undisturbed.events; atEvent += 1) {
      for (const kind of FAULT_NAMES) {
        const faults = [{ kind, atEvent }];
        tally.add(run({ scenario, faults, broken, random: null }), faults);
      }
    }
    return tally.explored;
  }
  const random = seededRandom(seed * SCENARIOS.length + index);
  for (let count = 0; count < RUNS_PER_SEED; count += 1) {
    const faults = [anyFault(random, undisturbed.events), anyFault(random, undisturbed.events)];
    tally.add(run({ scenario, faults, broken, random }), faults);
  }
  return tally.explored;
}

function anyFault(random: () => number, events: number): Fault {
  const kind = FAULT_NAMES[Math.floor(random() * FAULT_NAMES.length)] ?? "crash-lost";
  return { kind, atEvent: Math.floor(random() * events) };
}

class Tally {
  readonly #scenario: string;
  readonly #seed: number;
  readonly #states = new Map<string, number>();
  #runs = 0;
  #events = 0;
  #commits = 0;
  #violations = 0;
  #first: Violation | null = null;

  constructor(scenario: string, seed: number) {
    this.#scenario = scenario;
    this.#seed = seed;
  }

  add({ events, commits, state, violation, lines }: RunResult, faults: readonly Fault[]): void {
    this.#runs += 1;
    this.#events += events;
    this.#commits += commits;
    this.#states.set(state, (this.#states.get(state) ?? 0) + 1);
    if (violation === null) return;
    this.#violations += 1;
    const head = { scenario: this.#scenario, seed: this.#seed, faults, text: violation };
    this.#first ??= { ...head, lines: lines.slice(-STORY_LINES) };
  }

  get explored(): Explored {
    return {
      scenario: this.#scenario,
      runs: this.#runs,
      events: this.#events,
      commits: this.#commits,
      states: Object.fromEntries(this.#states),
      violations: this.#violations,
      first: this.#first,
    };
  }
}
