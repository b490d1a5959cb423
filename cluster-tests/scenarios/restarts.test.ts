// Members that are killed or frozen come back with what they knew and with what they missed.

import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../harness/get.ts";
import { getJson, until } from "../harness/observe.ts";
import { failures, NO_FAILURES, Scenario } from "../harness/scenario.ts";

const FROZEN_MS = 10_000;

let scenario: Scenario;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 3, proxies: 2 });
});
afterAll(() => scenario.stop());

interface VmFacts {
  readonly vm: string;
  readonly host: string;
  readonly state: string;
  readonly phase: string | null;
  readonly restarts: number;
}

async function theVm(): Promise<VmFacts> {
  const vms = await getJson<VmFacts[]>(`${scenario.api()}/v1/vms`);
  expect(vms).toHaveLength(1);
  return vms[0]!;
}

async function vmPid(): Promise<number> {
  const { text } = await get(scenario.proxy("proxy-1").http, "web.localhost");
  return (JSON.parse(text) as { pid: number }).pid;
}

test("kill -9 of the agent of the VM's host: the VM serves on, the agent comes back and knows it, deploys go on", async () => {
  const app = scenario.app({ greeting: "one" });
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
  const before = { ...(await theVm()), pid: await vmPid() };
  const client = scenario.load();

  const killed = scenario.pid(before.host);
  process.kill(killed, "SIGKILL");
  await until("the agent's new process", () => (scenario.pid(before.host) === killed ? null : true));
  await scenario.cluster.ready(before.host);
  await until("the VM in the eyes of its host", async () => {
    const vms = await getJson<VmFacts[]>(`${scenario.api(before.host)}/v1/vms`);
    // What it is wanted for its agent reads from a voter, a moment after it knows what runs.
    const isKnown = ({ vm, state, phase }: VmFacts) =>
      vm === before.vm && state === "running" && phase !== null;
    return vms.some(isKnown) ? true : null;
  });
  expect({ ...(await theVm()), pid: await vmPid() }).toEqual(before);

  app.change({ greeting: "two" });
  const deploy = await scenario.run(["deploy", app.file]);
  expect(deploy, deploy.stdout + deploy.stderr).toMatchObject({ code: 0 });
  expect(scenario.runningVms()).toEqual(["web-v2-1"]);
  expect(failures(await client.stop())).toEqual(NO_FAILURES);
});

test("kill -9 of a proxy: clients of the other see nothing, and it serves again", async () => {
  const client = scenario.load({ through: ["proxy-1"] });
  const killed = scenario.pid("proxy-2");
  process.kill(killed, "SIGKILL");
  await until("the proxy's new process", () => (scenario.pid("proxy-2") === killed ? null : true));
  await scenario.cluster.ready("proxy-2");
  const back = scenario.load({ through: ["proxy-2"] });

  const app = scenario.app({ greeting: "three" });
  const deploy = await scenario.run(["deploy", app.file]);
  expect(deploy, deploy.stdout + deploy.stderr).toMatchObject({ code: 0 });
  expect(failures(await client.stop())).toEqual(NO_FAILURES);
  expect(failures(await back.stop())).toEqual(NO_FAILURES);
});

/** `stale`: it serves what it knew before it crashed. */
async function isStale(proxy: string): Promise<boolean> {
  return (await getJson<{ stale: boolean }>(`${scenario.proxy(proxy).admin}/v1/status`)).stale;
}

/** Of two batches that end from now on the second was begun from now on: it has all that the proxy serves. */
async function untilOnDisk(proxy: string): Promise<void> {
  const { admin } = scenario.proxy(proxy);
  const written = async (): Promise<number> => {
    const text = await (await fetch(`${admin}/metrics`)).text();
    return Number(/^grapevine_mesh_snapshot_written_total (\d+)$/m.exec(text)?.[1] ?? 0);
  };
  const enough = (await written()) + 2;
  await until(`two batches of ${proxy} on disk`, async () => {
    await writeEntry("turn", { atMs: performance.now() });
    return (await written()) >= enough ? true : null;
  });
}

