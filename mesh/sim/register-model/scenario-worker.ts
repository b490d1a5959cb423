// The thread that explores scenarios for run-scenarios.ts: options in, exploration out.

import { parentPort } from "node:worker_threads";
import { type ExploreOptions, explore } from "./explore.ts";

parentPort?.on("message", (options: ExploreOptions) => parentPort?.postMessage(explore(options)));
