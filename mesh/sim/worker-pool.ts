// Worker pool: jobs for one thread a core. Results come in the order of the jobs, whichever is done first.

import { availableParallelism } from "node:os";
import { type ResourceLimits, Worker } from "node:worker_threads";

export interface PoolOptions<Job, Result> {
  /** Of the threads: a job in as a message, its result out. */
  readonly script: URL;
  readonly jobs: Iterable<Job>;
  readonly onResult: (result: Result) => void;
  /** For the message when a thread dies. */
  readonly describe: (job: Job) => string;
  /** Default: as many as there are cores. */
  readonly workers?: number;
  readonly limits?: ResourceLimits;
}

/** Rejects if a worker dies: a bug. The message names the job. */
export async function runJobs<Job, Result>(options: PoolOptions<Job, Result>): Promise<readonly Result[]> {
  const queue = [...options.jobs].entries();
  const results: (Result | undefined)[] = [];
  let told = 0;
  const keep = (number: number, result: Result): void => {
    results[number] = result;
    for (let ready = results[told]; ready !== undefined; ready = results[told]) {
      told += 1;
      options.onResult(ready);
    }
  };
  const { workers = availableParallelism() } = options;
  await Promise.all(Array.from({ length: Math.max(1, workers) }, () => runWorker(options, queue, keep)));
  return results.filter((result) => result !== undefined);
}

/** One thread, job after job; none if there is no job left for it. */
async function runWorker<Job, Result>(
  { script, describe, limits }: PoolOptions<Job, Result>,
  queue: IterableIterator<[number, Job]>,
  keep: (number: number, result: Result) => void,
): Promise<void> {
  let next = queue.next();
  if (next.done === true) return;
  const worker = new Worker(script, limits === undefined ? {} : { resourceLimits: limits });
  try {
    await new Promise<void>((resolve, reject) => {
      const proceed = (): void => {
        if (next.done === true) resolve();
        else worker.postMessage(next.value[1]);
      };
      const name = (): string => (next.done === true ? "no job" : describe(next.value[1]));
      worker.on("message", (result: Result) => {
        if (next.done !== true) keep(next.value[0], result);
        next = queue.next();
        proceed();
      });
      worker.on("error", (error) => reject(new Error(`${name()}: ${String(error)}`, { cause: error })));
      worker.on("exit", (code) => reject(new Error(`${name()}: worker ended with code ${code}`)));
      proceed();
    });
  } finally {
    await worker.terminate();
  }
}
