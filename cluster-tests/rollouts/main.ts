// The command line of the rollouts' simulator. Exit codes: 0 all held · 1 something did not · 2 usage.

import { intOf, parseOptions, runCommandLine, UsageError } from "../../mesh/sim/command-line.ts";
import { BREAK_NAMES, BREAKS, isBreakName } from "./breaks.ts";
import {
  describeExplored,
  describeTotal,
  describeViolation,
  type ExploreOptions,
  exploreAll,
} from "./explore-all.ts";
import { FAULT_NAMES } from "./faults.ts";
import { SCENARIOS } from "./scenarios.ts";

interface Command extends ExploreOptions {
  readonly isJson: boolean;
}

const SEEDS_MAX = 1_000_000;
const ARGS = {
  options: {
    seed: { type: "string" },
    seeds: { type: "string" },
    break: { type: "string" },
    only: { type: "string" },
    json: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  },
} as const;

function parseCommand(args: readonly string[]): Command | "help" {
  const values = parseOptions(ARGS, args);
  if (values.help === true) return "help";
  const broken = values.break ?? null;
  if (broken !== null && !isBreakName(broken)) throw new UsageError(`--break: no break "${broken}"`);
  const seed = intOf("seed", values.seed ?? (values.seeds === undefined ? "0" : "1"), [0, SEEDS_MAX]);
  const seeds = intOf("seeds", values.seeds ?? "1", [1, SEEDS_MAX]);
  const only = values.only ?? null;
  if (only !== null && !SCENARIOS.some(({ name }) => name.includes(only)))
    throw new UsageError(`--only: no scenario has "${only}" in its name`);
  return { seed, seeds, broken, only, isJson: values.json === true };
}

function help(): string {
  return [
    "npm run sim:rollouts -- [options]: deploys of every strategy, while members crash, stand still or are cut off before every event\n\n",
    `Without --seed: enumerated, ${SCENARIOS.length} scenarios, ${FAULT_NAMES.length} faults: ${FAULT_NAMES.join(", ")}.\n\n`,
    "  --seed N         two faults anywhere and events in another order; the same seed repeats; 0 enumerates\n",
    "  --seeds N        so many seeds, counted up from --seed (default then: 1)\n",
    "  --only TEXT      only scenarios with this in their name\n",
    "  --break NAME     switch one protection off, to see what it is for\n",
    "  --json           one object, and nothing else\n\n",
    "breaks:\n",
    ...BREAK_NAMES.map((name) => `  ${name.padEnd(22)}${BREAKS[name].text}\n`),
    "\nexit codes: 0 all held, 1 something did not, 2 usage\n",
  ].join("");
}

async function runCommand({ isJson, ...options }: Command): Promise<number> {
  const say = (line: string) => void (isJson || process.stdout.write(`${line}\n`));
  const results = await exploreAll(options, (explored) => say(describeExplored(explored)));
  const runs = results.reduce((sum, result) => sum + result.runs, 0);
  const violations = results.reduce((sum, result) => sum + result.violations, 0);
  const first = results.find((result) => result.first !== null)?.first ?? null;
  if (first !== null) {
    say(describeViolation(first));
    const broken = options.broken === null ? "" : ` --break ${options.broken}`;
    say(`again: npm run sim:rollouts -- --seed ${first.seed} --only "${first.scenario}"${broken}`);
  }
  say(
    `seed ${options.seed}${options.seeds > 1 ? ` to ${options.seed + options.seeds - 1}` : ""}: ${describeTotal(results)}`,
  );
  if (isJson)
    process.stdout.write(`${JSON.stringify({ ...options, runs, violations, first, scenarios: results })}\n`);
  return violations === 0 ? 0 : 1;
}

await runCommandLine({
  parse: parseCommand,
  help,
  run: runCommand,
  hint: "see npm run sim:rollouts -- --help",
});
