// The liveness simulator's command line: detection times and false deaths, beside plain SWIM. Exit codes: 0 every fault was seen
// by all and nobody else was blamed · 1 not so · 2 usage.

import { parseArgs } from "node:util";
import { messageOf } from "../../result.ts";
import { type Detection, FAULTS, measureDetection, measureFalseDeaths } from "./measure.ts";

const HELP = `Usage: npm run sim:liveness -- [--hosts 1000] [--links 100] [--seeds 20] [--seed 1] [--place lan|wan]
                                [--loss 0.01] [--slow 10] [--seconds 30] [--json]

One member of --hosts is killed, frozen, or cut off one way, in each of --seeds runs: how long until the first and until all
others hold it dead. Then nobody fails, but --slow members get a tenth of their CPU and messages are lost: who is blamed that
is well. Each with Lifeguard, local health and two accusers, and as plain SWIM without.`;

interface Command {
  readonly hosts: number;
  readonly links: number;
  readonly seeds: number;
  readonly firstSeed: number;
  readonly place: "lan" | "wan";
  readonly loss: number;
  readonly slow: number;
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
    seconds: text,
    json: flag,
    help: flag,
  };
  const { values } = parseArgs({ options, args: [...args] });
  if (values.help === true) return "help";
  const { place = "lan" } = values;
  if (place !== "lan" && place !== "wan") throw new UsageError(`--place: lan or wan, not "${place}"`);
  const hosts = numberOf("hosts", values.hosts ?? "1000", 3, 2_000);
  return {
    hosts,
    links: numberOf("links", values.links ?? String(Math.min(100, hosts - 1)), 2, hosts - 1),
    seeds: numberOf("seeds", values.seeds ?? "20", 1, 10_000),
    firstSeed: numberOf("seed", values.seed ?? "1", 0, 2 ** 31),
    place,
    loss: numberOf("loss", values.loss ?? "0.01", 0, 0.5),
    slow: numberOf("slow", values.slow ?? "10", 0, hosts),
    seconds: numberOf("seconds", values.seconds ?? "30", 1, 3_600),
    isJson: values.json === true,
  };
}

function numberOf(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  const isFit =
    text.trim() !== "" && value >= min && value <= max && (name === "loss" || Number.isInteger(value));
  if (!isFit) throw new UsageError(`--${name}: from ${min} to ${max}, not "${text}"`);
  return value;
}

interface Row {
  readonly way: "lifeguard" | "swim";
  readonly fault: string;
  readonly first: Percentiles;
  readonly last: Percentiles;
  readonly unseen: number;
  readonly falseDeaths: number;
}

interface Percentiles {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

function percentiles(values: readonly number[]): Percentiles {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (share: number) =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0);
  return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

function rowOf(way: Row["way"], fault: string, runs: readonly Detection[]): Row {
  const last = runs.flatMap(({ lastMs }) => lastMs ?? []);
  return {
    way,
    fault,
    first: percentiles(runs.map(({ firstMs }) => firstMs)),
    last: percentiles(last),
    unseen: runs.length - last.length,
    falseDeaths: runs.reduce((sum, { falseDeaths }) => sum + falseDeaths, 0),
  };
}

function run(command: Command): number {
  const { hosts: members, links, seeds, firstSeed, place, slow, seconds } = command;
  const all = Array.from({ length: seeds }, (_, index) => firstSeed + index);
  const ways = ["lifeguard", "swim"] as const;
  const optionsOf = (way: Row["way"], seed: number, loss: number) =>
    ({ members, links, seed, isLifeguard: way === "lifeguard", place, loss }) as const;
  const rows = ways.flatMap((way) =>
    FAULTS.map((fault) =>
      rowOf(
        way,
        fault,
        all.map((seed) => measureDetection(optionsOf(way, seed, 0), fault)),
      ),
    ),
  );
  const blamed = ways.map((way) => {
    const runs = all.map((seed) => measureFalseDeaths(optionsOf(way, seed, command.loss), { slow, seconds }));
    const sum = (of: (one: (typeof runs)[number]) => number) =>
      runs.reduce((total, one) => total + of(one), 0);
    const messagesPerSecond = Math.round((10 * sum((one) => one.messagesPerSecond)) / runs.length) / 10;
    return { way, deaths: sum((one) => one.deaths), members: sum((one) => one.members), messagesPerSecond };
  });
  const setting = { hosts: members, links, seeds, firstSeed, place, loss: command.loss, slow, seconds };
  if (command.isJson)
    process.stdout.write(`${JSON.stringify({ ...setting, detection: rows, false: blamed })}\n`);
  else print(setting, rows, blamed);
  const ours = rows.filter(({ way }) => way === "lifeguard");
  const isGood = ours.every(({ unseen, falseDeaths }) => unseen === 0 && falseDeaths === 0);
  return isGood && blamed[0]?.deaths === 0 ? 0 : 1;
}

function print(setting: object, rows: readonly Row[], blamed: readonly object[]): void {
  const write = (line: string) => process.stdout.write(`${line}\n`);
  write(
    `${JSON.stringify(setting)}\nway        fault    first p50/p99/max ms    last p50/p99/max ms    unseen  false deaths`,
  );
  const show = ({ p50Ms, p99Ms, maxMs }: Percentiles) => `${p50Ms}/${p99Ms}/${maxMs}`.padEnd(22);
  for (const { way, fault, first, last, unseen, falseDeaths } of rows)
    write(
      `${way.padEnd(10)} ${fault.padEnd(8)} ${show(first)}  ${show(last)} ${String(unseen).padEnd(7)} ${falseDeaths}`,
    );
  write("nobody fails, some are slow, messages are lost:");
  for (const row of blamed) write(`  ${JSON.stringify(row)}`);
}

function main(args: readonly string[]): number {
  try {
    const command = parseCommand(args);
    if (command !== "help") return run(command);
    process.stdout.write(`${HELP}\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n\n${HELP}\n`);
    return 2;
  }
}

process.exitCode = main(process.argv.slice(2));
