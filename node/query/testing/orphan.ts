// Orphan: stands for an agent in a test: it has its process of queries begin one that never ends, prints its pid, and dies
// without a word.

import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { QueryProcess } from "../query-process.ts";

const SQL = "with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) from c";
const HOUR_MS = 60 * 60 * 1_000;

const queries = new QueryProcess();
const bounds = { rowsMax: 1, bytesMax: 100 };
const times = { loadMs: HOUR_MS, runMs: HOUR_MS };
const signal = new AbortController().signal;
await queries.query({ sql: "select 1", params: [], bounds }, times, signal);
queries.query({ sql: SQL, params: [], bounds }, times, signal).catch(() => undefined);
const before = cpuTicks();
// It runs, and not just the rest of the query before.
while (cpuTicks() < before + 10) await sleep(20);
process.stdout.write(`${queries.pid}\n`, () => process.kill(process.pid, "SIGKILL"));

/** User time, in hundredths of a second (proc(5)). */
function cpuTicks(): number {
  const stat = readFileSync(`/proc/${queries.pid}/stat`, "utf8");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[11]);
}
