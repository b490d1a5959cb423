// How a cluster finds itself again: all members killed and started at once, and two halves that were parted. How long until all
// hold the same, and what that takes over time: dials, links, digests, deltas, bytes. `npm run bench:healing -- --help`.

import { setTimeout as delay } from "node:timers/promises";
import { LabNetwork } from "../harness/lab-network.ts";
import { MeshProcesses, type Texts } from "../harness/mesh-processes.ts";
import { NetLab } from "../harness/net-lab.ts";
import { memberNames, PATIENCE_MS, requireLab, runBench } from "./bench-command.ts";
import { type Counters, TimeSeries } from "./time-series.ts";

const HELP = `Usage: npm run bench:healing -- [--members 16] [--entries 100] [--parted 30] [--watch 10] [--json]

Real mesh processes, each in a network namespace of its own (needs root), with --entries entries each. First all are killed (-9)
and started at once; then two halves are parted for --parted seconds, their packets dropped, while both sides write, and healed.
Printed for each: how long until all are connected and hold the same, and, in slots of half a second until --watch seconds
after that: dials begun, failed and taken, links that came up, digests, stretches of states and summaries sent, and bytes on the
wire. Exit code 1: it took longer than the target, or there was a storm: more dials or digests than the bounds printed.`;

/** From when the last process listens; from the end of the partition. */
const TARGET_MS = { restart: 5_000, partition: 5_000 } as const;
const DIALS_PER_PAIR_MAX = 4;
const DIGESTS_PER_PAIR_MAX = 12;
const SLOT_MS = 500;
const COUNTERS = [
  "dials",
  "dials-failed",
  "dials-taken",
  "links-up",
  "rounds",
  "deltas-sent",
  "summaries",
  "bytes",
];

interface Phase {
  readonly phase: keyof typeof TARGET_MS;
  readonly connectedMs: number;
  readonly equalMs: number;
  readonly targetMs: number;
  readonly series: TimeSeries;
}

/** Sent bytes alone: both ways would count each twice. */
function readCounters(cluster: MeshProcesses): ReadonlyMap<string, Counters> {
  const counters = new Map<string, Counters>();
  for (const { name, pid, metrics } of cluster.members) {
    counters.set(`${name} ${pid}`, metrics);
    counters.set(name, { bytes: sentBytes(pid) });
  }
  return counters;
}

/** Of an interface, which outlives the process. 0: the process has just ended. */
function sentBytes(pid: number): number {
  try {
    return NetLab.traffic(pid).sentBytes;
  } catch {
    return 0;
  }
}

async function watchPhase(
  cluster: MeshProcesses,
  phase: Phase["phase"],
  watchMs: number,
  begin: () => Promise<void>,
): Promise<Phase> {
  const series = new TimeSeries(COUNTERS, () => readCounters(cluster), SLOT_MS);
  try {
    await begin();
    const beganAtMs = performance.now();
    let connectedMs = Number.NaN;
    await cluster.until("connected and equal", () => {
      if (Number.isNaN(connectedMs) && cluster.isFull) connectedMs = performance.now() - beganAtMs;
      return cluster.isFull && cluster.isEqual;
    });
    const equalMs = Math.round(performance.now() - beganAtMs);
    await cluster.expectEqual();
    await delay(watchMs);
    return { phase, connectedMs: Math.round(connectedMs), equalMs, targetMs: TARGET_MS[phase], series };
  } finally {
    series.stop();
  }
}

await runBench(
  {
    help: HELP,
    numbers: {
      members: { value: 16, min: 4, max: 64 },
      entries: { value: 100, min: 1, max: 5_000 },
      parted: { value: 30, min: 5, max: 600 },
      watch: { value: 10, min: 1, max: 600 },
    },
    texts: {},
  },
  async ({ numbers, say }) => {
    requireLab();
    const names = memberNames(numbers.members);
    const [left, right] = [names.slice(0, names.length / 2), names.slice(names.length / 2)];
    const textsOf = (name: string, life: number): Texts =>
      Object.fromEntries(Array.from({ length: numbers.entries }, (_, at) => [`vm/${at}`, `${name} ${life}`]));
    const cluster = await MeshProcesses.create(
      names,
      { metricsIntervalMs: 100, patienceMs: PATIENCE_MS },
      new LabNetwork(names),
    );
    try {
      await cluster.startAll((name) => textsOf(name, 1));
      await cluster.expectEqual();
      say("all killed and started at once");
      const restart = await watchPhase(cluster, "restart", numbers.watch * 1_000, async () => {
        await Promise.all(names.map((name) => cluster.kill(name)));
        await cluster.startAll((name) => textsOf(name, 2));
      });
      say(`parted in halves for ${numbers.parted} s`);
      cluster.part(left, right, "hole");
      await delay((numbers.parted * 1_000) / 2);
      for (const name of names) await cluster.write(name, { "vm/0": `${name} parted` });
      await delay((numbers.parted * 1_000) / 2);
      const partition = await watchPhase(cluster, "partition", numbers.watch * 1_000, async () =>
        cluster.heal(),
      );
      return reportOf(numbers, [restart, partition]);
    } finally {
      await cluster.dispose();
    }
  },
);

function reportOf(numbers: Counters, phases: readonly Phase[]) {
  const members = numbers["members"] ?? 0;
  const pairs = (members * (members - 1)) / 2;
  const bounds = { dials: DIALS_PER_PAIR_MAX * pairs, rounds: DIGESTS_PER_PAIR_MAX * pairs };
  const rows = phases.map(({ series, ...phase }) => {
    const totals = Object.fromEntries(COUNTERS.map((name) => [name, series.total(name)]));
    const isStorm = series.total("dials") > bounds.dials || series.total("rounds") > bounds.rounds;
    return { ...phase, isStorm, totals, slots: series.slots };
  });
  const lines = phases.flatMap(({ phase, connectedMs, equalMs, targetMs, series }) => [
    `${phase}: connected after ${connectedMs} ms, equal after ${equalMs} ms (target ${targetMs}); slots of ${SLOT_MS} ms:`,
    ...series.chart(),
  ]);
  lines.push(`bounds of all: ${JSON.stringify(bounds)}`);
  const isGood = rows.every(({ equalMs, targetMs, isStorm }) => equalMs <= targetMs && !isStorm);
  return { report: { ...numbers, slotMs: SLOT_MS, bounds, phases: rows }, lines, isGood };
}
