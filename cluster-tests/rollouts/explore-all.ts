// Explore all: every scenario, on all cores, and a report of it.

import { runPool } from "../../mesh/sim/worker-pool.ts";
import type { BreakName } from "./breaks.ts";
import type { Explored, ExploreTask, Violation } from "./explore.ts";
import { SCENARIOS } from "./scenarios.ts";

export interface ExploreOptions {
  /** The first; 0 is the enumeration, the others are samples. */
  readonly seed: number;
  readonly seeds: number;
  readonly broken: BreakName | null;
  /** Only scenarios with this in their name. */
  readonly only?: string | null;
  /** Of the enumeration one fault before every event, save of the scenarios that `isWhole`. */
  readonly isCover?: boolean;
}

export function exploreAll(
  { seed, seeds, broken, only = null, isCover = false }: ExploreOptions,
  onExplored: (explored: Explored) => void = () => {},
): Promise<readonly Explored[]> {
  const numbers = Array.from({ length: seeds }, (_, index) => seed + index);
  const tasks = numbers.flatMap((number) =>
    SCENARIOS.flatMap(({ name, isWhole }, scenario): readonly ExploreTask[] => {
      const task = { scenario, seed: number, broken, isCover: isCover && isWhole !== true };
      return only === null || name.includes(only) ? [task] : [];
    }),
  );
  const worker = new URL("./explore-worker.ts", import.meta.url);
  const describe = (task: ExploreTask) => `scenario ${task.scenario}, seed ${task.seed}`;
  return runPool<ExploreTask, Explored>({ worker, tasks, describe }, onExplored);
}

export function describeExplored(explored: Explored): string {
  const { scenario, points, runs, events, commits, requests, states, violations } = explored;
  const ends = Object.entries(states).map(([state, count]) => `${count} ${state}`);
  const word = violations === 0 ? "ok" : `${violations} FAILED`;
  return `${scenario}: ${word}: ${points} points, ${runs} runs, ${events} events, ${commits} commits, ${requests} requests; ${ends.join(", ")}`;
}

/** Points of a seed's samples are those of the enumeration: counted once. */
export function describeTotal(all: readonly Explored[]): string {
  const points = new Map(all.map(({ scenario, points }) => [scenario, points]));
  const sum = (numbers: Iterable<number>) => [...numbers].reduce((left, right) => left + right, 0);
  const [runs, requests, violations] = (["runs", "requests", "violations"] as const).map((name) =>
    sum(all.map((explored) => explored[name])),
  );
  return `${points.size} scenarios, ${sum(points.values())} points, ${runs} runs, ${requests} requests, ${violations} violations`;
}

export function describeViolation({ scenario, seed, faults, text, lines }: Violation): string {
  const list = faults.map(({ kind, atEvent }) => `${kind} before event ${atEvent}`).join(", ");
  const head = `${scenario}, seed ${seed}, ${list === "" ? "without a fault" : list}: ${text}`;
  return [head, ...lines.map((line) => `  ${line}`)].join("\n");
}
