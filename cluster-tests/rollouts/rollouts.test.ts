import { expect, test } from "vitest";
import { BREAK_NAMES, BREAKS } from "./breaks.ts";
import { explore } from "./explore.ts";
import { describeExplored, describeViolation, exploreAll } from "./explore-all.ts";
import { SCENARIOS } from "./scenarios.ts";

/** `ROLLOUT_SEEDS=500` samples more beside the enumeration, in other orders and with two faults each. */
const SEEDS = Number(process.env["ROLLOUT_SEEDS"] ?? 2);
/** Says that it hangs, not that it is slow: half a minute on two idle cores. */
const TIMEOUT_MS = 1_200_000 + SEEDS * 60_000;

test(
  "a rollout of any strategy ends as it must, whatever becomes of its driver before whichever event",
  async () => {
    const results = await exploreAll({ seed: 0, seeds: 1 + SEEDS, broken: null });
    const first = results.find((result) => result.first !== null)?.first ?? null;
    if (first !== null) throw new Error(describeViolation(first));
    for (const explored of results.slice(0, SCENARIOS.length)) {
      process.stdout.write(`${describeExplored(explored)}\n`);
    }
    const ends = new Set(results.flatMap(({ states }) => Object.keys(states)));
    expect([...ends].sort()).toEqual(["rolled-back", "succeeded"]);
  },
  TIMEOUT_MS,
);

test.each(BREAK_NAMES)(
  "without %s an invariant does not hold",
  (broken) => {
    const scenario = SCENARIOS.findIndex(({ name }) => name === BREAKS[broken].seenIn);
    const { first } = explore({ scenario, seed: 0, broken });
    process.stdout.write(
      `without ${broken}: ${first === null ? "" : describeViolation(first).split("\n")[0]}\n`,
    );
    expect(first).not.toBeNull();
  },
  TIMEOUT_MS,
);
