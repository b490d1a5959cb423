// Strategies as their users meet them: a preview that only its own name reaches, a word that lets it take over, and two deploys at once.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { getThroughProxy, untilView } from "../harness/observe.ts";
import { failures, NO_FAILURES, Scenario } from "../harness/scenario.ts";

let scenario: Scenario;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 3, proxies: 2 });
});
afterAll(async () => {
  await scenario.stop();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
const folders: string[] = [];

const MANUAL = ['strategy = "bluegreen"', 'approval = "manual"', 'keep_old = "1h"'];

async function vmAt(host: string): Promise<{ readonly status: number; readonly vm: string | null }> {
  const { status, body } = await getThroughProxy(scenario.proxy("proxy-2").http, host);
  return { status, vm: status === 200 ? (JSON.parse(body) as { vm: string }).vm : null };
}

test("a bluegreen release is reached by its preview name alone, takes over when promoted, and the old one is kept", async () => {
  const app = scenario.app({ greeting: "one" });
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
  const client = scenario.load();
  app.change({ greeting: "two", deploy: MANUAL });
  const deploy = scenario.start(["deploy", app.file]);
  await untilView(scenario.api(), "web", (view) => view.rollout?.step?.kind === "approve");
  expect(await vmAt("preview.web.localhost")).toEqual({ status: 200, vm: "web-v2-1" });
  expect(await vmAt("web.localhost")).toEqual({ status: 200, vm: "web-v1-1" });
  expect(deploy.process.exitCode).toBeNull();

  const promoted = await scenario.run(["promote", "web"], "host-2");
  expect(promoted, promoted.stdout + promoted.stderr).toMatchObject({ code: 0 });
  const result = await deploy.result;
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  expect(result.stdout).toContain("the new release is reached at preview.web.localhost");
  expect(result.stdout).toMatch(/v2 serves on every proxy with 1 VM at web.localhost; v1 is kept for /);
  expect(await vmAt("web.localhost")).toEqual({ status: 200, vm: "web-v2-1" });
  expect(await vmAt("preview.web.localhost")).toMatchObject({ status: 404 });
  expect(scenario.runningVms()).toEqual(["web-v1-1", "web-v2-1"]);
  expect((await scenario.run(["promote", "web"])).code).toBe(2);
  expect(failures(await client.stop())).toEqual(NO_FAILURES);
});

test("abort goes back with 5, and what was kept is gone with the new deploy", async () => {
  const client = scenario.load();
  const app = scenario.app({ greeting: "three", deploy: MANUAL });
  const deploy = scenario.start(["deploy", app.file]);
  await untilView(scenario.api(), "web", (view) => view.rollout?.step?.kind === "approve");
  const aborted = await scenario.run(["abort", "web"]);
  expect(aborted, aborted.stdout + aborted.stderr).toMatchObject({ code: 5 });
  expect((await deploy.result).code).toBe(5);
  expect(scenario.runningVms()).toEqual(["web-v2-1"]);
  expect(failures(await client.stop())).toEqual(NO_FAILURES);
});

/** A file that makes a VM healthy once it is there: until then a deploy is on its way. */
function readyFile(): { readonly path: string; readonly create: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "ready-"));
  folders.push(folder);
  const path = join(folder, "ready");
  return { path, create: () => writeFileSync(path, "") };
}

test("the same file twice at once is one deploy, of two files one is locked out, and an app that was destroyed can be deployed anew", async () => {
  const ready = readyFile();
  const deploy = ['strategy = "immediate"'];
  const app = scenario.app({ greeting: "four", readyFile: ready.path, deploy });
  const twice = ["host-1", "host-2"].map((host) => scenario.start(["deploy", app.file], host));
  const said = await Promise.all(
    twice.map(({ waitFor }) => waitFor(/^web-v\d+: .*(?:submitted|joined it)\n/)),
  );
  const rollouts = said.map((text) => /^web-v\d+/.exec(text)?.[0]);
  expect(new Set(rollouts).size).toBe(1);
  const other = await scenario.run(["deploy", scenario.app({ greeting: "five" }).file], "host-3");
  expect(other, other.stdout + other.stderr).toMatchObject({ code: 4 });
  ready.create();
  const results = await Promise.all(twice.map(({ result }) => result));
  expect(results.map(({ code }) => code)).toEqual([0, 0]);

  expect(await scenario.run(["destroy", "web"])).toMatchObject({ code: 0 });
  expect(scenario.runningVms()).toEqual([]);
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
  expect(scenario.runningVms()).toHaveLength(1);
});

test("while a majority of the voters is away a deploy says so, and ends once they are back", async () => {
  for (const host of ["host-2", "host-3"]) {
    expect(await scenario.run(["host", "cordon", host])).toMatchObject({ code: 0 });
  }
  const ready = readyFile();
  const app = scenario.app({ greeting: "seven", readyFile: ready.path });
  const deploy = scenario.start(["deploy", app.file]);
  const waiting = await untilView(
    scenario.api(),
    "web",
    ({ rollout, vms }) =>
      rollout?.state === "running" &&
      vms.some(({ phase, state }) => phase === "starting" && state === "running"),
  );
  expect(waiting.vms.find(({ phase }) => phase === "starting")?.host).toBe("host-1");
  const client = scenario.load();
  await Promise.all(["host-2", "host-3"].map((host) => scenario.cluster.lose(host)));
  ready.create();
  await deploy.waitFor(/cannot commit: no majority of the voters answers/);
  await Promise.all(["host-2", "host-3"].map((host) => scenario.cluster.restart(host)));
  const result = await deploy.result;
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  expect(failures(await client.stop())).toEqual(NO_FAILURES);
});
