// What a cluster costs in which nothing happens: bytes on the wire and CPU of each member. `npm run bench:idle -- --help`.

import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { LabAgents } from "../harness/lab-agents.ts";
import { LabNetwork } from "../harness/lab-network.ts";
import { MeshProcesses } from "../harness/mesh-processes.ts";
import { NetLab } from "../harness/net-lab.ts";
import {
  BenchUsageError,
  memberNames,
  PATIENCE_MS,
  percentiles,
  requireLab,
  runBench,
} from "./bench-command.ts";

const HELP = `Usage: npm run bench:idle -- [--members 32] [--of mesh|agents] [--seconds 60] [--warm-up 30] [--json]

--members bare meshes, or host agents, each in a network namespace of its own (needs root), all connected, and nobody writes.
After --warm-up seconds each is looked at for --seconds: bytes of its network interface, both directions, Ethernet headers
too, and CPU of its process as the kernel counts it. Exit code 1: one has 5,000 bytes a second or 2 % of a core, or more.`;

const TARGET = { bytesPerSecond: 5_000, cpuPercent: 2 } as const;
/** The kernel's unit of CPU time in /proc (USER_HZ). */
const TICKS_PER_SECOND = 100;

interface Reading {
  readonly atMs: number;
  readonly bytes: number;
  readonly packets: number;
  readonly cpuTicks: number;
}

interface Cost {
  readonly bytesPerSecond: number;
  readonly packetsPerSecond: number;
  readonly cpuPercent: number;
}

interface Members {
  readonly pids: readonly number[];
  dispose(): Promise<void>;
}

async function startMeshes(names: readonly string[]): Promise<Members> {
  // Its own looking at metrics would be a good part of what an idle member does.
  const cluster = await MeshProcesses.create(
    names,
    { metricsIntervalMs: 0, patienceMs: PATIENCE_MS },
    new LabNetwork(names),
  );
  try {
    await cluster.startAll((name) => ({ "vm/0": name }));
    await cluster.expectEqual();
  } catch (error) {
    await cluster.dispose();
    throw error;
  }
  return { pids: cluster.members.map(({ pid }) => pid), dispose: () => cluster.dispose() };
}

function read(pid: number): Reading {
  const { receivedBytes, sentBytes, receivedPackets, sentPackets } = NetLab.traffic(pid);
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // After the command's name, which may hold anything: utime and stime are fields 14 and 15 (proc(5)).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return {
    atMs: performance.now(),
    bytes: receivedBytes + sentBytes,
    packets: receivedPackets + sentPackets,
    cpuTicks: Number(fields[11]) + Number(fields[12]),
  };
}

function costBetween(first: Reading, last: Reading): Cost {
  const seconds = (last.atMs - first.atMs) / 1_000;
  return {
    bytesPerSecond: Math.round((last.bytes - first.bytes) / seconds),
    packetsPerSecond: Math.round((last.packets - first.packets) / seconds),
    cpuPercent: Math.round((10_000 * (last.cpuTicks - first.cpuTicks)) / TICKS_PER_SECOND / seconds) / 100,
  };
}

await runBench(
  {
    help: HELP,
    numbers: {
      members: { value: 32, min: 2, max: 64 },
      seconds: { value: 60, min: 5, max: 3_600 },
      "warm-up": { value: 30, min: 0, max: 600 },
    },
    texts: { of: "mesh" },
  },
  async ({ numbers, texts: { of }, say }) => {
    requireLab();
    if (of !== "mesh" && of !== "agents") throw new BenchUsageError(`--of: mesh or agents, not "${of}"`);
    const names = memberNames(numbers.members);
    const members = of === "mesh" ? await startMeshes(names) : await LabAgents.start(names);
    try {
      say(`${names.length} ${of} are connected`);
      await delay(numbers["warm-up"] * 1_000);
      const first = members.pids.map(read);
      await delay(numbers.seconds * 1_000);
      const costs = members.pids.map((pid, index) => costBetween(first[index] ?? read(pid), read(pid)));
      const bytes = percentiles(costs.map(({ bytesPerSecond }) => bytesPerSecond));
      const packets = percentiles(costs.map(({ packetsPerSecond }) => packetsPerSecond));
      const cpu = percentiles(costs.map(({ cpuPercent }) => cpuPercent));
      const isGood = bytes.max < TARGET.bytesPerSecond && cpu.max < TARGET.cpuPercent;
      const report = {
        ...numbers,
        of,
        bytesPerSecond: bytes,
        packetsPerSecond: packets,
        cpuPercent: cpu,
        target: TARGET,
      };
      const lines = [
        `bytes a second and member, both ways: p50 ${bytes.p50}, max ${bytes.max} (target ${TARGET.bytesPerSecond}), packets p50 ${packets.p50}`,
        `CPU, percent of a core: p50 ${cpu.p50}, max ${cpu.max} (target ${TARGET.cpuPercent})`,
      ];
      return { report, lines, isGood };
    } finally {
      await members.dispose();
    }
  },
);
