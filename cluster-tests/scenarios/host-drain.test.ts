// A host is drained under load: its single-VM apps serve elsewhere before they stop there, and no request fails. Then the host that is
// drained is the driver's own, whose agent is killed on the way: the moves go on without it, and what was said outlives it.

import { afterAll, beforeAll, expect, test } from "vitest";
import type { MemberRow } from "../../node/api/views.ts";
import type { LoadClient } from "../../node/cli/demo/load-client.ts";
import type { AppView } from "../../node/deploy/app-view.ts";
import { getJson, until } from "../harness/observe.ts";
import { failures, NO_FAILURES, Scenario } from "../harness/scenario.ts";

const APPS = ["one", "two", "three"];
/** Of each app: VMs start on the same two cores, and what is measured is whether anything fails. */
const RATE_PER_SECOND = 50;

let scenario: Scenario;
let clients: readonly LoadClient[] = [];

async function command(args: readonly string[], host = "host-1"): Promise<string> {
  const result = await scenario.run(args, host);
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  return result.stdout;
}

/** Until the agent that decides where VMs go has heard how hosts are used. */
async function untilUsed(by: Readonly<Record<string, string>>): Promise<void> {
  await until(`the use of hosts: ${JSON.stringify(by)}`, async () => {
    const rows = await getJson<MemberRow[]>(`${scenario.api()}/v1/members`);
    const useOf = ({ draining, cordoned }: MemberRow) =>
      draining ? "draining" : cordoned ? "cordoned" : "open";
    const uses = new Map(rows.map((row) => [row.name as string, useOf(row)]));
    return Object.entries(by).every(([host, use]) => uses.get(host) === use) ? true : null;
  });
}

async function hostsOf(app: string): Promise<readonly string[]> {
  const { vms } = await getJson<AppView>(`${scenario.api("host-2")}/v1/apps/${app}`);
  return vms.map(({ host }) => host);
}

beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 3, proxies: 2 });
  const others = ["host-1", "host-3"];
  await Promise.all(others.map((host) => command(["host", "cordon", host])));
  await untilUsed({ "host-1": "cordoned", "host-3": "cordoned" });
  await Promise.all(APPS.map((name) => command(["deploy", scenario.app({ name, greeting: name }).file])));
  await Promise.all(others.map((host) => command(["host", "uncordon", host])));
  await untilUsed({ "host-1": "open", "host-3": "open" });
  clients = APPS.map((app) => scenario.load({ app, ratePerSecond: RATE_PER_SECOND }));
});
afterAll(() => scenario.stop());

async function expectNoFailures(): Promise<void> {
  const samples = await Promise.all(clients.map((client) => client.stop()));
  expect(samples.map(failures)).toEqual(APPS.map(() => NO_FAILURES));
  clients = APPS.map((app) => scenario.load({ app, ratePerSecond: RATE_PER_SECOND }));
}

test("three apps of one VM leave a drained host, and no request fails", async () => {
  for (const app of APPS) expect(await hostsOf(app)).toEqual(["host-2"]);
  const said = await command(["host", "drain", "host-2"], "host-3");
  for (const app of APPS) {
    expect(said).toMatch(new RegExp(`${app}: has left host-2 by ${app}-v1-e\\d+`));
    expect((await hostsOf(app)).filter((host) => host === "host-2")).toEqual([]);
  }
  expect(said).toMatch(/host-2 is empty after .*grapevine host uncordon host-2/);
  expect(scenario.runningVms()).toEqual(["one-v1-2", "three-v1-2", "two-v1-2"]);
  expect(await command(["members"])).toMatch(/host-2 .*draining/);
  const history = await command(["history", "one"]);
  expect(history).toMatch(/one-v1-e\d+ +move of v1 off host-2 +succeeded/);
  await expectNoFailures();
});

test("kill -9 of the driver, whose own host is drained: what is there leaves it, and no request fails", async () => {
  await command(["host", "uncordon", "host-2"]);
  const draining = scenario.start(["host", "drain", "host-1"], "host-2");
  await draining.waitFor(/moves by /);
  process.kill(scenario.pid("host-1"), "SIGKILL");
  const result = await draining.result;
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  for (const app of APPS) expect((await hostsOf(app)).filter((host) => host === "host-1")).toEqual([]);
  expect(scenario.runningVms()).toHaveLength(APPS.length);
  await scenario.cluster.ready("host-1");
  await untilUsed({ "host-1": "draining", "host-2": "open" });
  await expectNoFailures();
});
