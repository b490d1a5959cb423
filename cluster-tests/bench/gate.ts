// What a gate adds to a request: latency, and CPU of proxy and gate, beside the same app dialled directly. `npm run bench:gate -- --help`.

import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { DevCluster } from "../../node/cli/dev/dev-cluster.ts";
import { AppFolder } from "../harness/app-folder.ts";
import { runCli } from "../harness/cli.ts";
import { percentiles, runBench } from "./bench-command.ts";

const HELP = `Usage: npm run bench:gate -- [--requests 2000] [--rounds 5] [--clients 1] [--json]

One host, its gate and two proxies as processes of a dev cluster; two apps of one VM each, one behind the gate, one with gate = "off".
Three ways: "gate", by a proxy that goes through the gate as those of other hosts do; "armed", by a proxy that is an arm of the gate, to
the same VM; "direct", by that proxy, gate = "off". In each round --requests GETs on kept connections of --clients go each way, one after the other,
each request after the answer to the one before; in the next round in the other order. Reported for each: latency, and CPU of the proxy
and of the gate for a request, as the kernel counts it (10 ms steps: few requests are measured badly). Exit code 1: a request failed.`;

/** The kernel's unit of CPU time in /proc (USER_HZ). */
const TICK_MS = 10;
const WAYS = ["gate", "armed", "direct"] as const;
const APPS = ["gate", "direct"] as const;
type Way = (typeof WAYS)[number];

interface Round {
  readonly latenciesMs: readonly number[];
  readonly failed: number;
  readonly proxyMs: number;
  readonly gateMs: number;
}

/** Milliseconds of CPU since its start. */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // After the command's name, which may hold anything: utime and stime are fields 14 and 15 (proc(5)).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

function get(url: string, host: string, agent: Agent): Promise<boolean> {
  return new Promise((resolve) => {
    const outgoing = request(url, { agent, headers: { host } }, (response) => {
      response.resume();
      response.once("end", () => resolve(response.statusCode === 200));
      response.once("error", () => resolve(false));
    });
    outgoing.once("error", () => resolve(false));
    outgoing.end();
  });
}

interface Load {
  readonly url: string;
  readonly host: string;
  readonly requests: number;
  readonly clients: number;
}

async function load({ url, host, requests, clients }: Load): Promise<Pick<Round, "latenciesMs" | "failed">> {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const latenciesMs: number[] = [];
  let failed = 0;
  let left = requests;
  const run = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const beganMs = performance.now();
      if (!(await get(url, host, agent))) failed += 1;
      latenciesMs.push(performance.now() - beganMs);
    }
  };
  await Promise.all(Array.from({ length: clients }, run));
  agent.destroy();
  return { latenciesMs, failed };
}

async function deployBoth(api: string): Promise<readonly AppFolder[]> {
  const folders = APPS.map((name) => new AppFolder({ name, ...(name === "direct" ? { gate: "off" } : {}) }));
  for (const { file } of folders) {
    const { code, stdout, stderr } = await runCli(["deploy", file], { GRAPEVINE_API: api });
    if (code !== 0) throw new Error(`${stdout}${stderr}`);
  }
  return folders;
}

function inHundredths(ms: number): number {
  return Math.round(100 * ms) / 100;
}

function summaryOf(rounds: readonly Round[], requests: number): Readonly<Record<string, number>> {
  const { p50, p99 } = percentiles(rounds.flatMap(({ latenciesMs }) => latenciesMs));
  const perRequestUs = (of: (round: Round) => number): number =>
    Math.round((1_000 * rounds.reduce((sum, round) => sum + of(round), 0)) / (rounds.length * requests));
  return {
    p50Ms: inHundredths(p50),
    p99Ms: inHundredths(p99),
    proxyUs: perRequestUs(({ proxyMs }) => proxyMs),
    gateUs: perRequestUs(({ gateMs }) => gateMs),
    failed: rounds.reduce((sum, { failed }) => sum + failed, 0),
  };
}

await runBench(
  {
    help: HELP,
    numbers: {
      requests: { value: 2_000, min: 100, max: 1_000_000 },
      rounds: { value: 5, min: 1, max: 1_000 },
      clients: { value: 1, min: 1, max: 256 },
    },
    texts: {},
  },
  async ({ numbers, say }) => {
    const { requests, rounds, clients } = numbers;
    const cluster = await DevCluster.start({
      hosts: 1,
      proxies: 2,
      isArmed: true,
      stateDir: null,
      logLevel: "warn",
    });
    let folders: readonly AppFolder[] = [];
    try {
      const { agents, gates, proxies } = cluster.view();
      folders = await deployBoth(agents[0]?.api ?? "");
      const [armed, distant, gate] = [proxies[0], proxies[1], gates[0]];
      if (armed === undefined || distant === undefined || gate === undefined)
        throw new Error("bug: a cluster without them");
      const results = { gate: [] as Round[], armed: [] as Round[], direct: [] as Round[] };
      const measure = async (way: Way): Promise<Round> => {
        const proxy = way === "gate" ? distant : armed;
        const app = way === "armed" ? "gate" : way;
        const before = [cpuMs(proxy.pid), cpuMs(gate.pid)] as const;
        const loaded = await load({ url: `${proxy.http}/`, host: `${app}.localhost`, requests, clients });
        return {
          ...loaded,
          proxyMs: cpuMs(proxy.pid) - before[0],
          gateMs: cpuMs(gate.pid) - before[1],
        };
      };
      // Compiled and connected before it counts.
      for (const way of WAYS) await measure(way);
      for (let round = 0; round < rounds; round += 1) {
        for (const way of round % 2 === 0 ? WAYS : WAYS.toReversed()) results[way].push(await measure(way));
        say(`round ${round + 1} of ${rounds} is over`);
      }
      const report = {
        ...numbers,
        gate: summaryOf(results.gate, requests),
        armed: summaryOf(results.armed, requests),
        direct: summaryOf(results.direct, requests),
      };
      const lines = WAYS.map((way) => {
        const { p50Ms, p99Ms, proxyUs, gateUs, failed } = report[way];
        return `${way.padEnd(6)}  p50 ${p50Ms} ms, p99 ${p99Ms} ms; CPU a request: proxy ${proxyUs} µs, gate ${gateUs} µs; failed ${failed}`;
      });
      return { report, lines, isGood: WAYS.every((way) => report[way]["failed"] === 0) };
    } finally {
      await cluster.stop();
      for (const folder of folders) folder.remove();
    }
  },
);
