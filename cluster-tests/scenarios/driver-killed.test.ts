// kill -9 of the agent that drives, at moments that a seed chooses, in deploys of each strategy: each ends by itself, no request fails,
// and what runs is what was asked for.

import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { seededRandom } from "../../mesh/sim/seeded-random.ts";
import type { AppView } from "../../node/deploy/app-view.ts";
import { getJson, until } from "../harness/observe.ts";
import { failures, NO_FAILURES, Scenario } from "../harness/scenario.ts";

/** `DRIVER_SEED=7 DRIVER_KILLS=20` takes other moments, and more of them. */
const SEED = Number(process.env["DRIVER_SEED"] ?? 1);
/** For each strategy. */
const DEPLOYS = Number(process.env["DRIVER_KILLS"] ?? 2);
/** A step takes tens of milliseconds: of the moments some lie within one, some between two. */
const MOMENT_MS_MAX = 150;
const STEPS_MAX = 4;
const HOSTS = ["host-1", "host-2", "host-3"] as const;

const STRATEGIES = [
  ["rolling", ["max_surge = 1"]],
  ["rolling with one fewer", ["max_surge = 1", "max_unavailable = 1"]],
  ["immediate", ['strategy = "immediate"']],
  ["bluegreen", ['strategy = "bluegreen"', 'keep_old = "1s"']],
] as const;

const random = seededRandom(SEED);
let scenario: Scenario;
let deploys = 0;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 3, proxies: 2 });
  const app = scenario.app({ count: 2, greeting: "deploy 0" });
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
});
afterAll(() => scenario.stop());

test.each(STRATEGIES)(
  `kill -9 of the driver ${DEPLOYS} times in deploys that are %s, seed ${SEED}`,
  async (_, deploy) => {
    const client = scenario.load({ ratePerSecond: 100 });
    for (let count = 0; count < DEPLOYS; count += 1) {
      deploys += 1;
      const app = scenario.app({ count: 2, greeting: `deploy ${deploys}`, deploy });
      const moment = { steps: Math.floor(random() * STEPS_MAX), ms: Math.floor(random() * MOMENT_MS_MAX) };
      const deploying = scenario.start(["deploy", app.file], HOSTS[Math.floor(random() * 3)]);
      const said = await deploying.waitFor(/^web-v\d+: submitted\n/);
      const rollout = /^web-v\d+/.exec(said)?.[0] ?? "";
      const killed = await killDriver(rollout, moment);
      const result = await deploying.result;
      const told = `${killed} killed ${moment.ms} ms after step ${moment.steps}\n${result.stdout}${result.stderr}`;
      expect(result, told).toMatchObject({ code: 0 });
      const wanted = [`${rollout}-1`, `${rollout}-2`];
      await until(`only ${wanted.join(" and ")}`, () =>
        scenario.runningVms().join() === wanted.join() ? true : null,
      );
    }
    expect(failures(await client.stop())).toEqual(NO_FAILURES);
  },
  60_000 * (DEPLOYS + 1),
);

/** Once so many steps are over, and then so many milliseconds later: before that nobody knows where it is by then. */
async function killDriver(
  rollout: string,
  moment: { readonly steps: number; readonly ms: number },
): Promise<string> {
  const driver = await until(`step ${moment.steps} of ${rollout}`, async () => {
    const view = await viewOfAny();
    if (view?.rollout?.id !== rollout) return null;
    return view.rollout.history.length >= moment.steps ? view.rollout.driver : null;
  });
  await delay(moment.ms);
  const killed = scenario.pid(driver);
  process.kill(killed, "SIGKILL");
  // Its supervisor starts it again. The deploy does not wait for that; the next one may be submitted there.
  await until("the agent's new process", () => (scenario.pid(driver) === killed ? null : true));
  await scenario.cluster.ready(driver);
  return driver;
}

async function viewOfAny(): Promise<AppView | null> {
  const views = HOSTS.map((host) => getJson<AppView>(`${scenario.api(host)}/v1/apps/web`).catch(() => null));
  const found = (await Promise.all(views)).filter((view) => view !== null);
  return found.sort((left, right) => right.epoch - left.epoch)[0] ?? null;
}
