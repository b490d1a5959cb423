// Explore: every fault before every event of a scenario, one run each. Nothing is sampled. With a seed, events come in another order,
// and faults in twos.

import { isExclusive } from "../../mesh/index.ts";
import { seededRandom } from "../../mesh/sim/seeded-random.ts";
import type { BreakName } from "./breaks.ts";
import {
  DRIVER_FAULT_NAMES,
  EXCLUSIVE_FAULT_NAMES,
  type Fault,
  type FaultName,
  MEMBER_FAULT_NAMES,
} from "./faults.ts";
import { type RunOptions, type RunResult, run } from "./run.ts";
import { SCENARIOS, type Scenario } from "./scenarios.ts";

export interface ExploreTask {
  /** Of `SCENARIOS`. */
  readonly scenario: number;
  /** 0: every fault before every event, in the one order. */
  readonly seed: number;
  readonly broken: BreakName | null;
  /** Ends at the first violation. */
  readonly isFirstEnough?: boolean;
  /** Before every event one fault that finds something to break, in turn, and not each of them. */
  readonly isCover?: boolean;
  /** Only these; absent: all that the scenario asks for. */
  readonly faults?: readonly FaultName[] | undefined;
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
  /** Events of the undisturbed run: before each of them each fault was tried. */
  readonly points: number;
  readonly runs: number;
  readonly events: number;
  readonly commits: number;
  readonly requests: number;
  /** How many runs ended so. */
  readonly states: Readonly<Record<string, number>>;
  readonly violations: number;
  readonly first: Violation | null;
}

const STORY_LINES = 90;
/** Runs of one seed: each with two faults anywhere. */
const RUNS_PER_SEED = 40;

export function explore({
  scenario: index,
  seed,
  broken,
  isFirstEnough = false,
  isCover = false,
  faults: asked,
}: ExploreTask): Explored {
  const scenario = SCENARIOS[index];
  if (scenario === undefined) throw new Error(`there is no scenario ${index}`);
  const ofAll = [...DRIVER_FAULT_NAMES, ...MEMBER_FAULT_NAMES];
  const ofExclusive = isExclusive(scenario) ? EXCLUSIVE_FAULT_NAMES : [];
  const known = scenario.breadth === "all" || seed !== 0 ? [...ofAll, ...ofExclusive] : DRIVER_FAULT_NAMES;
  const kinds = asked ?? known;
  const undisturbed = run({ scenario, faults: [], broken, random: null });
  const points = undisturbed.events;
  const tally = new Tally(scenario, seed, points);
  tally.add({ scenario, faults: [], broken, random: null }, undisturbed);
  /** The first of them that finds something to break. */
  const strikes = (kinds: readonly FaultName[], atEvent: number): FaultName | null => {
    let left = kinds;
    for (let [kind, ...instead] = left; kind !== undefined; [kind, ...instead] = left) {
      const faults = [{ kind, atEvent }];
      const result = tally.try({ scenario, faults, instead, broken, random: null });
      if (result.faults !== null) return result.faults[0]?.kind ?? null;
      left = result.untried;
    }
    return null;
  };
  if (seed === 0) {
    let turn = 0;
    for (let atEvent = 0; atEvent < points; atEvent += 1) {
      if (isFirstEnough && tally.hasFound) break;
      if (isCover) {
        const struck = strikes(inTurn(kinds, turn), atEvent);
        turn = struck === null ? turn : (kinds.indexOf(struck) + 1) % kinds.length;
        continue;
      }
      for (let left = kinds; left.length > 0; ) {
        const struck = strikes(left, atEvent);
        left = struck === null ? [] : left.slice(left.indexOf(struck) + 1);
      }
    }
    return tally.explored;
  }
  const random = seededRandom(seed * SCENARIOS.length + index);
  for (let count = 0; count < RUNS_PER_SEED; count += 1) {
    const faults = [anyFault(random, kinds, points), anyFault(random, kinds, points)];
    // Of its own: so that the same run can be told again.
    const order = Math.floor(random() * 2 ** 31);
    tally.try({ scenario, faults, broken, random: seededRandom(order) }, seededRandom(order));
  }
  return tally.explored;
}

function inTurn(kinds: readonly FaultName[], from: number): readonly FaultName[] {
  return [...kinds.slice(from), ...kinds.slice(0, from)];
}

function anyFault(random: () => number, kinds: readonly FaultName[], events: number): Fault {
  const kind = kinds[Math.floor(random() * kinds.length)] ?? "driver-crash";
  return { kind, atEvent: Math.floor(random() * events) };
}

class Tally {
  readonly #scenario: Scenario;
  readonly #seed: number;
  readonly #points: number;
  readonly #states = new Map<string, number>();
  readonly #sums = { runs: 0, events: 0, commits: 0, requests: 0, violations: 0 };
  #first: Violation | null = null;

  constructor(scenario: Scenario, seed: number, points: number) {
    this.#scenario = scenario;
    this.#seed = seed;
    this.#points = points;
  }

  /** `again`: the same randomness from its beginning. */
  try(options: RunOptions, again: RunOptions["random"] = null): RunResult {
    const result = run(options);
    this.add(options, result, again);
    return result;
  }

  add(options: RunOptions, result: RunResult, again: RunOptions["random"] = null): void {
    const { faults } = result;
    if (faults === null) return;
    const sums = this.#sums;
    sums.runs += 1;
    sums.events += result.events;
    sums.commits += result.commits;
    sums.requests += result.requests;
    this.#states.set(result.state, (this.#states.get(result.state) ?? 0) + 1);
    if (result.violation === null) return;
    sums.violations += 1;
    if (this.#first !== null) return;
    const { lines } = run({ ...options, faults, random: again, isTold: true });
    const head = { scenario: this.#scenario.name, seed: this.#seed, faults, text: result.violation };
    this.#first = { ...head, lines: lines.slice(-STORY_LINES) };
  }

  get hasFound(): boolean {
    return this.#first !== null;
  }

  get explored(): Explored {
    return {
      scenario: this.#scenario.name,
      points: this.#points,
      ...this.#sums,
      states: Object.fromEntries(this.#states),
      first: this.#first,
    };
  }
}
