// The thread that explores one scenario for explore-all.ts: a task in, what was found out.

import { parentPort } from "node:worker_threads";
import { type ExploreTask, explore } from "./explore.ts";

parentPort?.on("message", (task: ExploreTask) => parentPort?.postMessage(explore(task)));
