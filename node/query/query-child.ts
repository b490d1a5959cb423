// Query child: the process in which queries run. Whatever a query does is done to this process alone: it may not write files,
// its memory is bounded by the kernel, and the agent kills it when a query takes too long.

import os from "node:os";
import { Worker } from "node:worker_threads";
import { QueryDatabase } from "./query-database.ts";
import type { FromQueryChild, ToQueryChild } from "./query-protocol.ts";

/** Agents and VMs come first: a third of their share of a busy processor. */
const NICE = 5;

const database = new QueryDatabase();

function tell(message: FromQueryChild): void {
  process.send?.(message);
}

function obey(message: ToQueryChild): void {
  switch (message.kind) {
    case "entries":
      database.takeEntries(message.entries);
      break;
    case "members":
      database.setMembers(message.members);
      break;
    case "apps":
      database.setApps(message.apps);
      break;
    case "query":
      tell({ kind: "running" });
      database.query(message.sql, message.params, message.bounds, tell);
      break;
    default:
      message satisfies never;
  }
}

process.on("message", (message) => obey(message as ToQueryChild));
process.on("disconnect", () => process.exit());
// Ctrl-C is for the agent; we end with it.
process.on("SIGINT", () => undefined);
os.setPriority(NICE);
// While a query runs this thread hears nothing, and nobody kills the process of an agent that was killed itself.
const agent = Number(process.argv[2]);
// Without a bound of its own it would set aside half a gigabyte for code, of what this process may have.
const resourceLimits = { codeRangeSizeMb: 8, maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 };
new Worker(new URL("./query-watchdog.ts", import.meta.url), {
  workerData: { agent },
  resourceLimits,
}).unref();
