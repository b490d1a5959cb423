// Many seeds, one worker thread for each core. Results come in the order of the seeds, whichever is done first.

import type { SeedOptions, SeedResult } from "./run-seed.ts";
import { runJobs } from "./worker-pool.ts";

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
  options: SeedsOptions,
  onResult: (result: SeedResult) => void = () => {},
): Promise<readonly SeedResult[]> {
  const { firstSeed, seeds, workers, ...each } = options;
  const jobs = Array.from({ length: seeds }, (_, at): SeedOptions => ({ ...each, seed: firstSeed + at }));
  return runJobs<SeedOptions, SeedResult>({
    script: new URL("./seed-worker.ts", import.meta.url),
    jobs,
    onResult,
    describe: ({ seed }) => `seed ${seed}`,
    ...(workers === undefined ? {} : { workers }),
    limits: { maxOldGenerationSizeMb: HEAP_MB_MAX, maxYoungGenerationSizeMb: YOUNG_HEAP_MB_MAX },
  });
}
