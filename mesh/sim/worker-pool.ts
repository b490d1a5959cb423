// Worker pool: tasks on threads, one a core, each thread one task after the other. A worker takes a task as a message and answers
// with its result.

import { availableParallelism } from "node:os";
import { type ResourceLimits, Worker } from "node:worker_threads";

export interface PoolOptions<Task> {
  readonly worker: URL;
  readonly tasks: readonly Task[];
  /** For the message of a failure. */
  readonly describe: (task: Task) => string;
  /** Default: as many as there are cores. */
  readonly workers?: number;
  readonly resourceLimits?: ResourceLimits;
}

/** Results in the order of the tasks, and told in it. Rejects if a worker dies: a bug; the message names the task. */
export async function runPool<Task, Result>(
  options: PoolOptions<Task>,
  onResult: (result: Result) => void = () => {},
): Promise<readonly Result[]> {
  const { tasks, workers = availableParallelism() } = options;
  const results: Result[] = [];
  const done = new Map<number, Result>();
  let next = 0;
  const take = (): number | undefined => (next < tasks.length ? next++ : undefined);
  const keep = (index: number, result: Result): void => {
    done.set(index, result);
    for (let ready = done.get(results.length); ready !== undefined; ready = done.get(results.length)) {
      results.push(ready);
      onResult(ready);
    }
  };
  const count = Math.max(1, Math.min(workers, tasks.length));
  await Promise.all(Array.from({ length: count }, () => runWorker(options, take, keep)));
  return results;
}

async function runWorker<Task, Result>(
  { worker: url, tasks, describe, resourceLimits = {} }: PoolOptions<Task>,
  take: () => number | undefined,
  keep: (index: number, result: Result) => void,
): Promise<void> {
  const worker = new Worker(url, { resourceLimits });
  let index: number | undefined;
  const named = () => (index === undefined ? "no task" : describe(tasks[index] as Task));
  try {
    await new Promise<void>((resolve, reject) => {
      const proceed = (): void => {
        index = take();
        if (index === undefined) resolve();
        else worker.postMessage(tasks[index]);
      };
      worker.on("message", (result: Result) => {
        if (index !== undefined) keep(index, result);
        proceed();
      });
      worker.on("error", (error) => reject(new Error(`${named()}: ${String(error)}`, { cause: error })));
      worker.on("exit", (code) => reject(new Error(`${named()}: worker ended with code ${code}`)));
      proceed();
    });
  } finally {
    await worker.terminate();
  }
}
