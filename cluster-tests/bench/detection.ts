// How soon real members find out that one of them is gone: killed, or stopped. Each try does it to another one and waits for the
// judgement of all others, on the clock that the processes of a machine share. `node cluster-tests/bench/detection.ts --help`.

import { parseArgs } from "node:util";
import { seededRandom } from "../../mesh/sim/seeded-random.ts";
import type { MeshProcess } from "../harness/mesh-process.ts";
import { MeshProcesses } from "../harness/mesh-processes.ts";

const HELP = `Usage: npm run bench:detection -- [--members 16] [--tries 20] [--seed N] [--json]

Real mesh processes over loopback. In each try one of them is killed (-9) or stopped (SIGSTOP) until all others hold it dead,
then started or let go on until all hold it alive. Printed: milliseconds to the first and to the last of the others, and deaths
declared of members that ran. Exit 1: one died that ran, or the largest is above the target (killed 2 s, stopped 6 s).`;

const TARGET_MS = { killed: 2_000, stopped: 6_000 } as const;
type Fault = keyof typeof TARGET_MS;

interface Try {
  readonly fault: Fault;
  readonly firstMs: number;
  readonly lastMs: number;
  /** Declared meanwhile of members that ran. */
  readonly falseDeaths: number;
}

async function measure(cluster: MeshProcesses, name: string, fault: Fault): Promise<Try> {
  const victim = cluster.member(name);
  const others = cluster.members.filter((member) => member !== victim);
  const heardBefore = new Map(others.map((other) => [other, other.judgements.length]));
  const beganAtNs = process.hrtime.bigint();
  if (fault === "killed") await cluster.kill(name);
  else victim.freeze();
  await untilJudged(cluster, others, victim.owner, "dead");
  const times = others.map(
    (other) => Number(deathAtNs(other, victim.owner, heardBefore.get(other)) - beganAtNs) / 1e6,
  );
  if (fault === "killed") await cluster.start(name, { "vm/0": name });
  else victim.thaw();
  await untilJudged(cluster, others, victim.owner, "alive");
  await cluster.untilFull();
  const isFalse = ({ owner, state }: MeshProcess["judgements"][number]) =>
    state === "dead" && owner !== victim.owner;
  const falseDeaths = others.flatMap((other) =>
    other.judgements.slice(heardBefore.get(other)).filter(isFalse),
  ).length;
  return {
    fault,
    firstMs: Math.round(Math.min(...times)),
    lastMs: Math.round(Math.max(...times)),
    falseDeaths,
  };
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

function numberOf(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  process.stderr.write(`--${name}: a whole number from ${min} to ${max}, not "${text}"\n\n${HELP}\n`);
  process.exit(2);
}

async function run(): Promise<void> {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  const { values } = parseArgs({
    options: { members: text, tries: text, seed: text, json: flag, help: flag },
  });
  if (values.help === true) {
    process.stdout.write(`${HELP}\n`);
    return;
  }
  const members = numberOf("members", values.members ?? "16", 4, 64);
  const tries = numberOf("tries", values.tries ?? "20", 1, 1_000);
  const seed = numberOf("seed", values.seed ?? String(Math.floor(Math.random() * 2 ** 31)), 0, 2 ** 32 - 1);
  const random = seededRandom(seed);
  const names = Array.from({ length: members }, (_, index) => `m${index}`);
  const cluster = await MeshProcesses.create(names);
  try {
    await cluster.startAll((name) => ({ "vm/0": name }));
    await cluster.expectEqual();
    const results: Try[] = [];
    for (const fault of ["killed", "stopped"] as const) {
      for (let count = 0; count < tries; count += 1) {
        const name = names[Math.floor(random() * members)] ?? "m0";
        const one = await measure(cluster, name, fault);
        results.push(one);
        if (values.json !== true)
          process.stdout.write(`${fault} ${name}: first ${one.firstMs} ms, last ${one.lastMs} ms\n`);
      }
    }
    report({ members, tries, seed }, results, values.json === true);
  } finally {
    await cluster.dispose();
  }
}

function report(setting: object, results: readonly Try[], isJson: boolean): void {
  const rows = (["killed", "stopped"] as const).map((fault) => {
    const of = results.filter((one) => one.fault === fault);
    const sorted = of.map(({ lastMs }) => lastMs).toSorted((left, right) => left - right);
    const firsts = of.map(({ firstMs }) => firstMs);
    const last = { p50Ms: sorted[Math.floor(sorted.length / 2)] ?? 0, maxMs: sorted.at(-1) ?? 0 };
    return { fault, last, firstMaxMs: Math.max(...firsts), targetMs: TARGET_MS[fault] };
  });
  const falseDeaths = results.reduce((sum, one) => sum + one.falseDeaths, 0);
  process.stdout.write(
    `${JSON.stringify({ ...setting, falseDeaths, faults: rows }, null, isJson ? 0 : 2)}\n`,
  );
  const isGood = falseDeaths === 0 && rows.every(({ last, targetMs }) => last.maxMs <= targetMs);
  process.exitCode = isGood ? 0 : 1;
}

await run();
