// How soon real members find out that one of them is gone: killed, stopped, or cut off in one direction. Each try does it to
// another one and waits for the judgement of all others, on the clock that the processes of a machine share.
// `npm run bench:detection -- --help`.

import { seededRandom } from "../../mesh/sim/seeded-random.ts";
import { LabNetwork } from "../harness/lab-network.ts";
import type { MeshProcess } from "../harness/mesh-process.ts";
import { MeshProcesses } from "../harness/mesh-processes.ts";
import { NetLab } from "../harness/net-lab.ts";
import { BenchUsageError, memberNames, PATIENCE_MS, percentiles, runBench } from "./bench-command.ts";

const HELP = `Usage: npm run bench:detection -- [--members 16] [--tries 20] [--faults killed,stopped,one-way] [--seed N] [--json]

Real mesh processes. In each try one of them is killed (-9), stopped (SIGSTOP), or cut off one way: deaf (packets to it are
dropped) and, in other tries, mute (packets from it are dropped), until all others hold it dead; then it is started, let go
on, or healed, until all hold it alive. As root each member has a network namespace of its own, and its kernel drops the
packets; without, a forwarder between each two of them drops what is said, while connections and acknowledgments pass.
Printed: milliseconds to the first and to the last of the others, and deaths declared of members that were well. Exit code 1:
one died that was well, or the largest is above the target (killed 2 s, stopped and one-way 6 s).`;

const TARGET_MS = { killed: 2_000, stopped: 6_000, deaf: 6_000, mute: 6_000 } as const;
type Fault = keyof typeof TARGET_MS;
/** As `--faults` names them. */
const FAULTS: Readonly<Record<string, readonly Fault[]>> = {
  killed: ["killed"],
  stopped: ["stopped"],
  "one-way": ["deaf", "mute"],
};

interface Try {
  readonly fault: Fault;
  readonly firstMs: number;
  readonly lastMs: number;
  /** Declared meanwhile by the others of each other. */
  readonly falseDeaths: number;
}

async function measure(cluster: MeshProcesses, name: string, fault: Fault): Promise<Try> {
  const victim = cluster.member(name);
  const others = cluster.members.filter((member) => member !== victim);
  const heardBefore = new Map(others.map((other) => [other, other.judgements.length]));
  const beganAtNs = process.hrtime.bigint();
  await begin(cluster, victim, fault);
  await untilJudged(cluster, others, victim.owner, "dead");
  const times = others.map((other) => {
    const atNs = deathAtNs(other, victim.owner, heardBefore.get(other));
    return Number(atNs - beganAtNs) / 1e6;
  });
  await end(cluster, victim, fault);
  await untilJudged(cluster, others, victim.owner, "alive");
  await cluster.untilFull();
  const isFalse = ({ owner, state }: MeshProcess["judgements"][number]) =>
    state === "dead" && owner !== victim.owner;
  const falseDeaths = others.flatMap((other) =>
    other.judgements.slice(heardBefore.get(other)).filter(isFalse),
  );
  return {
    fault,
    firstMs: Math.round(Math.min(...times)),
    lastMs: Math.round(Math.max(...times)),
    falseDeaths: falseDeaths.length,
  };
}

async function begin(cluster: MeshProcesses, { name }: MeshProcess, fault: Fault): Promise<void> {
  if (fault === "killed") await cluster.kill(name);
  else if (fault === "stopped") cluster.member(name).freeze();
  else cluster.network.cutOneWay(name, fault === "deaf" ? "in" : "out");
}

async function end(cluster: MeshProcesses, { name }: MeshProcess, fault: Fault): Promise<void> {
  if (fault === "killed") await cluster.start(name, { "vm/0": name });
  else if (fault === "stopped") cluster.member(name).thaw();
  else cluster.heal();
}

function untilJudged(
  cluster: MeshProcesses,
  observers: readonly MeshProcess[],
  owner: string,
  state: string,
): Promise<void> {
  return cluster.until(`${owner} ${state}`, () =>
    observers.every((observer) => observer.stateOf(owner) === state),
  );
}

function deathAtNs(observer: MeshProcess, owner: string, from = 0): bigint {
  const death = observer.judgements
    .slice(from)
    .find((judged) => judged.owner === owner && judged.state === "dead");
  if (death === undefined) throw new Error(`${observer.name} told of no death`);
  return BigInt(death.atNs);
}

function faultsOf(text: string): readonly Fault[] {
  const faults = text.split(",").map((name) => FAULTS[name.trim()]);
  if (faults.some((fault) => fault === undefined))
    throw new BenchUsageError(`--faults: some of ${Object.keys(FAULTS).join(",")}, not "${text}"`);
  return faults.flatMap((fault) => fault ?? []);
}

await runBench(
  {
    help: HELP,
    numbers: { members: { value: 16, min: 4, max: 64 }, tries: { value: 20, min: 1, max: 1_000 } },
    texts: { faults: "killed,stopped,one-way" },
  },
  async ({ numbers: { members, tries }, texts, seed, say }) => {
    const faults = faultsOf(texts.faults);
    const names = memberNames(members);
    const random = seededRandom(seed);
    const isLab = NetLab.missing() === undefined;
    const network = isLab ? "namespaces" : "forwarders";
    say(`${members} members, network: ${network}`);
    const cluster = await MeshProcesses.create(
      names,
      { patienceMs: PATIENCE_MS },
      isLab ? new LabNetwork(names) : undefined,
    );
    try {
      await cluster.startAll((name) => ({ "vm/0": name }));
      await cluster.expectEqual();
      const results: Try[] = [];
      for (const fault of faults) {
        for (let count = 0; count < tries; count += 1) {
          const name = names[Math.floor(random() * members)] ?? "m0";
          const one = await measure(cluster, name, fault);
          results.push(one);
          say(
            `${fault} ${name}: first ${one.firstMs} ms, last ${one.lastMs} ms, false deaths ${one.falseDeaths}`,
          );
        }
      }
      return reportOf({ members, tries, network }, faults, results);
    } finally {
      await cluster.dispose();
    }
  },
);

function reportOf(setting: object, faults: readonly Fault[], results: readonly Try[]) {
  const rows = faults.map((fault) => {
    const of = results.filter((one) => one.fault === fault);
    const firstMs = percentiles(of.map((one) => one.firstMs));
    const lastMs = percentiles(of.map((one) => one.lastMs));
    return { fault, tries: of.length, firstMs, lastMs, targetMs: TARGET_MS[fault] };
  });
  const falseDeaths = results.reduce((sum, one) => sum + one.falseDeaths, 0);
  const isGood = falseDeaths === 0 && rows.every(({ lastMs, targetMs }) => lastMs.max <= targetMs);
  const lines = rows.map(
    ({ fault, firstMs, lastMs, targetMs }) =>
      `${fault}: first p50 ${firstMs.p50}, max ${firstMs.max} ms; last p50 ${lastMs.p50}, p90 ${lastMs.p90}, max ${lastMs.max} ms (target ${targetMs})`,
  );
  lines.push(`false deaths: ${falseDeaths}`);
  return { report: { ...setting, falseDeaths, faults: rows }, lines, isGood };
}
