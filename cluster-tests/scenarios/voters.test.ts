// Voters: a rollout whose driver dies is driven on; without a majority nothing changes and who is missing is said, while traffic goes
// on; and when a majority is gone for good the registers come back from what members hold.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { VotersView } from "../../node/api/voters.ts";
import type { AppView } from "../../node/deploy/app-view.ts";
import { getJson, until } from "../harness/observe.ts";
import { failures, NO_FAILURES, Scenario } from "../harness/scenario.ts";

let scenario: Scenario;

beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 4, proxies: 2 });
});
afterAll(() => scenario.stop());

function voters(host: string): Promise<VotersView> {
  return getJson<VotersView>(`${scenario.api(host)}/v1/voters`);
}

async function view(host: string): Promise<AppView> {
  const { stdout, stderr } = await scenario.run(["status", "web", "--json"], host);
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as AppView;
}

test("a rollout whose driver dies in the middle is driven on by the next voter", async () => {
  const app = scenario.app();
  const first = await scenario.run(["deploy", app.file]);
  expect(first, first.stdout + first.stderr).toMatchObject({ code: 0 });
  const load = scenario.load();
  // It is healthy when we say so: the driver is killed while it waits for that.
  const readyFile = join(app.path, "ready");
  app.change({ greeting: "second", readyFile });
  const deploy = scenario.start(["deploy", app.file], "host-1");
  // Its host has the release's files by then, which only host-1 had before.
  await until("a rollout whose new VM runs", async () => {
    const shown = await view("host-2");
    return shown.vms.some(({ release, state }) => release === 2 && state === "running") ? true : null;
  });
  await scenario.cluster.lose("host-1");
  writeFileSync(readyFile, "");
  await until("another driver", async () =>
    (await view("host-2")).rollout?.driver === "host-2" ? true : null,
  );
  // The old VM is its host's to stop: that must be back.
  await scenario.cluster.restart("host-1");
  const ended = await until("its end", async () => {
    const shown = await view("host-2");
    return shown.rollout?.id === "web-v2" && shown.rollout.state !== "running" ? shown : null;
  });
  expect(ended.rollout).toMatchObject({ state: "succeeded", driver: "host-2", reason: null });
  await deploy.result;
  expect(failures(await load.stop())).toEqual(NO_FAILURES);
});

test("without one of three voters an app is deployed as before", async () => {
  const load = scenario.load();
  await scenario.cluster.lose("host-1");
  const app = scenario.app({ greeting: "third" });
  const deployed = await scenario.run(["deploy", app.file], "host-3");
  expect(deployed, deployed.stdout + deployed.stderr).toMatchObject({ code: 0 });
  expect(failures(await load.stop())).toEqual(NO_FAILURES);
});

test("without a majority nothing changes, the command says who is missing, and traffic goes on", async () => {
  const load = scenario.load();
  await scenario.cluster.lose("host-2");
  const app = scenario.app({ greeting: "fourth" });
  const refused = await scenario.run(["deploy", app.file], "host-3");
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain("no majority of the voters answers: host-1, host-2 missing");
  const shown = await scenario.run(["voters"], "host-3");
  expect(shown.stdout).toContain("no majority can be reached from here");
  expect(failures(await load.stop())).toEqual(NO_FAILURES);
});

test("when they are gone for good the registers are restored from what members hold, and the app is deployed again", async () => {
  const load = scenario.load();
  const before = (await view("host-3")).epoch;
  const rootKey = join(scenario.cluster.stateDir, "root.key");
  const args = ["registers", "restore", "--voters", "host-3,host-4", "--root-key", rootKey, "--json"];
  const wrong = await scenario.run([...args.slice(0, 3), "host-4", ...args.slice(4)], "host-3");
  expect(wrong.stderr).toContain("host-3 restores the registers, so it must be one of the new voters");
  const restored = await scenario.run(args, "host-3");
  // Two hosts did not say what they hold: they are gone.
  expect(restored, restored.stderr).toMatchObject({ code: 6 });
  expect(JSON.parse(restored.stdout)).toMatchObject({
    apps: [{ app: "web", epoch: before + 1_000 }],
    voters: { voters: [{ name: "host-3" }, { name: "host-4" }] },
  });
  const app = scenario.app({ greeting: "fourth" });
  const deployed = await scenario.run(["deploy", app.file], "host-4");
  expect(deployed, deployed.stdout + deployed.stderr).toMatchObject({ code: 0 });
  expect(failures(await load.stop())).toEqual(NO_FAILURES);
  // Who comes back is no voter any more, and takes what was committed since.
  await scenario.cluster.restart("host-1");
  await until("host-1 to know the new list", async () => {
    const { list, settled } = await voters("host-1");
    return list !== null && list > 1_000 && settled ? true : null;
  });
  expect((await view("host-1")).epoch).toBe((await view("host-4")).epoch);
  const again = await scenario.run(["voters", "add", "host-1"], "host-4");
  expect(again, again.stderr).toMatchObject({ code: 0 });
});
