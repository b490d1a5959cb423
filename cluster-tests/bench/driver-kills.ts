// Deploys of each strategy under load whose driver is killed (-9), for as many as one likes. `npm run bench:driver-kills -- --help`. The same
// code as `scenarios/driver-killed.test.ts`.

import { DriverKills, KILLED_STRATEGIES, type StrategyReport } from "../harness/driver-kills.ts";
import { BenchUsageError, percentiles, runBench } from "./bench-command.ts";

const HELP = `Usage: npm run bench:driver-kills -- [--strategies rolling,immediate,bluegreen] [--kills 20] [--hosts 5] [--proxies 3] [--rate 200] [--seed N] [--json]

A cluster of processes: hosts with agents and gates, of which three vote, and proxies, through which --rate requests a second go, open
loop, half of them on kept connections, half on new ones. An app of two VMs is deployed --kills times by each of --strategies (those of
${KILLED_STRATEGIES.map(({ name }) => name).join(", ")}), and in each deploy the agent that drives, as \`status\`
names it, is killed (-9) at a moment that the seed chooses, and started again as by a supervisor. Exit code 1: a deploy did not end with
0, a request had no whole 200, another VM runs than was asked for, or two agents held different records of one epoch.`;

await runBench(
  {
    help: HELP,
    numbers: {
      kills: { value: 20, min: 1, max: 10_000 },
      hosts: { value: 5, min: 3, max: 16 },
      proxies: { value: 3, min: 1, max: 16 },
      rate: { value: 200, min: 1, max: 5_000 },
    },
    texts: { strategies: "rolling,immediate,bluegreen" },
  },
  async ({ numbers: { kills, hosts, proxies, rate }, texts, seed, say }) => {
    const strategies = texts.strategies.split(",").map((name) => strategyNamed(name.trim()));
    const runs = await DriverKills.start({ hosts, proxies, ratePerSecond: rate, seed, say });
    const reports: StrategyReport[] = [];
    try {
      for (const strategy of strategies) reports.push(await runs.run(strategy, kills));
    } finally {
      await runs.stop();
    }
    const isGood = reports.every(({ faults, failures }) => faults.length === 0 && isFine(failures));
    return { report: { kills, hosts, proxies, rate, reports }, lines: reports.flatMap(linesOf), isGood };
  },
);

function strategyNamed(name: string) {
  const found = KILLED_STRATEGIES.find((strategy) => strategy.name === name);
  if (found !== undefined) return found;
  throw new BenchUsageError(
    `--strategies: any of ${KILLED_STRATEGIES.map((one) => one.name).join(",")}, not "${name}"`,
  );
}

function isFine({ isEmpty, count }: StrategyReport["failures"]): boolean {
  return !isEmpty && count === 0;
}

function linesOf({
  strategy,
  kills,
  deployMs,
  requests,
  failures,
  faults,
}: StrategyReport): readonly string[] {
  const { p50, max } = percentiles(deployMs);
  return [
    `${strategy}: ${kills.length} kills, deploys p50 ${Math.round(p50)} ms, max ${Math.round(max)} ms; ${requests} requests, ${failures.count} failed`,
    ...failures.first.map((sample) => `  failed: ${JSON.stringify(sample)}`),
    ...(failures.count === 0 ? [] : kills.map((kill) => `  killed: ${JSON.stringify(kill)}`)),
    ...faults.map((fault) => `  ${fault}`),
  ];
}
