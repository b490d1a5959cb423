import { expect, test } from "vitest";
import { BREAK_NAMES } from "./breaks.ts";
import { requireFailure, requireSeeds } from "./require-seeds.ts";

/** `SIM_SEEDS=1000 SIM_SEED=201` runs more, and others. A failing seed prints the line that replays it. */
const SEEDS = Number(process.env["SIM_SEEDS"] ?? 200);
const FIRST_SEED = Number(process.env["SIM_SEED"] ?? 1);
/** What the README promises; most are seen in the first, and it ends with the first that is. */
const BREAK_SEEDS = 20;
const SECONDS_PER_SEED_MAX = 30;
const CHAOS = { profile: "chaos", hosts: 50, firstSeed: FIRST_SEED, broken: undefined } as const;

test(
  `every invariant holds in chaos: seeds ${FIRST_SEED} to ${FIRST_SEED + SEEDS - 1}`,
  async () => {
    expect(await requireSeeds({ ...CHAOS, seeds: SEEDS })).toHaveLength(SEEDS);
  },
  SEEDS * SECONDS_PER_SEED_MAX * 1_000,
);

test.each(BREAK_NAMES)(
  "without %s an invariant that is documented for it fails",
  async (broken) => {
    expect(await requireFailure({ ...CHAOS, seeds: BREAK_SEEDS }, broken)).toBeGreaterThanOrEqual(FIRST_SEED);
  },
  BREAK_SEEDS * SECONDS_PER_SEED_MAX * 1_000,
);
