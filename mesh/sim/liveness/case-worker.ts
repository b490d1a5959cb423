// The thread that runs cases for main.ts: a case in, its result out.

import { parentPort } from "node:worker_threads";
import { type Case, runCase } from "./run-case.ts";

parentPort?.on("message", (one: Case) => parentPort?.postMessage(runCase(one)));
