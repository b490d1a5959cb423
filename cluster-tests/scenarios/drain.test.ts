// What is in flight on the old VM when its release is replaced: it finishes, or is cut at drain_timeout, and that is said.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RoutesView } from "../../proxy-agent/io/admin.ts";
import type { AppFolder } from "../harness/app-folder.ts";
import { type Answer, get } from "../harness/get.ts";
import { getJson, until, untilView } from "../harness/observe.ts";
import { Scenario } from "../harness/scenario.ts";

let scenario: Scenario;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 2, proxies: 1 });
});
afterAll(() => scenario.stop());

/** A request that the VM has and does not answer before `end`. */
async function holdRequest(app: AppFolder): Promise<{ answer: Promise<Answer>; end: () => void }> {
  const { http, admin } = scenario.proxy("proxy-1");
  const file = join(app.path, "end");
  const answer = get(`${http}/held?until=${encodeURIComponent(file)}`, "web.localhost");
  await until("the request in flight", async () => {
    const { routes } = await getJson<RoutesView>(`${admin}/v1/routes`);
    const requests = routes.flatMap(({ endpoints }) => endpoints.map(({ inFlight }) => inFlight));
    return requests.includes(1) ? true : null;
  });
  return { answer, end: () => writeFileSync(file, "") };
}

const isCordoning = (view: { rollout: { step: { kind: string } | null } | null }): boolean =>
  view.rollout?.step?.kind === "cordon";

test("a request that runs longer than the cutover is finished by the old VM, which stops only then", async () => {
  const app = scenario.app({ greeting: "one", drainTimeout: "10m" });
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
  const { answer, end } = await holdRequest(app);

  app.change({ greeting: "two", drainTimeout: "10m" });
  const deploy = scenario.start(["deploy", app.file]);
  await untilView(scenario.api(), "web", isCordoning);
  expect(scenario.runningVms()).toEqual(["web-v1-1", "web-v2-1"]);

  end();
  expect(await answer).toEqual({ status: 200, vm: "web-v1-1", text: "held" });
  expect(await deploy.result).toMatchObject({ code: 0 });
  expect(scenario.runningVms()).toEqual(["web-v2-1"]);
});

test("a request that outlives drain_timeout is cut, the deploy ends, and says how many were cut", async () => {
  const app = scenario.app({ greeting: "three", drainTimeout: "500ms" });
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
  const { answer } = await holdRequest(app);

  app.change({ greeting: "four", drainTimeout: "500ms" });
  const deploy = await scenario.run(["deploy", app.file]);
  expect(deploy, deploy.stdout + deploy.stderr).toMatchObject({ code: 0 });
  expect(deploy.stdout).toMatch(/1 (request )?cut|cut 1/);
  expect(await answer).toMatchObject({ status: 504 });
  expect(scenario.runningVms()).toEqual(["web-v4-1"]);
});
