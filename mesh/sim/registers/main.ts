// The command line of the registers' simulator. Exit codes: 0 all held · 1 something did not · 2 usage.

import { intOf, parseOptions, runCommandLine, UsageError } from "../command-line.ts";
import { BREAK_NAMES, breakOf, isBreakName } from "./breaks.ts";
import { buildReport, describeReport } from "./report.ts";
import { runSeed, type SeedResult } from "./run-seed.ts";
import { runSeeds, type SeedsOptions } from "./run-seeds.ts";
import { describeFailure, replayLine, traceLine } from "./story.ts";

const APPS = 200;
const APPS_MAX = 2_000;
const SEEDS_MAX = 1_000_000;
const SEED_MAX = 2 ** 32 - 1;

interface Command extends SeedsOptions {
  readonly isJson: boolean;
  readonly isVerbose: boolean;
}

const ARGS = {
  options: {
    seeds: { type: "string" },
    seed: { type: "string" },
    apps: { type: "string" },
    break: { type: "string" },
    json: { type: "boolean" },
    verbose: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  },
} as const;

function parseCommand(args: readonly string[]): Command | "help" {
  const values = parseOptions(ARGS, args);
  if (values.help === true) return "help";
  const broken = values.break ?? null;
  if (broken !== null && !isBreakName(broken)) throw new UsageError(`--break: no break "${broken}"`);
  const apps = intOf("apps", values.apps ?? String(broken === null ? APPS : breakOf(broken).apps), [
    1,
    APPS_MAX,
  ]);
  const seeds = intOf("seeds", values.seeds ?? String(broken === null ? 1 : breakOf(broken).seeds), [
    1,
    SEEDS_MAX,
  ]);
  const firstSeed = intOf("seed", values.seed ?? "1", [0, SEED_MAX - seeds]);
  const [isJson, isVerbose] = [values.json === true, values.verbose === true];
  if (isJson && isVerbose) throw new UsageError("--json and --verbose exclude each other");
  return { firstSeed, seeds, apps, broken, isJson, isVerbose };
}

function help(): string {
  const breaks = BREAK_NAMES.map((name) => {
    const { text, apps, seeds } = breakOf(name);
    return `  ${name.padEnd(27)}${text}; ${apps} apps, ${seeds} seeds\n`;
  });
  return [
    "npm run sim:registers -- [options]: real registers on 1, 3, 5 and 3 voters again in virtual time, while everything fails\n\n",
    "  --seeds N        how many runs, counted up from --seed; default 1\n",
    "  --seed N         the first; the same seed repeats byte for byte; default 1\n",
    `  --apps N         registers of apps; default ${APPS}\n`,
    "  --break NAME     switch one protection off, to see what it is for\n",
    "  --json           one object over all seeds, and nothing else\n",
    "  --verbose        a line for each event\n\n",
    "breaks, and among how many apps and seeds each is seen; --apps and --seeds are these if not given:\n",
    ...breaks,
    "\nexit codes: 0 all held, 1 something did not, 2 usage\n",
  ].join("");
}

async function run(command: Command): Promise<number> {
  const { firstSeed, seeds, apps, broken, isJson, isVerbose } = command;
  const options = { firstSeed, seeds, apps, broken };
  const onResult = ({ seed, events, violations }: SeedResult): void => {
    const word = violations.length === 0 ? "ok" : "FAILED";
    if (!isJson) process.stdout.write(`seed ${seed} ${word}: ${events} events\n`);
  };
  const results = isVerbose ? runVerbosely(options, onResult) : await runSeeds(options, onResult);
  const report = buildReport(options, results);
  process.stdout.write(isJson ? `${JSON.stringify(report)}\n` : describeReport(report));
  const failed = results.filter(({ violations }) => violations.length > 0);
  for (const result of failed.slice(0, 1))
    process.stderr.write(describeFailure({ seed: result.seed, apps, broken }, result));
  for (const { seed } of failed.slice(1))
    process.stderr.write(`seed ${seed} failed: ${replayLine({ seed, apps, broken })}\n`);
  return failed.length > 0 ? 1 : 0;
}

function runVerbosely(
  { firstSeed, seeds, ...each }: SeedsOptions,
  onResult: (result: SeedResult) => void,
): readonly SeedResult[] {
  return Array.from({ length: seeds }, (_, at) => {
    const result = runSeed({ ...each, seed: firstSeed + at }, (atMs, line, register) => {
      process.stdout.write(traceLine(atMs, register === null ? line : `${register}: ${line}`));
    });
    onResult(result);
    return result;
  });
}

await runCommandLine({
  parse: parseCommand,
  help,
  run,
  hint: "npm run sim:registers -- --help lists the options and breaks",
});
