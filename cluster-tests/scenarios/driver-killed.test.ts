// kill -9 of the agent that drives, at moments that a seed chooses, in deploys of each strategy: each ends by itself, no request fails,
// what runs is what was asked for, and no swap has two winners. With five hosts, and more of it: `npm run bench:driver-kills`.

import { afterAll, beforeAll, expect, test } from "vitest";
import { DriverKills, KILLED_STRATEGIES } from "../harness/driver-kills.ts";
import { NO_FAILURES } from "../harness/scenario.ts";

/** `DRIVER_SEED=7 DRIVER_KILLS=20` takes other moments, and more of them. */
const SEED = Number(process.env["DRIVER_SEED"] ?? 1);
/** For each strategy. */
const DEPLOYS = Number(process.env["DRIVER_KILLS"] ?? 1);
const SIZE = { hosts: 3, proxies: 2, ratePerSecond: 100 };

const story: string[] = [`DRIVER_SEED=${SEED}`];
let kills: DriverKills;
beforeAll(async () => {
  kills = await DriverKills.start({ ...SIZE, seed: SEED, say: (line) => story.push(line) });
});
afterAll(() => kills.stop());

test.each(KILLED_STRATEGIES)(
  `kill -9 of the driver in each of ${DEPLOYS} deploys that are $name, seed ${SEED}`,
  async (strategy) => {
    const report = await kills.run(strategy, DEPLOYS);
    expect(report.faults, story.join("\n")).toEqual([]);
    expect(report.failures, story.join("\n")).toEqual(NO_FAILURES);
    expect(report.kills).toHaveLength(DEPLOYS);
  },
  60_000 * (DEPLOYS + 1),
);
