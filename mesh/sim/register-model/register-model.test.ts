import { expect, test } from "vitest";
import { describeOutcome } from "../../register/testing/describe.ts";
import { BREAK_NAMES, type BreakName, breakOf } from "./breaks.ts";
import type { Ended } from "./desk.ts";
import type { Exploration } from "./explore.ts";
import { recordText } from "./keys.ts";
import type { State } from "./layout.ts";
import { Model } from "./model.ts";
import { chosenKey } from "./observed.ts";
import { describeExploration, describeTotal } from "./report.ts";
import { runScenarios } from "./run-scenarios.ts";
import { type Scenario, task } from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";
import { SeenStates } from "./seen-states.ts";

/** Of a machine that does much else; all together take half a minute on two idle cores. */
const MINUTES_MAX = 10;
/** Millions of states: for the command line. */
const TOO_LARGE: readonly BreakName[] = ["early-second-voter-change-3-4-5"];

function tell(exploration: Exploration): void {
  process.stdout.write(describeExploration(exploration));
}

test(
  "one-register holds in all states of all scenarios",
  async () => {
    const jobs = SCENARIOS.map((scenario) => ({ scenario, broken: null, depthMax: null }));
    const explorations = await runScenarios(jobs, tell);
    process.stdout.write(describeTotal(explorations, 0));
    for (const exploration of explorations) {
      expect(exploration.violation, describeExploration(exploration)).toBeNull();
      expect(exploration.isExhausted).toBe(true);
    }
  },
  MINUTES_MAX * 60_000,
);

test(
  "without any one of its protections one-register fails",
  async () => {
    const names = BREAK_NAMES.filter((name) => !TOO_LARGE.includes(name));
    const jobs = names.map((broken) => ({ scenario: breakOf(broken).scenario, broken, depthMax: null }));
    const explorations = await runScenarios(jobs);
    for (const { broken, violation } of explorations) {
      process.stdout.write(`without ${broken}: ${violation?.depth} moves to ${violation?.text}\n`);
      expect(violation, `without ${broken} nothing fails`).not.toBeNull();
    }
  },
  MINUTES_MAX * 60_000,
);

const SMALL: Scenario = {
  name: "small",
  text: "",
  voters: "abc",
  tasks: {},
  attempts: {},
  restarts: 0,
  crashes: null,
};

const TWO: Scenario = { ...SMALL, voters: "ab", tasks: { a: [task("swap")], b: [task("swap")] } };

test.each<[string, Scenario]>([
  ["a swap and a read", { ...SMALL, tasks: { a: [task("swap")], b: [task("read")] } }],
  ["two swaps", { ...SMALL, tasks: { a: [task("swap")], b: [task("swap")] } }],
  ["a crash", { ...TWO, crashes: 1 }],
  ["restarts", { ...TWO, restarts: 1 }],
  [
    "a change of voters",
    { ...SMALL, voters: "a", committedBy: "a", tasks: { a: [task("+b"), task("swap")], b: [task("read")] } },
  ],
])(
  "what the model leaves out adds nothing: %s",
  (_name, scenario) => {
    const literal = everything(new Model(scenario, { isLiteral: true }));
    const reduced = everything(new Model(scenario));
    expect(reduced.seen).toEqual(literal.seen);
    expect(reduced.seen.length).toBeGreaterThan(10);
    expect(5 * reduced.states).toBeLessThan(literal.states);
  },
  MINUTES_MAX * 60_000,
);

test(
  "an acceptor that syncs in one step with its answer shows all that one shows which crashes in between",
  () => {
    const scenario = { ...SMALL, tasks: { a: [task("swap")], b: [task("swap")] } };
    const crashing = everything(new Model({ ...scenario, crashes: 1 }));
    expect(everything(new Model(scenario)).seen).toEqual(crashing.seen);
  },
  MINUTES_MAX * 60_000,
);

/** All that can be chosen, and how all operations can end. */
function everything(model: Model): { readonly states: number; readonly seen: readonly string[] } {
  const met = new SeenStates();
  const observed = new Set<number>();
  const ends = new Set<Ended>();
  const isNew = (state: State): boolean => {
    const { high, low } = model.fingerprint(state);
    return met.add(high, low, 0) >= 0;
  };
  const queue = [model.first()].filter(isNew);
  for (const state of queue) {
    model.successors(state, (next, { ended, violation }) => {
      if (violation !== null) throw new Error(violation);
      observed.add(next[model.layout.observedAt] ?? 0);
      if (ended !== null) ends.add(ended);
      if (isNew(next)) queue.push(next.slice());
    });
  }
  const chosen = [...observed].map((id) => {
    const { chosen: votes, failed } = model.parts.observed(id).observed;
    return `chosen ${votes.map(chosenKey)}, failed ${failed}`;
  });
  return { states: met.size, seen: [...new Set([...chosen, ...[...ends].map(endText)])].sort() };
}

/** Without who signed and who was silent: the literal model tells that of each voter by its name. */
function endText({ operation, floor, outcome }: Ended): string {
  const record = "record" in operation ? recordText(operation) : "";
  const end = describeOutcome(outcome, null).replace(/, signed by.*? at|missing:.*/, "");
  return `${operation.kind} ${record} after ${floor}: ${end}`;
}
