// A release that crashes, one whose check never passes, and one that fails late: exit 1, the reason, old serves as before, nothing left
// over. And an old VM that does not go: no exit 0 either.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { AppView } from "../../node/deploy/app-view.ts";
import { getJson, untilView } from "../harness/observe.ts";
import { failures, NO_FAILURES, Scenario } from "../harness/scenario.ts";

let scenario: Scenario;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 3, proxies: 2 });
});
afterAll(() => scenario.stop());

test("a first launch that crashes is failed with exit 1 and leaves nothing", async () => {
  const app = scenario.app({ name: "crasher", behaviour: "crash" });
  const deploy = await scenario.run(["deploy", app.file]);
  expect(deploy, deploy.stdout + deploy.stderr).toMatchObject({ code: 1 });
  expect(deploy.stdout + deploy.stderr).toMatch(/exited with code 7/);
  expect(deploy.stdout + deploy.stderr).toMatch(/fatal: no database/);
  expect(scenario.runningVms()).toEqual([]);
});

test.each([
  { behaviour: "crash", says: [/exited with code 7/, /fatal: no database/] },
  { behaviour: "unhealthy", says: [/500/, /\/healthz/] },
] as const)(
  "a release that is $behaviour rolls back with its reason; old serves all along",
  async ({ behaviour, says }) => {
    const app = scenario.app({ greeting: `before ${behaviour}` });
    const first = await scenario.run(["deploy", app.file]);
    expect(first, first.stdout + first.stderr).toMatchObject({ code: 0 });
    const before = scenario.runningVms();
    const { release } = await getJson<{ release: string }>(`${scenario.api()}/v1/apps/web`);
    const client = scenario.load({ ratePerSecond: 100 });

    app.change({ behaviour });
    const deploy = await scenario.run(["deploy", app.file]);
    expect(deploy, deploy.stdout + deploy.stderr).toMatchObject({ code: 1 });
    for (const pattern of says) expect(deploy.stdout + deploy.stderr).toMatch(pattern);

    const samples = await client.stop();
    expect(failures(samples)).toEqual(NO_FAILURES);
    expect(new Set(samples.map((sample) => sample.release))).toEqual(new Set([release]));
    expect(scenario.runningVms()).toEqual(before);
    const view = await getJson<{ release: string; rollout: { state: string } }>(
      `${scenario.api()}/v1/apps/web`,
    );
    expect(view).toMatchObject({ release, rollout: { state: "rolled-back" } });
  },
);

test("a release command runs once, before anything else; one that fails leaves all as it was", async () => {
  const app = scenario.app({ greeting: "migrated" });
  const log = join(app.path, "..", `runs-${process.pid}-${Math.random()}`);
  const work = `require("node:fs").appendFileSync(${JSON.stringify(log)}, process.env.GREETING + "\\n");`;
  const deploy = ['release_command = ["node", "migrate.js"]', 'release_command_timeout = "1m"'];
  app.change({ greeting: "migrated", deploy });
  writeFileSync(join(app.path, "migrate.js"), work);
  const good = await scenario.run(["deploy", app.file]);
  expect(good, good.stdout + good.stderr).toMatchObject({ code: 0 });
  expect(good.stdout).toMatch(/step 1 command web-v\d+-0: ended well after/);
  expect(readFileSync(log, "utf8")).toBe("migrated\n");

  const before = scenario.runningVms();
  const client = scenario.load({ ratePerSecond: 50 });
  writeFileSync(
    join(app.path, "migrate.js"),
    `${work} console.error("fatal: no such table"); process.exit(3);`,
  );
  const bad = await scenario.run(["deploy", app.file]);
  expect(bad, bad.stdout + bad.stderr).toMatchObject({ code: 1 });
  expect(bad.stdout + bad.stderr).toMatch(/the release command, web-v\d+-0 on host-\d, exited with code 3/);
  expect(bad.stdout + bad.stderr).toContain("fatal: no such table");
  expect(failures(await client.stop())).toEqual(NO_FAILURES);
  expect(readFileSync(log, "utf8")).toBe("migrated\nmigrated\n");
  // Its own VM may still be on its way out.
  expect(scenario.runningVms().filter((vm) => !vm.endsWith("-0"))).toEqual(before);
  rmSync(log);
});

test("a command that does not exist is named, and what ran goes on", async () => {
  const app = scenario.app({ command: ["no-such-command", "x"] });
  const before = scenario.runningVms();
  const deploy = await scenario.run(["deploy", app.file]);
  expect(deploy, deploy.stdout + deploy.stderr).toMatchObject({ code: 1 });
  expect(deploy.stdout + deploy.stderr).toMatch(/no-such-command/);
  expect(scenario.runningVms()).toEqual(before);
});

test("a release that fails once it serves, and before all is confirmed, is never done: exit 1, and old serves as before", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ready-"));
  const readyFile = join(folder, "ready");
  writeFileSync(readyFile, "");
  const before = scenario.runningVms();
  const { release } = await getJson<{ release: string }>(`${scenario.api()}/v1/apps/web`);
  const app = scenario.app({ greeting: "fails late", readyFile, gracePeriod: "1s" });
  const client = scenario.load({ ratePerSecond: 100, through: ["proxy-1"] });
  const frozen = scenario.pid("proxy-2");
  process.kill(frozen, "SIGSTOP");
  try {
    const deploy = scenario.start(["deploy", app.file]);
    // It serves at one proxy, and the other has not said so.
    await untilView(scenario.api(), "web", ({ rollout }) => rollout?.step?.acks?.have === 1);
    rmSync(folder, { recursive: true });
    const result = await deploy.result;
    expect(result, result.stdout + result.stderr).toMatchObject({ code: 1 });
    expect(result.stdout + result.stderr).toMatch(/is unhealthy: .*500/);
  } finally {
    process.kill(frozen, "SIGCONT");
  }
  await untilView(scenario.api(), "web", ({ vms, leftovers }) => vms.length === 1 && leftovers.length === 0);
  expect(scenario.runningVms()).toEqual(before);
  expect(failures(await client.stop())).toEqual(NO_FAILURES);
  expect(await getJson(`${scenario.api()}/v1/apps/web`)).toMatchObject({
    release,
    rollout: { state: "rolled-back" },
  });
});

test("an old VM that its host does not stop keeps a deploy from being done: exit 3, and it is named", async () => {
  // Not the driver's: that is frozen in the middle.
  expect(await scenario.run(["host", "cordon", "host-1"])).toMatchObject({ code: 0 });
  const app = scenario.app({ name: "stuck", greeting: "one", behaviour: "stubborn", waitTimeout: "3s" });
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
  const { vms } = await getJson<AppView>(`${scenario.api()}/v1/apps/stuck`);
  const agent = scenario.pid(vms[0]?.host ?? "");
  app.change({ name: "stuck", greeting: "two", waitTimeout: "3s" });
  const deploy = scenario.start(["deploy", app.file]);
  try {
    await untilView(scenario.api(), "stuck", ({ rollout }) => rollout?.step?.kind === "stop");
    process.kill(agent, "SIGSTOP");
    const result = await deploy.result;
    expect(result, result.stdout + result.stderr).toMatchObject({ code: 3 });
    expect(result.stdout + result.stderr).toMatch(/stuck-v1-1 is not gone on host-\d/);
    expect(scenario.runningVms()).toContain("stuck-v1-1");
  } finally {
    process.kill(agent, "SIGCONT");
  }
});
