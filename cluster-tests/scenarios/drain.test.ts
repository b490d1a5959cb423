// What is in flight on the old VM when its release is replaced: it finishes, or is cut at drain_timeout, and that is said.

import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../harness/get.ts";
import { untilView } from "../harness/observe.ts";
import { Scenario } from "../harness/scenario.ts";

let scenario: Scenario;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 2, proxies: 1 });
});
afterAll(() => scenario.stop());

function getSlow(ms: number): ReturnType<typeof get> {
  return get(`${scenario.proxy("proxy-1").http}/slow?ms=${ms}`, "web.localhost");
}

const isCordoning = (view: { rollout: { step: { kind: string } | null } | null }): boolean =>
  view.rollout?.step?.kind === "cordon";

test("a request that runs longer than the cutover is finished by the old VM, which stops only then", async () => {
  const app = scenario.app({ greeting: "one", drainTimeout: "30s" });
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
  const slow = getSlow(4_000);

  app.change({ greeting: "two", drainTimeout: "30s" });
  const deploy = scenario.start(["deploy", app.file]);
  await untilView(scenario.api(), "web", isCordoning);
  expect(scenario.runningVms()).toEqual(["web-v1-1", "web-v2-1"]);

  expect(await slow).toEqual({ status: 200, vm: "web-v1-1", text: "slow" });
  expect(await deploy.result).toMatchObject({ code: 0 });
  expect(scenario.runningVms()).toEqual(["web-v2-1"]);
});

test("a request that outlives drain_timeout is cut, the deploy ends, and says how many were cut", async () => {
  const app = scenario.app({ greeting: "three", drainTimeout: "500ms" });
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
  const endless = getSlow(60_000);

  app.change({ greeting: "four", drainTimeout: "500ms" });
  const deploy = await scenario.run(["deploy", app.file]);
  expect(deploy, deploy.stdout + deploy.stderr).toMatchObject({ code: 0 });
  expect(deploy.stdout).toMatch(/1 (request )?cut|cut 1/);
  expect(await endless).toMatchObject({ status: 504 });
  expect(scenario.runningVms()).toEqual(["web-v4-1"]);
});
