// A proxy on the host of the VMs, an arm of that host's gate: it needs the gate for no request, and the gate needs its word to close.

import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../harness/get.ts";
import { PATIENCE_MS, until } from "../harness/observe.ts";
import { failures, NO_FAILURES, Scenario } from "../harness/scenario.ts";

let scenario: Scenario;
beforeAll(async () => {
  // proxy-1 is the arm, proxy-2 goes through the gate.
  scenario = await Scenario.start({ hosts: 1, proxies: 2, isArmed: true });
});
afterAll(() => scenario.stop());

async function metricOf(proxy: string, name: string): Promise<number> {
  const text = await (await fetch(`${scenario.proxy(proxy).admin}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1]);
}

async function untilArmed(): Promise<void> {
  await until("an arm of the gate", async () =>
    (await metricOf("proxy-1", "grapevine_proxy_armed_vms").catch(() => 0)) > 0 ? true : null,
  );
}

async function kill(member: string): Promise<void> {
  const pid = scenario.pid(member);
  process.kill(pid, "SIGKILL");
  await until(`another ${member}`, () => (scenario.pid(member) === pid ? null : true));
  await scenario.cluster.ready(member);
}

async function waitsForArm(): Promise<true | null> {
  const { stdout } = await scenario.run(["status", "web"]);
  return /to close web-v\d+-1 at its gate, which waits for proxy-1/.test(stdout) ? true : null;
}

/** So that no proxy that is silent holds up what adds a VM: what is left to wait for is the gate. */
const deploy = ["ack_quorum = 0.5", 'exclude_silent_after = "1s"'];

test(
  "kill -9 of gate and arm under load: no request fails but those that were in the arm, and it is an arm again",
  async () => {
    const app = scenario.app({ greeting: "one", deploy });
    expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
    await untilArmed();
    const client = scenario.load({ ratePerSecond: 100 });
    await kill("gate-1");
    await untilArmed();
    expect(failures(await client.stop())).toEqual(NO_FAILURES);
    const other = scenario.load({ ratePerSecond: 100, through: ["proxy-2"] });
    await kill("proxy-1");
    await untilArmed();
    app.change({ greeting: "two", deploy });
    const deployed = await scenario.run(["deploy", app.file]);
    expect(deployed, deployed.stdout + deployed.stderr).toMatchObject({ code: 0 });
    expect(failures(await other.stop())).toEqual(NO_FAILURES);
  },
  2 * PATIENCE_MS,
);

test("SIGSTOP of the gate: the arm goes on without it", async () => {
  const app = scenario.app({ greeting: "three", deploy });
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
  await untilArmed();
  const gate = scenario.pid("gate-1");
  process.kill(gate, "SIGSTOP");
  const answer = await get(scenario.proxy("proxy-1").http, "web.localhost");
  process.kill(gate, "SIGCONT");
  expect(answer).toMatchObject({ status: 200 });
});

test(
  "SIGSTOP of the arm, and kill -9 of the gate meanwhile: the old VM is not stopped before the arm has answered, status names it, and no request fails",
  async () => {
    const app = scenario.app({ greeting: "four", deploy });
    expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
    await untilArmed();
    const [old] = scenario.runningVms();
    const client = scenario.load({ ratePerSecond: 50, through: ["proxy-2"] });
    const arm = scenario.pid("proxy-1");
    process.kill(arm, "SIGSTOP");
    app.change({ greeting: "five", deploy });
    const running = scenario.start(["deploy", app.file]);
    await until("a gate that waits for its arm", waitsForArm);
    await kill("gate-1");
    await until("a gate that waits for the arm of its former life", waitsForArm);
    expect(scenario.runningVms()).toContain(old);
    expect(running.process.exitCode).toBeNull();
    // Waiting in the arm's socket: it is sent by the rights that the arm had, before it can read that they are over.
    const waiting = get(scenario.proxy("proxy-1").http, "web.localhost");
    process.kill(arm, "SIGCONT");
    expect(await waiting).toMatchObject({ status: 200 });
    const { code, stdout, stderr } = await running.result;
    // 6: the arm was excluded by name from the steps that only add.
    expect([0, 6], stdout + stderr).toContain(code);
    expect(scenario.runningVms()).not.toContain(old);
    expect(failures(await client.stop())).toEqual(NO_FAILURES);
  },
  3 * PATIENCE_MS,
);
