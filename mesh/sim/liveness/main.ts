// The liveness simulator's command line: detection times and false deaths, beside plain SWIM. Exit codes: 0 every fault was seen
// by all and nobody else was blamed · 1 not so · 2 usage.

import { parseArgs } from "node:util";
import { messageOf } from "../../result.ts";
import { type Quantiles, quantilesOf } from "../quantiles.ts";
import { runPool } from "../worker-pool.ts";
import { FAULTS } from "./measure.ts";
import type { Case, CaseResult } from "./run-case.ts";

const HELP = `Usage: npm run sim:liveness -- [--hosts 1000] [--links 100] [--seeds 20] [--seed 1] [--place lan|wan] [--loss 0.01]
                                [--slow 10] [--lossy 10] [--lossy-loss 0.3] [--seconds 20] [--workers N] [--json]

Of --hosts members --slow get a tenth of their CPU in the worst way (nothing for 4.5 s, then all for 0.5 s), and the links of
--lossy others lose a share of --lossy-loss of their packets, all others --loss. In each of --seeds runs one member more is
killed, frozen, or cut off one way (cut-in: nothing reaches it; cut-out: nothing of it reaches others): how long until the
first and until all others that have their CPU hold it dead. In further runs nobody fails for --seconds. Counted in all: deaths that
anybody declared of members that live and have their CPU. Each seed runs twice: with Lifeguard, two accusers, local health and
all, and as plain SWIM (suspicion for the same shortest time, one accuser, no local health). Exit code 1: with Lifeguard a fault
was not seen, or one was declared dead that was well.`;

interface Command {
  readonly hosts: number;
  readonly links: number;
  readonly seeds: number;
  readonly firstSeed: number;
  readonly place: "lan" | "wan";
  readonly loss: number;
  readonly slow: number;
  readonly lossy: number;
  readonly lossyLoss: number;
  readonly workers: number | undefined;
  readonly seconds: number;
  readonly isJson: boolean;
}

class UsageError extends Error {}

function parseCommand(args: readonly string[]): Command | "help" {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  const options = {
    hosts: text,
    links: text,
    seeds: text,
    seed: text,
    place: text,
    loss: text,
    slow: text,
    lossy: text,
    "lossy-loss": text,
    workers: text,
    seconds: text,
    json: flag,
    help: flag,
  };
  const { values } = parseArgs({ options, args: [...args] });
  if (values.help === true) return "help";
  const { place = "lan" } = values;
  if (place !== "lan" && place !== "wan") throw new UsageError(`--place: lan or wan, not "${place}"`);
  const hosts = numberOf("hosts", values.hosts ?? "1000", 4, 2_000);
  return {
    hosts,
    links: numberOf("links", values.links ?? String(Math.min(100, hosts - 1)), 2, hosts - 1),
    seeds: numberOf("seeds", values.seeds ?? "20", 1, 10_000),
    firstSeed: numberOf("seed", values.seed ?? "1", 0, 2 ** 31),
    place,
    loss: numberOf("loss", values.loss ?? "0.01", 0, 0.5),
    slow: numberOf("slow", values.slow ?? "10", 0, hosts / 4),
    lossy: numberOf("lossy", values.lossy ?? "10", 0, hosts / 4),
    lossyLoss: numberOf("lossy-loss", values["lossy-loss"] ?? "0.3", 0, 0.9),
    workers: values.workers === undefined ? undefined : numberOf("workers", values.workers, 1, 64),
    seconds: numberOf("seconds", values.seconds ?? "20", 1, 3_600),
    isJson: values.json === true,
  };
}

function numberOf(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  const isFit =
    text.trim() !== "" && value >= min && value <= max && (name.endsWith("loss") || Number.isInteger(value));
  if (!isFit) throw new UsageError(`--${name}: from ${min} to ${max}, not "${text}"`);
  return value;
}

const WAYS = ["lifeguard", "swim"] as const;
type Way = (typeof WAYS)[number];

interface Row {
  readonly way: Way;
  readonly fault: string;
  readonly first: Quantiles;
  readonly last: Quantiles;
  readonly unseen: number;
  readonly falseDeaths: number;
}

interface Blamed {
  readonly way: Way;
  readonly deaths: number;
  readonly members: number;
  readonly messagesPerSecond: number;
}

