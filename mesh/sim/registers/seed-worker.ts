// The thread that runs seeds for run-seeds.ts: options in, result out.

import { parentPort } from "node:worker_threads";
import { runSeed, type SeedOptions } from "./run-seed.ts";

parentPort?.on("message", (options: SeedOptions) => parentPort?.postMessage(runSeed(options)));
