import { expect, test } from "vitest";
import { BREAK_NAMES, BREAKS, type BreakName, type Seen } from "./breaks.ts";
import { explore, type Violation } from "./explore.ts";
import { describeExplored, describeTotal, describeViolation, exploreAll } from "./explore-all.ts";
import type { Fault } from "./faults.ts";
import { run } from "./run.ts";
import { SCENARIOS } from "./scenarios.ts";

/** `ROLLOUT_SEEDS=500` samples more beside the enumeration, in other orders and with two faults each. */
const SEEDS = Number(process.env["ROLLOUT_SEEDS"] ?? 1);
/** `ROLLOUT_FULL=1`: of every scenario all runs, most of an hour of CPU. */
const IS_FULL = process.env["ROLLOUT_FULL"] === "1";
/** Says that it hangs, not that it is slow: about four minutes on two idle cores. */
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

/** Each break with each place where it is noticed. */
const SEEN = BREAK_NAMES.flatMap((broken) => BREAKS[broken].seen.map((seen) => ({ broken, seen })));

test.each(SEEN)(
  "without $broken an invariant does not hold in $seen.scenario, and the same faults show it again",
  ({ broken, seen }) => {
    const { faults, text } = noticed(broken, seen);
    expect(text).toMatch(seen.invariant);
    expect(violationBy(broken, seen, faults)).toBe(text);
  },
  TIMEOUT_MS,
);

/** By what noticed it last; where that does not any more, by whatever does. */
function noticed(broken: BreakName, seen: Seen): Pick<Violation, "faults" | "text"> {
  const text = violationBy(broken, seen, seen.stored);
  if (text !== null && seen.invariant.test(text)) return { faults: seen.stored, text };
  const scenario = SCENARIOS.findIndex(({ name }) => name === seen.scenario);
  const { first } = explore({ scenario, seed: 0, broken, isFirstEnough: true, faults: seen.faults });
  if (first === null) throw new Error(`${broken}: nothing was noticed in ${seen.scenario}`);
  process.stdout.write(`without ${broken}, to be stored: ${describeViolation(first).split("\n")[0]}\n`);
  return first;
}

function violationBy(broken: BreakName, { scenario: name }: Seen, faults: readonly Fault[]): string | null {
  const scenario = SCENARIOS.find((one) => one.name === name);
  if (scenario === undefined) throw new Error(`${broken}: there is no scenario ${name}`);
  return run({ scenario, faults, broken, random: null }).violation;
}
