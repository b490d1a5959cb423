// More VMs, fewer, new ones, and a deploy that takes the place of another, as their users meet them: under load through each proxy, and no
// request fails.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AppFolder } from "../harness/app-folder.ts";
import { failures, NO_FAILURES, Scenario } from "../harness/scenario.ts";

let scenario: Scenario;
let app: AppFolder;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 3, proxies: 2 });
  app = scenario.app({ greeting: "one" });
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await scenario.stop();
});

/** Of what it does under load. */
async function underLoad(args: readonly string[], code: number): Promise<string> {
  const client = scenario.load();
  const result = await scenario.run(args);
  expect(result, result.stdout + result.stderr).toMatchObject({ code });
  expect(failures(await client.stop())).toEqual(NO_FAILURES);
  return result.stdout;
}

describe("without a failed request", () => {
  test("an app gets more VMs, and each of them gets requests", async () => {
    const said = await underLoad(["scale", "web", "3"], 0);
    expect(said).toContain("v1 gets 2 VMs more: 3 in all");
    expect(said).toContain("v1 serves on every proxy with 3 VMs");
    expect(scenario.runningVms()).toEqual(["web-v1-1", "web-v1-2", "web-v1-3"]);
    const client = scenario.load();
    const again = await scenario.run(["scale", "web", "3"]);
    expect(again).toMatchObject({ code: 0, stdout: "web: v1 serves with 3 VMs already: nothing to do\n" });
    const answered = new Set((await client.stop()).map(({ vm }) => vm));
    expect([...answered].sort()).toEqual(["web-v1-1", "web-v1-2", "web-v1-3"]);
  });

  test("and fewer", async () => {
    const said = await underLoad(["scale", "web", "1"], 0);
    expect(said).toMatch(/v1 gets 2 VMs fewer, 1 in all: web-v1-\d, web-v1-\d go/);
    expect(scenario.runningVms()).toHaveLength(1);
  });

  test("its VM makes way for a new one of the same release", async () => {
    const said = await underLoad(["restart", "web"], 0);
    expect(said).toContain("each VM of v1 makes way for a new one (rolling): 1 VM");
    expect(scenario.runningVms()).toEqual(["web-v1-4"]);
    const told = await scenario.run(["explain", "web"]);
    expect(told.stdout).toContain("restart of v1, rolling");
  });

  test("a deploy takes the place of one that does not come up, and says so to both", async () => {
    app.change({ greeting: "two", readyFile: `${app.path}/never` });
    const first = scenario.start(["deploy", app.file]);
    await first.waitFor(/web-v2-1 on host-\d: running/);
    app.change({ greeting: "three" });
    expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 4 });
    const said = await underLoad(["deploy", app.file, "--on-conflict", "supersede"], 0);
    expect(said).toContain("web-v2 is taken back: web-v3 begins as soon as that is over");
    expect(said).toContain("web-v2: aborted; web-v3 begins");
    expect(said).toContain("v3 serves on every proxy with 1 VM");
    const superseded = await first.result;
    expect(superseded, superseded.stdout + superseded.stderr).toMatchObject({ code: 5 });
    expect(superseded.stdout).toContain("web-v2: aborted; web-v3 took its place");
    expect(scenario.runningVms()).toEqual(["web-v3-1"]);
    const history = await scenario.run(["history", "web", "--json"]);
    const states = (JSON.parse(history.stdout).rollouts as readonly Record<string, unknown>[]).map(
      ({ rollout, state }) => `${rollout} ${state}`,
    );
    expect(states.slice(-2)).toEqual(["web-v2 aborted", "web-v3 succeeded"]);
  });

  test("one that waits is submitted at the end of what runs", async () => {
    const readyFile = `${app.path}/soon`;
    app.change({ greeting: "four", readyFile });
    const first = scenario.start(["deploy", app.file]);
    await first.waitFor(/web-v4-1 on host-\d: running/);
    app.change({ greeting: "five" });
    const second = scenario.start(["deploy", app.file, "--on-conflict", "wait"]);
    await second.waitFor(/web-v4 runs, driven by host-\d: waiting for its end/);
    const client = scenario.load();
    const aborted = await scenario.run(["abort", "web"]);
    expect(aborted, aborted.stdout + aborted.stderr).toMatchObject({ code: 5 });
    const result = await second.result;
    expect(failures(await client.stop())).toEqual(NO_FAILURES);
    expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
    expect(scenario.runningVms()).toEqual(["web-v5-1"]);
    await first.result;
  });
});
