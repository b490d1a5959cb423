// Whether members that are well are blamed for those that are not: some get a tenth of a core, one link loses packets, for
// minutes, and nobody who is well may be declared dead by anybody. `npm run bench:slow-members -- --help`.

import { setTimeout as delay } from "node:timers/promises";
import { type CpuLimit, limitCpu } from "../harness/cpu-limit.ts";
import { LabNetwork } from "../harness/lab-network.ts";
import type { MeshProcess } from "../harness/mesh-process.ts";
import { MeshProcesses } from "../harness/mesh-processes.ts";
import { BenchUsageError, memberNames, PATIENCE_MS, requireLab, runBench } from "./bench-command.ts";

const HELP = `Usage: npm run bench:slow-members -- [--members 16] [--slow 2] [--cpu 10] [--loss 30] [--minutes 10] [--json]

Real mesh processes, each in a network namespace of its own (needs root). --slow of them get --cpu percent of a core (control
groups, else stopped and let go on in turn); the link between two others loses --loss percent of its packets, each way. For
--minutes each member tells its judgements. Printed: suspicions, objections, and deaths, of the slow and of the others. Then
all get everything again, and all must hold the same and each other alive. Exit code 1: one of the others was declared dead by
anybody, a slow one too.`;

interface Counts {
  readonly suspicions: number;
  readonly deaths: number;
}

/** Of these owners, by anybody. */
function countsOf(members: readonly MeshProcess[], owners: ReadonlySet<string>): Counts {
  const told = members.flatMap(({ judgements }) => judgements).filter(({ owner }) => owners.has(owner));
  const count = (state: string) => told.filter((judged) => judged.state === state).length;
  return { suspicions: count("suspect"), deaths: count("dead") };
}

function sumOf(members: readonly MeshProcess[], counter: string): number {
  return members.reduce((sum, { metrics }) => sum + (metrics[counter] ?? 0), 0);
}

const COUNTERS = [
  "accusations",
  "refutations",
  "probes-failed",
  "probes-unheard",
  "probes-voided",
  "deaths-braked",
  "peers-silent",
];

await runBench(
  {
    help: HELP,
    numbers: {
      members: { value: 16, min: 6, max: 64 },
      slow: { value: 2, min: 1, max: 8 },
      cpu: { value: 10, min: 1, max: 100 },
      loss: { value: 30, min: 0, max: 90 },
      minutes: { value: 10, min: 1, max: 120 },
    },
    texts: {},
  },
  async ({ numbers, say }) => {
    requireLab();
    const { members: count, slow, cpu, loss, minutes } = numbers;
    if (slow + 2 >= count) throw new BenchUsageError(`--slow: at most ${count - 3} of ${count} members`);
    const names = memberNames(count);
    const network = new LabNetwork(names);
    const cluster = await MeshProcesses.create(
      names,
      { metricsIntervalMs: 1_000, patienceMs: PATIENCE_MS },
      network,
    );
    let limit: CpuLimit | undefined;
    try {
      await cluster.startAll((name) => ({ "vm/0": name }));
      await cluster.expectEqual();
      const slowNames = names.slice(0, slow);
      const slowOwners = new Set(slowNames.map((name) => cluster.member(name).owner));
      const others = new Set(
        cluster.members.map(({ owner }) => owner).filter((owner) => !slowOwners.has(owner)),
      );
      const lossy = [names[slow] ?? "", names[slow + 1] ?? ""] as const;
      limit = limitCpu(
        slowNames.map((name) => cluster.member(name).pid),
        cpu / 100,
      );
      if (loss > 0) network.lab.lose(...lossy, loss / 100);
      say(`slow: ${slowNames.join(" ")} (${limit.kind}); lossy: ${lossy.join(" ")}`);
      for (let minute = 1; minute <= minutes; minute += 1) {
        await delay(60_000);
        const [bad, well] = [countsOf(cluster.members, slowOwners), countsOf(cluster.members, others)];
        say(`minute ${minute}: slow ${JSON.stringify(bad)}, others ${JSON.stringify(well)}`);
      }
      const counts = {
        slow: countsOf(cluster.members, slowOwners),
        others: countsOf(cluster.members, others),
      };
      const counters = Object.fromEntries(COUNTERS.map((name) => [name, sumOf(cluster.members, name)]));
      limit.lift();
      network.heal();
      await cluster.until("all alive to all", () =>
        cluster.members.every((member) =>
          cluster.members.every(({ owner }) => member.stateOf(owner) === "alive"),
        ),
      );
      await cluster.expectEqual();
      const report = { ...numbers, limit: limit.kind, ...counts, counters };
      const lines = Object.entries({ ...counts, counters }).map(
        ([name, value]) => `${name}: ${JSON.stringify(value)}`,
      );
      return { report, lines, isGood: counts.others.deaths === 0 };
    } finally {
      limit?.lift();
      await cluster.dispose();
    }
  },
);
