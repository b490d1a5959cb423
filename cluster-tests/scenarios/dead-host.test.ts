// A host whose agent is gone for longer than `replace_after`: its VM is placed elsewhere, and stopped once the agent is back. And a
// host on which nothing new shall be placed.

import { afterAll, beforeAll, expect, test } from "vitest";
import type { AppView } from "../../node/deploy/app-view.ts";
import { getJson, until, untilView } from "../harness/observe.ts";
import { failures, NO_FAILURES, Scenario } from "../harness/scenario.ts";

let scenario: Scenario;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 3, proxies: 2, replaceAfter: "1s" });
});
afterAll(() => scenario.stop());

/** Of the VMs that the record names: a view has those too that a host still speaks of. */
function hostsOf(view: AppView): readonly string[] {
  return view.vms.flatMap(({ host, phase }) => (phase === null ? [] : [host])).sort();
}

function namesOf(view: AppView): readonly string[] {
  return view.vms.flatMap(({ vm, phase }) => (phase === null ? [] : [vm])).sort();
}

test("the VM of a dead host is replaced without a failed request, and stopped when its host is back", async () => {
  const app = scenario.app({ count: 3, greeting: "one" });
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
  const client = scenario.load();
  const before = await getJson<AppView>(`${scenario.api()}/v1/apps/web`);
  expect(hostsOf(before)).toEqual(["host-1", "host-2", "host-3"]);

  await scenario.cluster.lose("host-3");
  const repaired = await untilView(
    scenario.api(),
    "web",
    ({ rollout }) => rollout?.kind === "repair" && rollout.state === "succeeded",
  );
  expect(hostsOf(repaired).filter((host) => host === "host-3")).toEqual([]);
  expect(namesOf(repaired)).toHaveLength(3);
  // Its agent is gone, it is not: nobody else can stop it.
  expect(scenario.runningVms()).toHaveLength(4);

  await scenario.cluster.restart("host-3");
  await until("only what the record names", () =>
    scenario.runningVms().join() === namesOf(repaired).join() ? true : null,
  );
  expect(failures(await client.stop())).toEqual(NO_FAILURES);
});

test("a cordoned host keeps what it runs and gets nothing new, until it is uncordoned", async () => {
  const cordon = await scenario.run(["host", "cordon", "host-2"], "host-1");
  expect(cordon, cordon.stdout + cordon.stderr).toMatchObject({ code: 0 });
  await until("the cordon at the driver", async () => {
    const members = await getJson<{ name: string; cordoned: boolean }[]>(`${scenario.api()}/v1/members`);
    return members.some(({ name, cordoned }) => name === "host-2" && cordoned) ? true : null;
  });
  const app = scenario.app({ count: 4, greeting: "two", deploy: ['strategy = "immediate"'] });
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
  const view = await getJson<AppView>(`${scenario.api()}/v1/apps/web`);
  expect(hostsOf(view)).toEqual(["host-1", "host-1", "host-3", "host-3"]);
  expect(await scenario.run(["host", "uncordon", "host-2"], "host-3")).toMatchObject({ code: 0 });
});
