// Many seeds, one worker thread for each core. Results come in the order of the seeds.

import { runPool } from "../worker-pool.ts";
import type { SeedOptions, SeedResult } from "./run-seed.ts";

export interface SeedsOptions extends Omit<SeedOptions, "seed"> {
  readonly firstSeed: number;
  readonly seeds: number;
}

export function runSeeds(
  { firstSeed, seeds, ...each }: SeedsOptions,
  onResult: (result: SeedResult) => void = () => {},
): Promise<readonly SeedResult[]> {
  return runPool<SeedOptions, SeedResult>(
    {
      worker: new URL("./seed-worker.ts", import.meta.url),
      tasks: Array.from({ length: seeds }, (_, at) => ({ ...each, seed: firstSeed + at })),
      describe: ({ seed }) => `seed ${seed}`,
    },
    onResult,
  );
}
