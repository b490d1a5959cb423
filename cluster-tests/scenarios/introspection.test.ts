// What the commands for the person on call say while a proxy is frozen, and once it goes on: the truth, from any agent.

import { afterAll, beforeAll, expect, test } from "vitest";
import type { SyncView } from "../../node/introspection/sync-view.ts";
import type { WhyView } from "../../node/introspection/why-view.ts";
import { getJson, until } from "../harness/observe.ts";
import { Scenario } from "../harness/scenario.ts";

let scenario: Scenario;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 2, proxies: 2 });
  expect(await scenario.run(["deploy", scenario.app({ greeting: "one" }).file])).toMatchObject({ code: 0 });
});
afterAll(() => scenario.stop());

/** Asked of an agent that is no voter: any answers for all. */
const sync = (): Promise<SyncView> => getJson<SyncView>(`${scenario.api("host-2")}/v1/sync`);

async function untilSynced(): Promise<void> {
  await until("all in sync", async () => ((await sync()).synced ? true : null));
}

test("a frozen proxy is named by each of them, and what the others hold is told; when it goes on, all agree again", async () => {
  await untilSynced();
  const calm = await Promise.all([
    scenario.run(["diff", "host-1", "proxy-2"]),
    scenario.run(["why", "web-v1-1"], "host-2"),
  ]);
  expect(calm[0]).toMatchObject({ code: 0, stdout: expect.stringContaining("hold the same") });
  expect(calm[1].stdout).toMatch(/proxy-2 +vm\/web-v1-1 +host-\d +newest .* yes, epoch \d+/);
  expect(calm[1].stdout).toContain("all 2 proxies route to web-v1-1");

  const states = "select name, state from members where name = 'proxy-2'";
  const query = scenario.start(["query", "--watch", states, "--json"], "host-2");
  const watch = scenario.start(["watch", "custom/", "--json"], "host-2");
  await Promise.all([query.waitFor(/"row":\["proxy-2","alive"\]/), watch.waitFor(/snapshotEnd/)]);

  process.kill(scenario.pid("proxy-2"), "SIGSTOP");
  const put = await fetch(`${scenario.api()}/v1/entries/motd`, { method: "PUT", body: "hi" });
  expect(put.status).toBe(200);
  await Promise.all([
    watch.waitFor(/"change":\{.*"key":"custom\/motd"/),
    query.waitFor(/"changed":\{"from":\["proxy-2","alive"\],"to":\["proxy-2","(?:suspect|dead)"\]\}/),
  ]);
  const during = await sync();
  expect(during.synced).toBe(false);
  const told = during.members.map(({ name, synced, reason }) => [name, synced, reason === null]);
  expect(told).toEqual([
    ["host-1", true, true],
    ["host-2", true, true],
    ["proxy-1", true, true],
    ["proxy-2", null, false],
  ]);
  expect(during.members.at(-1)?.why).toContain("does not answer");
  const [diff, why] = await Promise.all([
    scenario.run(["diff", "host-1", "proxy-2"]),
    getJson<WhyView>(`${scenario.api("host-2")}/v1/why/web-v1-1`),
  ]);
  expect(diff).toMatchObject({ code: 2, stdout: "" });
  expect(diff.stderr).toContain("proxy-2 does not answer: ");
  expect(why.conclusions).toEqual([
    expect.stringMatching(/^proxy-2 does not answer: .* whether it routes to it is not known/),
  ]);

  process.kill(scenario.pid("proxy-2"), "SIGCONT");
  await query.waitFor(/"to":\["proxy-2","alive"\]/);
  await untilSynced();
  expect(await scenario.run(["diff", "host-1", "proxy-2"])).toMatchObject({ code: 0 });
  const after = await getJson<WhyView>(`${scenario.api("host-2")}/v1/why/web-v1-1`);
  expect(after.conclusions).toEqual([]);
  for (const command of [query, watch]) command.process.kill("SIGINT");
  const ends = await Promise.all([query.result, watch.result]);
  expect(ends.map(({ code }) => code)).toEqual([0, 0]);
});
