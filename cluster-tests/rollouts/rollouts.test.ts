import { expect, test } from "vitest";
import { BREAK_NAMES, BREAKS } from "./breaks.ts";
import { explore } from "./explore.ts";
import { describeExplored, describeTotal, describeViolation, exploreAll } from "./explore-all.ts";
import { run } from "./run.ts";
import { SCENARIOS, type Scenario } from "./scenarios.ts";

/** `ROLLOUT_SEEDS=500` samples more beside the enumeration, in other orders and with two faults each. */
const SEEDS = Number(process.env["ROLLOUT_SEEDS"] ?? 1);
/** `ROLLOUT_FULL=1`: of every scenario all runs, some minutes more. */
const IS_FULL = process.env["ROLLOUT_FULL"] === "1";
/** Says that it hangs, not that it is slow: about two minutes on two idle cores. */
const TIMEOUT_MS = 1_200_000 + SEEDS * 60_000;

test(
  "a rollout of any strategy ends as it must, whatever becomes of whom before whichever event",
  async () => {
    const results = await exploreAll({ seed: 0, seeds: 1 + SEEDS, broken: null, isCover: !IS_FULL });
    for (const explored of results.slice(0, SCENARIOS.length))
      process.stdout.write(`${describeExplored(explored)}\n`);
    process.stdout.write(`${describeTotal(results)}\n`);
    const first = results.find((result) => result.first !== null)?.first ?? null;
    if (first !== null) throw new Error(describeViolation(first));
    const ends = new Set(results.flatMap(({ states }) => Object.keys(states)));
    for (const end of ["aborted", "failed", "rolled-back", "succeeded"]) expect(ends).toContain(end);
  },
  TIMEOUT_MS,
);

test.each(BREAK_NAMES)(
  "without %s an invariant does not hold, and the same faults show it again",
  (broken) => {
    const { seenIn, invariant, faults } = BREAKS[broken];
    const scenario = SCENARIOS.findIndex(({ name }) => name === seenIn);
    const { first } = explore({ scenario, seed: 0, broken, isFirstEnough: true, faults });
    if (first === null) throw new Error(`${broken}: nothing was noticed`);
    process.stdout.write(`without ${broken}: ${describeViolation(first).split("\n")[0]}\n`);
    expect(first.text).toMatch(invariant);
    const again = run({
      scenario: SCENARIOS[scenario] as Scenario,
      faults: first.faults,
      broken,
      random: null,
    });
    expect(again.violation).toBe(first.text);
  },
  TIMEOUT_MS,
);
