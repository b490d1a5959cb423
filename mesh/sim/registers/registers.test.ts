import { availableParallelism } from "node:os";
import { expect, test } from "vitest";
import { BREAK_NAMES, type BreakName, breakOf } from "./breaks.ts";
import { COUNT_NAMES, COUNTS } from "./counts.ts";
import { buildReport, describeReport } from "./report.ts";
import { runSeeds } from "./run-seeds.ts";
import { describeFailure } from "./story.ts";

/** `SIM_SEEDS=1000 SIM_SEED=101` runs more, and others. A failing seed prints its story and the line that replays it. */
const SEEDS = Number(process.env["SIM_SEEDS"] ?? 100);
const FIRST_SEED = Number(process.env["SIM_SEED"] ?? 1);
const APPS = 200;
/** Says that a seed hangs, not that it is slow: a machine that does much else takes some seconds for one. */
const SECONDS_PER_SEED_MAX = 30;

test(
  `one-register holds in chaos, for ${APPS} apps: seeds ${FIRST_SEED} to ${FIRST_SEED + SEEDS - 1}`,
  async () => {
    const options = { firstSeed: FIRST_SEED, seeds: SEEDS, apps: APPS, broken: null };
    const results = await runSeeds(options);
    const { counts, ...report } = buildReport(options, results);
    process.stdout.write(describeReport({ ...report, counts }));
    const failed = results.find(({ violations }) => violations.length > 0);
    if (failed !== undefined) throw new Error(describeFailure({ ...options, seed: failed.seed }, failed));
    const missing = COUNT_NAMES.filter((name) => counts[name] === 0);
    expect(missing.map((name) => COUNTS[name])).toEqual([]);
  },
  SEEDS * SECONDS_PER_SEED_MAX * 1_000,
);

test.each(BREAK_NAMES)(
  "without %s it fails within the seeds that are given for it",
  async (broken) => {
    const { seed, text } = await firstFailure(broken);
    process.stdout.write(`without ${broken}: seed ${seed}: ${text}\n`);
  },
  60 * SECONDS_PER_SEED_MAX * 1_000,
);

async function firstFailure(broken: BreakName): Promise<{ readonly seed: number; readonly text: string }> {
  const { apps, seeds } = breakOf(broken);
  const step = availableParallelism();
  for (let firstSeed = 1; firstSeed <= seeds; firstSeed += step) {
    const results = await runSeeds({ firstSeed, seeds: Math.min(step, seeds - firstSeed + 1), apps, broken });
    for (const { seed, violations } of results) for (const { text } of violations) return { seed, text };
  }
  throw new Error(`without ${broken} nothing failed in ${seeds} seeds of ${apps} apps`);
}
