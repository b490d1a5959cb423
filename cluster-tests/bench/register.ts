// What a commit of the register costs: latency of one client, commits a second of many, with voters as processes over loopback,
// beside one sync of the same disk, one round trip over the same mesh, and etcd. All in turn, slice by slice, in one run.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { appName } from "../../mesh/index.ts";
import { encodedRecord } from "../harness/app-record.ts";
import { RegisterProcesses } from "../harness/register-processes.ts";
import type { ToldLoad } from "../harness/register-protocol.ts";
import { BenchUsageError, percentiles, runBench } from "./bench-command.ts";
import { DiskSync, fileSystemOf } from "./disk-sync.ts";
import { Etcd, etcdVersion } from "./etcd.ts";

const HELP = `Usage: npm run bench:register -- [--voters 1,3,5] [--clients 1,16] [--seconds 10] [--rounds 3] [--json]

Hosts as processes over loopback, all of them voters. Each client commits to an app of its own, one swap after the other, at one
of the voters in turn. Each round starts a cluster for each number of --voters and, if it is installed, one of three etcd members
(compare-and-swap over its JSON gateway, the one client at the leader), in an order of its own, and measures --seconds of each
number of --clients in slices, between which the disk alone (a page written and synced, with pauses as between commits, and in a
row) and one round trip over the mesh are measured. All files are in the folder of temporary files (TMPDIR), which must be on a disk.
Exit code 1: the median commit of one client at three voters takes more than four syncs and one round trip.`;

/** Short: what others do on the machine befalls all of them alike. */
const SLICE_MS = 500;
const CONTROL_SLICE_MS = 100;
/** About what a commit takes besides its sync: as one commit after the other meets the disk. */
const SYNC_PAUSE_MS = 2;
/** Not measured: code becomes fast, connections open, files grow. */
const WARM_UP_MS = 1_500;
const VOTERS_MAX = 7;
const CLIENTS_MAX = 64;
/** Those of the target. */
const TARGET = { voters: 3, clients: 1, syncs: 4 };

interface Figures {
  readonly tookUs: number[];
  elapsedMs: number;
  failed: number;
}

/** What is measured: of `system` ("3 voters", "etcd") with so many clients; "sync"; "echo". */
type Measured = Map<string, Figures>;

interface System {
  readonly name: string;
  readonly load: (clients: number, forMs: number) => Promise<ToldLoad>;
  /** Null: it has no second member of ours. */
  readonly echo: ((forMs: number) => Promise<ToldLoad>) | null;
  readonly stop: () => Promise<void>;
}

function add(measured: Measured, name: string, { tookUs, failed }: ToldLoad, elapsedMs: number): void {
  const figures = measured.get(name) ?? { tookUs: [], elapsedMs: 0, failed: 0 };
  measured.set(name, figures);
  figures.tookUs.push(...tookUs);
  figures.elapsedMs += elapsedMs;
  figures.failed += failed;
}

// --- systems

async function startVoters(folder: string, count: number): Promise<System> {
  const names = Array.from({ length: count }, (_, at) => `host-${at + 1}`);
  const cluster = await RegisterProcesses.create(names, folder);
  const stop = async (): Promise<void> => {
    await cluster.end();
    await cluster.dispose();
  };
  try {
    await cluster.startAll();
    await cluster.nameVoters(names);
  } catch (error) {
    await stop();
    throw error;
  }
  const [first = "", second] = names;
  const load = async (clients: number, forMs: number): Promise<ToldLoad> => {
    const apps = appsOf(clients);
    const loads = names.map((name, rank) => {
      const own = apps.filter((_, at) => at % count === rank);
      return cluster.member(name).ask("load", { apps: own, forMs });
    });
    const ended = await Promise.all(loads);
    return {
      tookUs: ended.flatMap(({ tookUs }) => tookUs),
      failed: ended.reduce((sum, { failed }) => sum + failed, 0),
    };
  };
  const echo =
    second === undefined ? null : (forMs: number) => cluster.member(first).ask("echo", { to: second, forMs });
  return { name: votersName(count), load, echo, stop };
}

async function startEtcd(folder: string): Promise<System> {
  const etcd = await Etcd.start(mkdtempSync(join(folder, "etcd-")));
  const value = encodedRecord(appName("app-1"));
  return {
    name: "etcd",
    load: (clients, forMs) => etcd.load(appsOf(clients), forMs, value),
    echo: null,
    stop: () => etcd.stop(),
  };
}

function votersName(count: number): string {
  return count === 1 ? "1 voter" : `${count} voters`;
}

function appsOf(clients: number): readonly string[] {
  return Array.from({ length: clients }, (_, at) => `app-${at + 1}`);
}

// --- the run

interface Plan {
  readonly clients: readonly number[];
  readonly seconds: number;
  readonly disk: DiskSync;
}

async function measure(system: System, { clients, seconds, disk }: Plan, measured: Measured): Promise<void> {
  for (const count of clients) await system.load(count, WARM_UP_MS);
  for (let elapsedMs = 0; elapsedMs < seconds * 1_000; elapsedMs += SLICE_MS) {
    for (const count of clients) {
      add(measured, `${system.name}, ${count}`, await system.load(count, SLICE_MS), SLICE_MS);
      await measureDisk(disk, system.name, measured);
      if (system.echo === null) continue;
      add(measured, `echo beside ${system.name}`, await system.echo(CONTROL_SLICE_MS), CONTROL_SLICE_MS);
    }
  }
}

