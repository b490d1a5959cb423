// The simulator's command line. Exit codes: 0 every invariant held · 1 one failed · 2 usage.

import { CONNECTIONS_MAX } from "../limits.ts";
import { BREAK_NAMES, breakOf, isBreakName } from "./breaks.ts";
import { intOf, parseOptions, runCommandLine, UsageError } from "./command-line.ts";
import { INVARIANTS } from "./invariants.ts";
import { isProfileName, PROFILE_NAMES, profileOf } from "./profiles.ts";
import { describeFailure, replayLine, traceLine } from "./replay.ts";
import { buildReport, describeReport } from "./report.ts";
import { runSeed, type SeedResult } from "./run-seed.ts";
import { runSeeds, type SeedsOptions } from "./run-seeds.ts";

const HOSTS_MIN = 2;
const HOSTS_MAX = 2_000;
/** Two keep a ring; the overlay's mesh wants more. */
const CONNECTIONS_MIN = 4;
const SEEDS_MAX = 1_000_000;
const SEED_MAX = 2 ** 32 - 1;

interface Command extends SeedsOptions {
  readonly isJson: boolean;
  readonly isVerbose: boolean;
}

function parseCommand(args: readonly string[]): Command | "help" {
  const values = parseOptions(ARGS, args);
  if (values.help === true) return "help";
  const broken = values.break;
  if (broken !== undefined && !isBreakName(broken)) throw new UsageError(`--break: no break "${broken}"`);
  // A break is meant to be seen: where everything fails.
  const profile = values.profile ?? (broken === undefined ? "wan" : "chaos");
  if (!isProfileName(profile)) throw new UsageError(`--profile: no profile "${profile}"`);
  const hosts = intOf("hosts", values.hosts ?? String(profileOf(profile).hosts), [HOSTS_MIN, HOSTS_MAX]);
  const seeds = intOf("seeds", values.seeds ?? "1", [1, SEEDS_MAX]);
  const firstSeed = intOf("seed", values.seed ?? "1", [0, SEED_MAX - seeds]);
  const connections =
    values.connections === undefined
      ? undefined
      : intOf("connections", values.connections, [CONNECTIONS_MIN, CONNECTIONS_MAX]);
  const [isJson, isVerbose] = [values.json === true, values.verbose === true];
  if (isJson && isVerbose) throw new UsageError("--json and --verbose exclude each other");
  return { hosts, seeds, firstSeed, profile, broken, connections, isJson, isVerbose };
}

const ARGS = {
  options: {
    hosts: { type: "string" },
    seeds: { type: "string" },
    seed: { type: "string" },
    connections: { type: "string" },
    profile: { type: "string" },
    break: { type: "string" },
    json: { type: "boolean" },
    verbose: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  },
} as const;

function help(): string {
  const profiles = PROFILE_NAMES.map((name) => `  ${name.padEnd(17)}${profileOf(name).text}\n`);
  const breaks = BREAK_NAMES.map((name) => {
    const { text, breaks } = breakOf(name);
    return `  ${name.padEnd(17)}${text}; fails ${breaks.join(", ")}\n`;
  });
  return [
    "npm run sim -- [options]: a cluster of real replicas in virtual time\n\n",
    "  --hosts N        members; default: 200, for chaos 50\n",
    "  --seeds N        how many runs, counted up from --seed; default 1\n",
    "  --seed N         the first; the same seed repeats byte for byte; default 1\n",
    "  --connections N  of one member, at most; default: 100, for chaos 300\n",
    "  --profile NAME   default wan; with --break chaos\n",
    "  --break NAME     switch one protection off, to see what it is for\n",
    "  --json           one object over all seeds, and nothing else\n",
    "  --verbose        a line for each event\n\n",
    "profiles:\n",
    ...profiles,
    "\nbreaks, and what fails then, within 20 seeds of chaos with 50 hosts:\n",
    ...breaks,
    "\ninvariants:\n",
    ...Object.entries(INVARIANTS).map(([name, text]) => `  ${name.padEnd(17)}${text}\n`),
    "\nexit codes: 0 every invariant held, 1 one failed, 2 usage\n",
  ].join("");
}

async function run(command: Command): Promise<number> {
  const { firstSeed: _first, seeds: _seeds, isJson, isVerbose, ...each } = command;
  const onResult = (result: SeedResult): void => {
    if (isJson) return;
    const word = result.violations.length === 0 ? "ok" : "FAILED";
    process.stdout.write(`seed ${result.seed} ${word}: ${result.events} events\n`);
  };
  const results = isVerbose ? runVerbosely(command, onResult) : await runSeeds(command, onResult);
  const report = buildReport(each, results);
  process.stdout.write(`${isJson ? JSON.stringify(report) : describeReport(report)}\n`);
  const failed = results.filter(({ violations }) => violations.length > 0);
  for (const result of failed.slice(0, 1)) {
    const failure = describeFailure({ ...each, seed: result.seed }, result);
    process.stderr.write(failure);
  }
  for (const { seed } of failed.slice(1)) {
    process.stderr.write(`seed ${seed} failed: ${replayLine({ ...each, seed })}\n`);
  }
  return failed.length > 0 ? 1 : 0;
}

function runVerbosely(
  { firstSeed, seeds, ...each }: Command,
  onResult: (result: SeedResult) => void,
): SeedResult[] {
  return Array.from({ length: seeds }, (_, at) => {
    const result = runSeed({ ...each, seed: firstSeed + at }, (atMs, line) => {
      process.stdout.write(traceLine(atMs, line));
    });
    onResult(result);
    return result;
  });
}

await runCommandLine({
  parse: parseCommand,
  help,
  run,
  hint: "npm run sim -- --help lists the options, profiles and breaks",
});
