// Many seeds, one worker thread for each core. Results come in the order of the seeds, whichever is done first.

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { SeedOptions, SeedResult } from "./run-seed.ts";

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
export async function runSeeds(
  options: SeedsOptions,
  onResult: (result: SeedResult) => void = () => {},
): Promise<readonly SeedResult[]> {
  const { firstSeed, seeds, workers = availableParallelism(), ...each } = options;
  const results: (SeedResult | undefined)[] = [];
  let [next, told] = [0, 0];
  const take = (): SeedOptions | undefined => {
    if (next >= seeds) return undefined;
    next += 1;
    return { ...each, seed: firstSeed + next - 1 };
  };
  const keep = (result: SeedResult): void => {
    results[result.seed - firstSeed] = result;
    for (let ready = results[told]; ready !== undefined; ready = results[told]) {
      told += 1;
      onResult(ready);
    }
  };
  const count = Math.max(1, Math.min(workers, seeds));
  await Promise.all(Array.from({ length: count }, () => runWorker(take, keep)));
  return results.filter((result) => result !== undefined);
}

/** One thread, seed after seed. */
async function runWorker(
  take: () => SeedOptions | undefined,
  keep: (result: SeedResult) => void,
): Promise<void> {
  const worker = new Worker(new URL("./seed-worker.ts", import.meta.url), {
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX, maxYoungGenerationSizeMb: YOUNG_HEAP_MB_MAX },
  });
  let seed: number | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const proceed = (): void => {
        const options = take();
        seed = options?.seed;
        if (options === undefined) resolve();
        else worker.postMessage(options);
      };
      worker.on("message", (result: SeedResult) => {
        keep(result);
        proceed();
      });
      worker.on("error", (error) => reject(new Error(`seed ${seed}: ${String(error)}`, { cause: error })));
      worker.on("exit", (code) => reject(new Error(`seed ${seed}: worker ended with code ${code}`)));
      proceed();
    });
  } finally {
    await worker.terminate();
  }
}