async function measureDisk(disk: DiskSync, beside: string, measured: Measured): Promise<void> {
  for (const [name, pauseMs] of [
    ["sync", SYNC_PAUSE_MS],
    ["syncs in a row", 0],
  ] as const) {
    const tookUs = await disk.run(CONTROL_SLICE_MS, pauseMs);
    add(measured, `${name} beside ${beside}`, { tookUs, failed: 0 }, CONTROL_SLICE_MS);
  }
}

async function runRounds(
  { voters, rounds, ...plan }: Plan & { readonly voters: readonly number[]; readonly rounds: number },
  folder: string,
  say: (line: string) => void,
): Promise<Measured> {
  const measured: Measured = new Map();
  const starts = voters.map((count) => () => startVoters(folder, count));
  if (etcdVersion() !== null) starts.push(() => startEtcd(folder));
  for (let round = 0; round < rounds; round += 1) {
    // Each is first once.
    const first = round % starts.length;
    for (const start of [...starts.slice(first), ...starts.slice(0, first)]) {
      const system = await start();
      try {
        await measure(system, plan, measured);
      } finally {
        await system.stop();
      }
      const singles = measured.get(`${system.name}, ${plan.clients[0]}`)?.tookUs ?? [];
      say(`round ${round + 1}: ${system.name}: p50 ${toMs(percentiles(singles).p50)} ms so far`);
    }
  }
  return measured;
}

// --- the report

interface Told {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly perSecond: number;
  readonly failed: number;
}

function toldOf({ tookUs, elapsedMs, failed }: Figures): Told {
  const { p50, p99 } = percentiles(tookUs);
  const perSecond = Math.round((tookUs.length * 1_000) / elapsedMs);
  return { count: tookUs.length, p50Ms: toMs(p50), p99Ms: toMs(p99), perSecond, failed };
}

function toMs(us: number): number {
  return Math.round(us) / 1_000;
}

interface Verdict {
  readonly commitMs: number;
  /** Four syncs and one round trip: the stricter reading of the target, and the one that counts. */
  readonly allowedMs: number;
  /** The same with a sync as it is of many in a row, which is the disk's rate, and no commit's latency. */
  readonly inARowMs: number;
}

/** Null: it was not among what was measured. */
function verdictOf(figures: Readonly<Record<string, Told>>): Verdict | null {
  const name = votersName(TARGET.voters);
  const commit = figures[`${name}, ${TARGET.clients}`];
  const [sync, inARow] = [figures[`sync beside ${name}`], figures[`syncs in a row beside ${name}`]];
  const echo = figures[`echo beside ${name}`];
  if (commit === undefined || sync === undefined || inARow === undefined || echo === undefined) return null;
  const allowed = ({ p50Ms }: Told): number =>
    Math.round((TARGET.syncs * p50Ms + echo.p50Ms) * 1_000) / 1_000;
  return { commitMs: commit.p50Ms, allowedMs: allowed(sync), inARowMs: allowed(inARow) };
}

function linesOf(figures: Readonly<Record<string, Told>>, verdict: Verdict | null): readonly string[] {
  const rows = Object.entries(figures).map(
    ([name, { p50Ms, p99Ms, perSecond, failed }]) =>
      `${name.padEnd(32)} p50 ${p50Ms} ms, p99 ${p99Ms} ms, ${perSecond} a second${failed === 0 ? "" : `, ${failed} failed`}`,
  );
  if (verdict === null) return [...rows, "the target is of 3 voters and 1 client: not measured"];
  const { commitMs, allowedMs, inARowMs } = verdict;
  return [
    ...rows,
    `commit at 3 voters, one client: ${commitMs} ms; 4 syncs + 1 round trip: ${allowedMs} ms (of syncs in a row: ${inARowMs} ms)`,
  ];
}

function listOf(name: string, text: string, max: number): readonly number[] {
  const numbers = text.split(",").map(Number);
  const isGood = numbers.every((number) => Number.isInteger(number) && number >= 1 && number <= max);
  if (isGood) return [...new Set(numbers)];
  throw new BenchUsageError(`--${name}: whole numbers from 1 to ${max} with commas between, not "${text}"`);
}

await runBench(
  {
    help: HELP,
    numbers: { seconds: { value: 10, min: 1, max: 600 }, rounds: { value: 3, min: 1, max: 100 } },
    texts: { voters: "1,3,5", clients: "1,16" },
  },
  async ({ numbers, texts, say }) => {
    const voters = listOf("voters", texts.voters, VOTERS_MAX);
    const clients = listOf("clients", texts.clients, CLIENTS_MAX);
    const fileSystem = fileSystemOf(tmpdir());
    if (fileSystem === null)
      throw new BenchUsageError(`${tmpdir()} is in memory: set TMPDIR to a folder on a disk`);
    const etcd = etcdVersion();
    const folder = mkdtempSync(join(tmpdir(), "grapevine-bench-register-"));
    process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
    const recordBytes = encodedRecord(appName("app-1")).length;
    say(`${folder}: ${fileSystem}; records of ${recordBytes} bytes`);
    say(etcd === null ? "etcd is not installed: not compared with" : `etcd ${etcd}`);
    const disk = new DiskSync(join(folder, "sync"));
    const measured = await runRounds({ ...numbers, voters, clients, disk }, folder, say);
    disk.close();
    const figures = Object.fromEntries([...measured].map(([name, figure]) => [name, toldOf(figure)]));
    const verdict = verdictOf(figures);
    const report = { ...numbers, voters, clients, fileSystem, recordBytes, etcd, figures, target: verdict };
    const isGood = verdict === null || verdict.commitMs <= verdict.allowedMs;
    return { report, lines: linesOf(figures, verdict), isGood };
  },
);
