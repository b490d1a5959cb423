// Query watchdog: a thread of the process of queries that ends it when the agent is gone, also in the midst of a query.

import { workerData } from "node:worker_threads";

const LOOK_INTERVAL_MS = 500;
/** Told, not looked up: by now the agent may be gone, and another be our parent. */
const { agent } = workerData as { readonly agent: number };

setInterval(() => {
  if (process.ppid !== agent) process.kill(process.pid, "SIGKILL");
}, LOOK_INTERVAL_MS);
