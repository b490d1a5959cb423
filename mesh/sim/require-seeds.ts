// For tests: seeds that must hold, and breaks that must be seen.

import { availableParallelism } from "node:os";
import { type BreakName, breakOf } from "./breaks.ts";
import type { Invariant } from "./invariants.ts";
import { describeFailure, replayLine } from "./replay.ts";
import type { SeedResult } from "./run-seed.ts";
import { runSeeds, type SeedsOptions } from "./run-seeds.ts";

/** Rejects with what failed, the last events before it, and the lines that replay it. */
export async function requireSeeds(options: SeedsOptions): Promise<readonly SeedResult[]> {
  const results = await runSeeds(options);
  const failed = results.filter(({ violations }) => violations.length > 0);
  const [first] = failed;
  if (first === undefined) return results;
  const lines = failed.map(({ seed }) => replayLine({ ...options, seed }));
  throw new Error(`${describeFailure({ ...options, seed: first.seed }, first)}\n${lines.join("\n")}`);
}

/** Resolves with the first seed in which an invariant fails that the break is documented to fail; rejects if none does. */
export async function requireFailure(
  options: Omit<SeedsOptions, "broken">,
  broken: BreakName,
): Promise<number> {
  const documented = breakOf(broken).breaks;
  const others = new Set<Invariant>();
  const end = options.firstSeed + options.seeds;
  const step = availableParallelism();
  for (let firstSeed = options.firstSeed; firstSeed < end; firstSeed += step) {
    const seeds = Math.min(step, end - firstSeed);
    for (const { seed, violations } of await runSeeds({ ...options, firstSeed, seeds, broken })) {
      if (violations.some(({ invariant }) => documented.includes(invariant))) return seed;
      for (const { invariant } of violations) others.add(invariant);
    }
  }
  const what = others.size === 0 ? "nothing" : [...others].join(", ");
  throw new Error(`without ${broken} ${what} failed, and not ${documented.join(" or ")}`);
}