test("kill -9 of a proxy while every agent is frozen: it serves its last state, and is not stale once they are back", async () => {
  await untilOnDisk("proxy-2");
  const agents = ["host-1", "host-2", "host-3"].map((host) => scenario.pid(host));
  for (const pid of agents) process.kill(pid, "SIGSTOP");
  try {
    const killed = scenario.pid("proxy-2");
    process.kill(killed, "SIGKILL");
    await until("the proxy's new process", () => (scenario.pid("proxy-2") === killed ? null : true));
    await scenario.cluster.ready("proxy-2");
    expect(await get(scenario.proxy("proxy-2").http, "web.localhost")).toMatchObject({
      status: 200,
      vm: expect.stringMatching(/^web-v\d+-1$/),
    });
    expect(await isStale("proxy-2")).toBe(true);
  } finally {
    for (const pid of agents) process.kill(pid, "SIGCONT");
  }
  const client = scenario.load({ through: ["proxy-2"] });
  await until("its routes are current", async () => ((await isStale("proxy-2")) ? null : true));
  const app = scenario.app({ greeting: "four" });
  const deploy = await scenario.run(["deploy", app.file]);
  expect(deploy, deploy.stdout + deploy.stderr).toMatchObject({ code: 0 });
  expect(failures(await client.stop())).toEqual(NO_FAILURES);
});

interface EntryFacts {
  readonly key: string;
}

async function hasEntry(url: string, key: string): Promise<boolean> {
  const entries = await getJson<EntryFacts[]>(url);
  return entries.some((entry) => entry.key === key);
}

async function writeEntry(name: string, value: unknown = { written: true }): Promise<string> {
  const response = await fetch(`${scenario.api("host-2")}/v1/entries/${name}`, {
    method: "PUT",
    body: JSON.stringify(value),
  });
  expect(response.status).toBe(200);
  return `custom/${name}`;
}

const MEMBERS = ["host-3", "proxy-2"] as const;

function entriesUrl(member: (typeof MEMBERS)[number]): string {
  const base = member === "host-3" ? scenario.api(member) : scenario.proxy(member).admin;
  return `${base}/v1/entries`;
}

/** Prints how long each took, to be read against the two seconds that are promised; the test asserts that it comes at all. */
async function allHave(key: string, since: ReadonlyMap<string, number>): Promise<void> {
  for (const member of MEMBERS) {
    await until(`${key} at ${member}`, async () => ((await hasEntry(entriesUrl(member), key)) ? true : null));
    const tookMs = Math.round(performance.now() - (since.get(member) ?? 0));
    process.stdout.write(`${key}: at ${member} ${tookMs} ms after it was back\n`);
  }
}

test("an entry written while a host and a proxy were frozen for 10 s is there after they are back", async () => {
  const pids = MEMBERS.map((member) => scenario.pid(member));
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  const key = await writeEntry("while-frozen");
  // The time itself is the fault that is tested: a peer that is frozen this long has been given up.
  await delay(FROZEN_MS);
  const backMs = performance.now();
  for (const pid of pids) process.kill(pid, "SIGCONT");
  await allHave(key, new Map(MEMBERS.map((member) => [member, backMs])));
});

test("an entry written while a host and a proxy were dead is there after they are back", async () => {
  const pids = MEMBERS.map((member) => scenario.pid(member));
  for (const pid of pids) process.kill(pid, "SIGKILL");
  const key = await writeEntry("while-dead");
  const since = new Map<string, number>();
  for (const [index, member] of MEMBERS.entries()) {
    await until("its new process", () => (scenario.pid(member) === pids[index] ? null : true));
    await scenario.cluster.ready(member);
    since.set(member, performance.now());
  }
  await allHave(key, since);
});
