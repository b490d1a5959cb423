// The register model's command line. Exit codes: 0 `one-register` holds in all that was looked at · 1 it does not · 2 usage.

import type { parseArgs } from "node:util";
import { intOf, parseOptions, runCommandLine, UsageError } from "../command-line.ts";
import { BREAK_NAMES, breakOf, isBreakName } from "./breaks.ts";
import type { Exploration, ExploreOptions } from "./explore.ts";
import { describeExploration, describeTotal } from "./report.ts";
import { runScenarios } from "./run-scenarios.ts";
import type { Scenario, Task } from "./scenario.ts";
import { LARGE_SCENARIOS, SCENARIOS } from "./scenarios.ts";

const VOTERS = "abcdefg";
const PLAIN_TASKS = ["swap", "read", "delete", "guess", "recommit"] as const;

const ARGS = {
  options: {
    scenario: { type: "string" },
    large: { type: "boolean" },
    proposers: { type: "string" },
    voters: { type: "string" },
    tasks: { type: "string" },
    attempts: { type: "string" },
    restarts: { type: "string" },
    crashes: { type: "string" },
    depth: { type: "string" },
    break: { type: "string" },
    json: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  },
} as const;

type Values = ReturnType<typeof parseArgs<typeof ARGS>>["values"];

interface Command {
  readonly jobs: readonly ExploreOptions[];
  readonly isJson: boolean;
}

function parseCommand(args: readonly string[]): Command | "help" {
  const values = parseOptions(ARGS, args);
  if (values.help === true) return "help";
  const depthMax = values.depth === undefined ? null : intOf("depth", values.depth, [0, 1_000]);
  const jobs = chosen(values).map(({ scenario, broken }) => ({ scenario, broken, depthMax }));
  return { jobs, isJson: values.json === true };
}

function chosen(values: Values): readonly Omit<ExploreOptions, "depthMax">[] {
  const { proposers, voters, tasks, attempts, restarts, crashes } = values;
  const isOwn = [proposers, voters, tasks, attempts, restarts, crashes].some((value) => value !== undefined);
  const { scenario, large = false, break: broken } = values;
  const ways = [scenario !== undefined, large, broken !== undefined, isOwn].filter(Boolean).length;
  if (ways > 1)
    throw new UsageError("one of --scenario, --large, --break, or a scenario of your own (--proposers, …)");
  if (broken !== undefined) return [brokenOf(broken)];
  if (isOwn) return [{ scenario: ownScenario(values), broken: null }];
  return scenariosOf(scenario, large).map((one) => ({ scenario: one, broken: null }));
}

function brokenOf(name: string): Omit<ExploreOptions, "depthMax"> {
  if (!isBreakName(name)) throw new UsageError(`--break: no break "${name}"`);
  return { scenario: breakOf(name).scenario, broken: name };
}

function scenariosOf(name: string | undefined, isLarge: boolean): readonly Scenario[] {
  if (isLarge) return LARGE_SCENARIOS;
  if (name === undefined) return SCENARIOS;
  const found = [...SCENARIOS, ...LARGE_SCENARIOS].filter((scenario) => scenario.name === name);
  if (found.length === 0) throw new UsageError(`--scenario: no scenario "${name}"`);
  return found;
}

/** Each proposer has the same tasks. */
function ownScenario(values: Values): Scenario {
  const voters = intOf("voters", values.voters ?? "3", [1, VOTERS.length]);
  const proposers = intOf("proposers", values.proposers ?? "2", [1, voters]);
  const attempts = intOf("attempts", values.attempts ?? "2", [1, 10]);
  const tasks = tasksOf(values.tasks ?? "swap");
  const letters = [...VOTERS].slice(0, proposers);
  return {
    name: "own",
    text: "as asked for",
    voters: VOTERS.slice(0, voters),
    tasks: Object.fromEntries(letters.map((letter) => [letter, tasks])),
    attempts: Object.fromEntries(letters.map((letter) => [letter, attempts])),
    restarts: intOf("restarts", values.restarts ?? "0", [0, 10]),
    crashes: values.crashes === undefined ? null : intOf("crashes", values.crashes, [0, 10]),
  };
}

function tasksOf(text: string): readonly Task[] {
  return text.split(",").map((word) => {
    const kind = PLAIN_TASKS.find((plain) => plain === word);
    if (kind === undefined)
      throw new UsageError(`--tasks: "${word}" is none of ${PLAIN_TASKS.join(", ")} (with a comma between)`);
    return { kind };
  });
}

function help(): string {
  const line = ({ name, text }: { readonly name: string; readonly text: string }): string =>
    `  ${name.padEnd(33)}${text}\n`;
  return [
    "npm run model:register -- [options]: every state that the register's real code can reach, within bounds\n\n",
    "  --scenario NAME   only this one; default: all but the large\n",
    "  --large           the large ones: some minutes\n",
    "  --break NAME      switch one protection off, and see the shortest way to what it is for\n",
    "  --depth N         moves from the first state, at most; default: to the end\n",
    "  --json            one object, and nothing else\n\n",
    "a scenario of your own, in which each proposer has the same tasks:\n",
    "  --proposers N     default 2\n",
    "  --voters N        default 3\n",
    `  --tasks A,B,…     of ${PLAIN_TASKS.join(", ")}; default swap\n`,
    "  --attempts N      ballots of a task; default 2\n",
    "  --restarts N      of a proposer; default 0\n",
    "  --crashes N       of acceptors; with it memory and disk differ until a sync; default: no such thing\n",
    "\nscenarios:\n",
    ...SCENARIOS.map(line),
    "\nlarge scenarios:\n",
    ...LARGE_SCENARIOS.map(line),
    "\nbreaks:\n",
    ...BREAK_NAMES.map((name) => line({ name, text: breakOf(name).text })),
    "\nexit codes: 0 one-register holds, 1 it does not, 2 usage\n",
  ].join("");
}

async function run({ jobs, isJson }: Command): Promise<number> {
  const startedMs = performance.now();
  const tell = (exploration: Exploration): void => {
    if (!isJson) process.stdout.write(describeExploration(exploration));
  };
  const explorations = await runScenarios(jobs, tell);
  const seconds = (performance.now() - startedMs) / 1_000;
  const isHolding = explorations.every(({ violation }) => violation === null);
  if (isJson) process.stdout.write(`${JSON.stringify({ isHolding, seconds, explorations })}\n`);
  else process.stdout.write(describeTotal(explorations, seconds));
  return isHolding ? 0 : 1;
}

await runCommandLine({
  parse: parseCommand,
  help,
  run,
  hint: "npm run model:register -- --help lists what there is",
});
