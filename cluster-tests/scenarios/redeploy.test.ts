// One VM, deploys in a row under load: no request fails, every deploy says done, nothing is left behind.

import { afterAll, beforeAll, expect, test } from "vitest";
import { getJson, until } from "../harness/observe.ts";
import { failures, NO_FAILURES, Scenario } from "../harness/scenario.ts";

/** `REDEPLOYS=10` does more. */
const DEPLOYS = Number(process.env["REDEPLOYS"] ?? 5);
const RATE = 100;

let scenario: Scenario;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 3, proxies: 2 });
});
afterAll(() => scenario.stop());

test(`${DEPLOYS} deploys of one VM at ${RATE} requests a second fail no request and leave one VM`, async () => {
  const app = scenario.app({ greeting: "release 1" });
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });

  const client = scenario.load({ ratePerSecond: RATE });
  for (let release = 2; release <= DEPLOYS + 1; release++) {
    app.change({ greeting: `release ${release}` });
    const host = `host-${(release % 3) + 1}`;
    const deploy = await scenario.run(["deploy", app.file], host);
    expect(deploy, deploy.stdout + deploy.stderr).toMatchObject({ code: 0 });
    expect(scenario.runningVms()).toEqual([`web-v${release}-1`]);
  }
  const samples = await client.stop();

  expect(failures(samples)).toEqual(NO_FAILURES);
  const releases = new Set(samples.map((sample) => sample.release));
  expect([...releases].sort()).toEqual(
    Array.from({ length: DEPLOYS + 1 }, (_, index) => `v${index + 1}`).sort(),
  );
  const view = await getJson<{ release: string; vms: { vm: string }[] }>(`${scenario.api()}/v1/apps/web`);
  expect(view.release).toBe(`v${DEPLOYS + 1}`);
  expect(view.vms.map((vm) => vm.vm)).toEqual(scenario.runningVms());
});

test("the agents' metrics have what their gates closed and how the rollouts ended", async () => {
  const ended = 'grapevine_rollouts_ended_total{kind="deploy",state="succeeded"}';
  expect(await metricOfAll(ended)).toBe(DEPLOYS + 1);
  expect(await metricOfAll('grapevine_rollouts_ended_total{kind="deploy",state="failed"}')).toBe(0);
  expect(await metricOfAll("grapevine_rollouts_running")).toBe(0);
  // A gate tells its agent now and then.
  await until("what the gates closed", async () => {
    const closings = await metricOfAll("grapevine_gate_closing_seconds_count");
    const open = await metricOfAll("grapevine_gate_open_vms");
    return closings === DEPLOYS && open === 1 ? true : null;
  });
  expect(await metricOfAll("grapevine_gate_requests_total")).toBeGreaterThan(0);
});

test("an app of three VMs is rolled one by one without a failed request", async () => {
  const app = scenario.app({ count: 3, greeting: "three" });
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
  const client = scenario.load({ ratePerSecond: RATE });
  app.change({ count: 3, greeting: "three again" });
  const deploy = await scenario.run(["deploy", app.file]);
  expect(deploy, deploy.stdout + deploy.stderr).toMatchObject({ code: 0 });
  expect(failures(await client.stop())).toEqual(NO_FAILURES);
  const { release } = await getJson<{ release: string }>(`${scenario.api()}/v1/apps/web`);
  const releases = scenario.runningVms().map((vm) => /^web-(v\d+)-\d+$/.exec(vm)?.[1]);
  expect(releases).toEqual([release, release, release]);
});

/** The sum over all agents. */
async function metricOfAll(series: string): Promise<number> {
  const texts = scenario.view.agents.map(async ({ api }) => (await fetch(`${api}/metrics`)).text());
  const values = (await Promise.all(texts)).map((text) => {
    const line = text.split("\n").find((one) => one.startsWith(`${series} `));
    return Number(line?.slice(series.length) ?? Number.NaN);
  });
  return values.reduce((sum, value) => sum + value, 0);
}
