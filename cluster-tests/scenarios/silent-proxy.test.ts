// A proxy that is frozen during a deploy: silence is no consent. It is waited for, or excluded by the app or by a person, by name; what
// takes a VM away waits for its gate in either case, and the gates heal the proxy when it wakes.

import { afterAll, beforeAll, expect, test } from "vitest";
import type { AppView } from "../../node/deploy/app-view.ts";
import { get } from "../harness/get.ts";
import { getJson, PATIENCE_MS, untilView } from "../harness/observe.ts";
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

/** The gate before the VM that serves, and its host. */
async function gateOfApp(): Promise<{ readonly pid: number; readonly host: string }> {
  const { vms } = await getJson<AppView>(`${scenario.api()}/v1/apps/web`);
  const host = vms.find(({ phase }) => phase === "serving")?.host;
  const gate = scenario.view.gates.find((candidate) => candidate.host === host);
  if (gate === undefined || host === undefined) throw new Error(`no gate of ${host}`);
  return { pid: gate.pid, host };
}

test(
  "a frozen proxy is excluded as the app asks, or a person, and named; when it wakes the gates lead each request to what serves",
  async () => {
    const app = scenario.app({ greeting: "four" });
    const client = scenario.load({ through: ["proxy-1"] });
    const frozen = scenario.pid("proxy-2");
    process.kill(frozen, "SIGSTOP");
    try {
      app.change({ greeting: "four", deploy: ['exclude_silent_after = "1s"'] });
      const running = scenario.start(["deploy", app.file]);
      const { excluded: ofSilence } = await untilView(
        scenario.api(),
        "web",
        ({ excluded = [] }) => excluded.length > 0,
      );
      expect(ofSilence).toEqual([{ proxy: "proxy-2", by: "silence" }]);
      const silent = await running.result;
      expect(silent, silent.stdout + silent.stderr).toMatchObject({ code: 6 });
      expect(silent.stdout).toContain("except: proxy-2 has not confirmed it");

      app.change({ greeting: "five" });
      const held = scenario.start(["deploy", app.file]);
      await held.waitFor(/waiting for proxy-2 to acknowledge epoch/);
      const excluded = await scenario.run(["proxy", "exclude", "proxy-2"], "host-2");
      expect(excluded, excluded.stderr).toMatchObject({ code: 0 });
      const result = await held.result;
      expect(result, result.stdout + result.stderr).toMatchObject({ code: 6 });
      expect(result.stdout).toContain("except: proxy-2, which is excluded, has not confirmed it");
      const status = await scenario.run(["status", "web"]);
      expect(status.stdout).toContain("proxy-2 is excluded: no rollout asks it");
    } finally {
      // Taken by the kernel while the proxy is frozen, with the table of two releases ago.
      const asked = Array.from({ length: 20 }, () => get(scenario.proxy("proxy-2").http, "web.localhost"));
      process.kill(frozen, "SIGCONT");
      const answers = await Promise.all(asked);
      const [serving = ""] = scenario.runningVms();
      expect(answers.map(({ status, vm }) => `${status} ${vm}`)).toEqual(asked.map(() => `200 ${serving}`));
    }
    expect(failures(await client.stop())).toEqual(NO_FAILURES);
    expect(await scenario.run(["proxy", "include", "proxy-2"])).toMatchObject({ code: 0 });
    app.change({ greeting: "six" });
    expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
  },
  2 * PATIENCE_MS,
);

test(
  "with ack_quorum = 0.5 a slow proxy holds no step that adds, and what takes the old VM away waits for its gate",
  async () => {
    const app = scenario.app({ greeting: "seven", deploy: ["ack_quorum = 0.5"] });
    const gate = await gateOfApp();
    const before = scenario.runningVms();
    const slow = scenario.pid("proxy-2");
    process.kill(slow, "SIGSTOP");
    process.kill(gate.pid, "SIGSTOP");
    const deploy = scenario.start(["deploy", app.file]);
    try {
      const waiting = await untilView(scenario.api(), "web", waitsFor(gate.host));
      const history = waiting.rollout?.history ?? [];
      expect(waiting.rollout?.step?.kind).toBe("cordon");
      expect(history.map(({ kind }) => kind)).toEqual(["start", "serve"]);
      expect(history[1]?.outcome).toMatch(/^acks 1\/2, slowest proxy-1 /);
      expect(scenario.runningVms()).toEqual(expect.arrayContaining([...before]));
    } finally {
      process.kill(gate.pid, "SIGCONT");
    }
    await untilView(scenario.api(), "web", ({ vms }) => vms.length === 1);
    expect(scenario.runningVms()).not.toEqual(expect.arrayContaining([...before]));
    process.kill(slow, "SIGCONT");
    const result = await deploy.result;
    // Whom the quorum did without is waited for at the end while it can be heard. Where it could not be, it is named.
    expect([0, 6], result.stdout + result.stderr).toContain(result.code);
    expect(result.stdout.includes("proxy-2 has not confirmed it")).toBe(result.code === 6);
  },
  2 * PATIENCE_MS,
);