function casesOf(command: Command): readonly Case[] {
  const { hosts: members, links, seeds, firstSeed, seconds, place, loss, slow, lossy, lossyLoss } = command;
  const each = Array.from({ length: seeds }, (_, index) => firstSeed + index);
  const setting = { members, links, place, loss, slow, lossy, lossyLoss };
  return each.flatMap((seed) =>
    WAYS.flatMap((way) =>
      [...FAULTS, "none" as const].map((fault) => {
        const options = { ...setting, seed, isLifeguard: way === "lifeguard" };
        return { options, fault, seconds };
      }),
    ),
  );
}

function wayOf({ options }: Case): Way {
  return options.isLifeguard ? "lifeguard" : "swim";
}

function rowOf(way: Way, fault: string, results: readonly CaseResult[]): Row {
  const runs = results.flatMap((one) =>
    wayOf(one) === way && one.fault === fault ? (one.detection ?? []) : [],
  );
  const last = runs.flatMap(({ lastMs }) => lastMs ?? []);
  return {
    way,
    fault,
    first: quantilesOf(runs.flatMap(({ firstMs }) => firstMs ?? [])),
    last: quantilesOf(last),
    unseen: runs.length - last.length,
    falseDeaths: runs.reduce((sum, { falseDeaths }) => sum + falseDeaths, 0),
  };
}

function blamedOf(way: Way, results: readonly CaseResult[]): Blamed {
  const runs = results.flatMap((one) => (wayOf(one) === way ? (one.blamed ?? []) : []));
  const sum = (of: (one: (typeof runs)[number]) => number) => runs.reduce((total, one) => total + of(one), 0);
  const messagesPerSecond = Math.round((10 * sum((one) => one.messagesPerSecond)) / runs.length) / 10;
  return { way, deaths: sum((one) => one.deaths), members: sum((one) => one.members), messagesPerSecond };
}

async function run(command: Command): Promise<number> {
  const tasks = casesOf(command);
  const pool = {
    worker: new URL("./case-worker.ts", import.meta.url),
    tasks,
    describe: (one: Case) => `seed ${one.options.seed}, ${wayOf(one)}, ${one.fault}`,
    ...(command.workers !== undefined && { workers: command.workers }),
  };
  let done = 0;
  const results = await runPool<Case, CaseResult>(pool, (one) => {
    done += 1;
    if (!command.isJson && process.stderr.isTTY)
      process.stderr.write(`\r${done} of ${tasks.length}: ${pool.describe(one)}`.padEnd(70));
  });
  if (!command.isJson && process.stderr.isTTY) process.stderr.write("\n");
  const rows = WAYS.flatMap((way) => FAULTS.map((fault) => rowOf(way, fault, results)));
  const blamed = WAYS.map((way) => blamedOf(way, results));
  const { isJson, workers, ...setting } = command;
  if (isJson) process.stdout.write(`${JSON.stringify({ ...setting, detection: rows, false: blamed })}\n`);
  else print(setting, rows, blamed);
  const ours = rows.filter(({ way }) => way === "lifeguard");
  const isGood = ours.every(({ unseen, falseDeaths }) => unseen === 0 && falseDeaths === 0);
  return isGood && blamed[0]?.deaths === 0 ? 0 : 1;
}

function print(setting: object, rows: readonly Row[], blamed: readonly Blamed[]): void {
  const write = (line: string) => process.stdout.write(`${line}\n`);
  write(
    `${JSON.stringify(setting)}\nway        fault    first p50/p99/max ms    last p50/p99/max ms    unseen  false deaths`,
  );
  const show = ({ p50Ms, p99Ms, maxMs }: Quantiles) =>
    [p50Ms, p99Ms, maxMs]
      .map((ms) => (ms === null ? "–" : Math.round(ms)))
      .join("/")
      .padEnd(22);
  for (const { way, fault, first, last, unseen, falseDeaths } of rows)
    write(
      `${way.padEnd(10)} ${fault.padEnd(8)} ${show(first)}  ${show(last)} ${String(unseen).padEnd(7)} ${falseDeaths}`,
    );
  write("nobody fails:");
  for (const { way, deaths, members, messagesPerSecond } of blamed)
    write(
      `${way.padEnd(10)} false deaths ${deaths}, of ${members} members; ${messagesPerSecond} messages a member and second`,
    );
}

async function main(args: readonly string[]): Promise<number> {
  try {
    const command = parseCommand(args);
    if (command !== "help") return await run(command);
    process.stdout.write(`${HELP}\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n\n${HELP}\n`);
    return 2;
  }
}

process.exitCode = await main(process.argv.slice(2));
