// A proxy that is frozen during a deploy: silence is no consent. The old VM goes on running until it has answered.

import { afterAll, beforeAll, expect, test } from "vitest";
import { PATIENCE_MS, untilView } from "../harness/observe.ts";
import { failures, NO_FAILURES, Scenario } from "../harness/scenario.ts";

let scenario: Scenario;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 3, proxies: 2 });
});
afterAll(() => scenario.stop());

const waitsFor =
  (proxy: string) =>
  (view: { rollout: { step: { waitingFor: readonly { who: string }[] } | null } | null }) =>
    view.rollout?.step?.waitingFor.length === 1 && view.rollout.step.waitingFor[0]?.who === proxy;

test("SIGSTOP of one proxy holds the deploy, status names it, SIGCONT ends it with 0", async () => {
  const app = scenario.app({ greeting: "one" });
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
  const client = scenario.load({ through: ["proxy-1"] });

  const frozen = scenario.pid("proxy-2");
  process.kill(frozen, "SIGSTOP");
  app.change({ greeting: "two" });
  const deploy = scenario.start(["deploy", app.file]);
  await untilView(scenario.api(), "web", waitsFor("proxy-2"));

  const status = await scenario.run(["status", "web"]);
  expect(status.stdout).toMatch(/waits for proxy-2 to acknowledge epoch \d+/);
  expect(scenario.runningVms()).toEqual(["web-v1-1", "web-v2-1"]);
  expect(deploy.process.exitCode).toBeNull();

  process.kill(frozen, "SIGCONT");
  const result = await deploy.result;
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  expect(scenario.runningVms()).toEqual(["web-v2-1"]);
  expect(failures(await client.stop())).toEqual(NO_FAILURES);
});

test(
  "a proxy silent for longer than wait_timeout sends the deploy back to old, and is named; what is left goes when it answers",
  async () => {
    const app = scenario.app({ greeting: "three", waitTimeout: "2s" });
    const client = scenario.load({ through: ["proxy-1"] });
    const frozen = scenario.pid("proxy-2");
    process.kill(frozen, "SIGSTOP");
    const deploy = await scenario.run(["deploy", app.file]);
    expect(deploy, deploy.stdout + deploy.stderr).toMatchObject({ code: 3 });
    expect(deploy.stdout + deploy.stderr).toMatch(/proxy-2 has not acknowledged epoch \d+/);
    expect(scenario.runningVms()).toContain("web-v2-1");
    const view = await untilView(scenario.api(), "web", (view) => view.rollout?.state === "rolled-back");
    expect(view).toMatchObject({ release: "v2", weights: { v2: 100 } });

    process.kill(frozen, "SIGCONT");
    await untilView(scenario.api(), "web", (view) => view.vms.length === 1 && view.leftovers.length === 0);
    expect(scenario.runningVms()).toEqual(["web-v2-1"]);
    expect(failures(await client.stop())).toEqual(NO_FAILURES);
  },
  2 * PATIENCE_MS,
);
