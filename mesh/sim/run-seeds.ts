// Many seeds, one worker thread for each core. Results come in the order of the seeds, whichever is done first.

import type { SeedOptions, SeedResult } from "./run-seed.ts";
import { runPool } from "./worker-pool.ts";

/** A thousand members of a thousand hosts' states take about 2 GB (measured). */
const HEAP_MB_MAX = 8_192;
/** Digests of a thousand owners on their way for 200 ms: promoted, they cost a third more CPU (measured). */
const YOUNG_HEAP_MB_MAX = 512;

export interface SeedsOptions extends Omit<SeedOptions, "seed"> {
  readonly firstSeed: number;
  readonly seeds: number;
  /** Default: as many as there are cores. */
  readonly workers?: number;
}

/** Rejects if a worker dies: a bug, ours or the replica's. The message names the seed. */
export function runSeeds(
  { firstSeed, seeds, workers, ...each }: SeedsOptions,
  onResult?: (result: SeedResult) => void,
): Promise<readonly SeedResult[]> {
  const tasks = Array.from(
    { length: seeds },
    (_, index): SeedOptions => ({ ...each, seed: firstSeed + index }),
  );
  const options = {
    worker: new URL("./seed-worker.ts", import.meta.url),
    tasks,
    describe: ({ seed }: SeedOptions) => `seed ${seed}`,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX, maxYoungGenerationSizeMb: YOUNG_HEAP_MB_MAX },
    ...(workers !== undefined && { workers }),
  };
  return runPool<SeedOptions, SeedResult>(options, onResult);
}
