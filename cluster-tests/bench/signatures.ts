// What signed heads cost: the same members and changes with Ed25519 and SHA-256, and with a stand-in that computes nothing,
// in interleaved rounds of one run. `node cluster-tests/bench/signatures.ts --help`.

import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { type HeadCrypto, ROOT_BYTES, Roots, SIGNATURE_BYTES } from "../../mesh/core/head.ts";
import type { RunningMesh } from "../../mesh/io/mesh-options.ts";
import { Libp2pCluster } from "../../mesh/sim/libp2p-cluster.ts";
import { percentile } from "../../mesh/sim/quantiles.ts";
import { untilFull } from "../../mesh/sim/until.ts";
import { median } from "./convergence/stats.ts";

const HELP = `Usage: node cluster-tests/bench/signatures.ts [--members 8] [--entries 100] [--changes 200] [--rounds 5] [--json]

Members in one process, over loopback. One of them has --entries entries and writes --changes changes, one after the other,
each when the one before is in every store. Per round and mode: time from the write to the last store, and CPU of all members
together for a change.`;

/** Every answer is yes, and nothing is computed. */
const WITHOUT: HeadCrypto = {
  roots: new Roots(() => new Uint8Array(ROOT_BYTES)),
  hash: () => new Uint8Array(ROOT_BYTES),
  sign: () => new Uint8Array(SIGNATURE_BYTES),
  verify: () => true,
};

interface Round {
  readonly lastMs: readonly number[];
  readonly cpuMs: number;
}

interface Plan {
  readonly members: number;
  readonly entries: number;
  readonly changes: number;
}

async function runRound({ members, entries, changes }: Plan, crypto: HeadCrypto | undefined): Promise<Round> {
  const cluster = await Libp2pCluster.create();
  try {
    const joined: RunningMesh[] = [];
    const overrides = crypto === undefined ? {} : { crypto };
    for (let at = 1; at <= members; at += 1) joined.push(await cluster.join(`host-${at}`, "host", overrides));
    const [writer] = joined;
    if (writer === undefined) throw new Error("--members must be at least 1");
    for (let at = 0; at < entries; at += 1) writer.write(`vm/${at}`, new Uint8Array(300).fill(at));
    for (const mesh of joined) mesh.announce();
    await untilFull(joined);
    // Not measured: the first changes, while gossipsub sets up its streams.
    await change(joined, writer, -1);
    await change(joined, writer, -2);
    const lastMs: number[] = [];
    const cpu = process.cpuUsage();
    for (let at = 0; at < changes; at += 1) lastMs.push(await change(joined, writer, at));
    const { user, system } = process.cpuUsage(cpu);
    return { lastMs, cpuMs: (user + system) / 1_000 / changes };
  } finally {
    await cluster.dispose();
  }
}

/** Milliseconds from the write until every member's store has it. */
async function change(members: readonly RunningMesh[], writer: RunningMesh, serial: number): Promise<number> {
  const value = new TextEncoder().encode(`change ${serial}`.padEnd(300));
  const seen = members
    .filter((mesh) => mesh !== writer)
    .map((mesh) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const off = mesh.onChange((entry) => {
        if (entry.owner !== writer.self.owner || entry.key !== "vm/0") return;
        off();
        resolve();
      });
      return promise;
    });
  const begunAt = performance.now();
  writer.write("vm/0", value);
  await Promise.all(seen);
  return performance.now() - begunAt;
}

function summarize(rounds: readonly Round[]): object {
  const lastMs = rounds.flatMap((round) => round.lastMs).sort((left, right) => left - right);
  const cpuMs = rounds.map((round) => round.cpuMs).sort((left, right) => left - right);
  const round = (value: number): number => Math.round(value * 1_000) / 1_000;
  return {
    last: {
      p50Ms: round(percentile(lastMs, 0.5)),
      p99Ms: round(percentile(lastMs, 0.99)),
      maxMs: round(lastMs.at(-1) ?? Number.NaN),
    },
    cpuMsPerChange: { median: round(median(cpuMs) ?? Number.NaN), min: round(cpuMs[0] ?? Number.NaN) },
  };
}

const { values } = parseArgs({
  options: {
    members: { type: "string", default: "8" },
    entries: { type: "string", default: "100" },
    changes: { type: "string", default: "200" },
    rounds: { type: "string", default: "5" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(`${HELP}\n`);
} else {
  const plan = {
    members: Number(values.members),
    entries: Number(values.entries),
    changes: Number(values.changes),
  };
  const [signed, unsigned]: [Round[], Round[]] = [[], []];
  for (let at = 0; at < Number(values.rounds); at += 1) {
    signed.push(await runRound(plan, undefined));
    unsigned.push(await runRound(plan, WITHOUT));
  }
  const report = {
    ...plan,
    rounds: Number(values.rounds),
    with: summarize(signed),
    without: summarize(unsigned),
  };
  process.stdout.write(`${JSON.stringify(report, null, values.json ? 0 : 2)}\n`);
}
