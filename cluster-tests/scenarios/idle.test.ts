// An app that sleeps while nobody asks for it, as its clients meet it: none of them is told an error, whether the app is launched, sleeps,
// falls asleep or wakes, and whoever dies meanwhile. Printed is what a client waits above the start and the check of the VM itself.

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { VmEntry } from "../../mesh/index.ts";
import type { AppView } from "../../node/deploy/app-view.ts";
import type { StoriesView } from "../../node/deploy/story-view.ts";
import type { RoutesView } from "../../proxy-agent/io/admin.ts";
import { type Answer, get } from "../harness/get.ts";
import { getJson, until, untilView } from "../harness/observe.ts";
import { failures, NO_FAILURES, Scenario } from "../harness/scenario.ts";

/** As long as a proxy may keep a request here: who is told of a failure sooner gave up by themself. */
const PATIENT_CLIENT_MS = 300_000;
/** `IDLE_ROUNDS=20` wakes it so often for the figures. */
const ROUNDS = Number(process.env["IDLE_ROUNDS"] ?? 3);
const HOST = "web.localhost";
const PROXIES = ["proxy-1", "proxy-2"];

const folder = mkdtempSync(join(tmpdir(), "grapevine-idle-"));
let scenario: Scenario;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 3, proxies: 2 });
});
afterAll(async () => {
  await scenario.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function asleep(app = "web"): Promise<void> {
  await untilView(
    scenario.api(),
    app,
    ({ held, rollout, vms }) => held?.by === "idle" && rollout?.state === "succeeded" && vms.length === 0,
  );
  expect(running(app)).toEqual([]);
}

function running(app = "web"): readonly string[] {
  return scenario.runningVms().filter((vm) => vm.startsWith(`${app}-`));
}

function ask(proxy: string, { host = HOST, path = "/" } = {}): Promise<Answer> {
  return get(`${scenario.proxy(proxy).http}${path}`, host);
}

async function held(proxy: string): Promise<number> {
  const { routes } = await getJson<RoutesView>(`${scenario.proxy(proxy).admin}/v1/routes`);
  return routes.find(({ hostname }) => hostname === HOST)?.held?.requests ?? 0;
}

/** Kills it. Resolves to what to wait for, until another one of that name is ready. */
function killed(member: string): () => Promise<void> {
  const pid = scenario.pid(member);
  process.kill(pid, "SIGKILL");
  return async () => {
    await until(`another ${member}`, () => (scenario.pid(member) === pid ? null : true));
    await scenario.cluster.ready(member);
  };
}

async function deployed(file: string): Promise<void> {
  const result = await scenario.run(["deploy", file]);
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
}

test("an app answers its first request from the moment that its deploy was accepted, through a proxy that just came too", async () => {
  const readyFile = join(folder, "ready");
  // However long the other proxy takes to come back on a busy machine.
  const app = scenario.app({ idleAfter: "1s", readyFile, hold: ['max_age = "5m"'] });
  const deploy = scenario.start(["deploy", app.file]);
  await deploy.waitFor(/web-v1: submitted/);
  const client = scenario.load({ through: ["proxy-1"], timeoutMs: PATIENT_CLIENT_MS });
  const first = ask("proxy-2");
  for (const proxy of PROXIES)
    await until(`some wait at ${proxy}`, async () => ((await held(proxy)) > 0 ? true : null));
  await killed("proxy-2")();
  // What it kept died with it: no request is safe from that. Who asks the next one waits like all others.
  await first;
  const late = ask("proxy-2");
  await until("one waits at another proxy-2", async () => ((await held("proxy-2")) > 0 ? true : null));
  writeFileSync(readyFile, "");
  const result = await deploy.result;
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  expect(await late).toMatchObject({ status: 200 });
  expect(failures(await client.stop())).toEqual(NO_FAILURES);
});

interface Woken {
  readonly answers: readonly Answer[];
  /** From the first request to the first answer. */
  readonly answerMs: number;
  /** Its host's own word: from the start of the VM until its check passed. */
  readonly startMs: number;
}

async function wokenBy(requests: number): Promise<Woken> {
  await asleep();
  const beganMs = performance.now();
  let answerMs = Number.POSITIVE_INFINITY;
  const asked = Array.from({ length: requests }, async (_, index): Promise<Answer> => {
    const answer = await ask(PROXIES[index % 2] ?? "");
    answerMs = Math.min(answerMs, performance.now() - beganMs);
    return answer;
  });
  const answers = await Promise.all(asked);
  expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  const vms = new Set(answers.map(({ vm }) => vm));
  expect([...vms]).toEqual(running());
  const url = `${scenario.api()}/v1/entries?prefix=vm/${[...vms].join()}`;
  const [entry] = await getJson<readonly { readonly value: VmEntry }[]>(url);
  const { healthyAtMs, startedAtMs } = entry?.value ?? {};
  return { answers, answerMs, startMs: (healthyAtMs ?? Number.NaN) - (startedAtMs ?? Number.NaN) };
}

/** Of the wake that ended last, by its driver: what one commit took, and the answer of the slower proxy. */
async function control(): Promise<{ readonly commitMs: number; readonly ackMs: number }> {
  const url = `${scenario.api()}/v1/apps/web/rollouts`;
  const steps = await until("a wake that is over", async () => {
    const { rollouts } = await getJson<StoriesView>(url);
    const last = rollouts.findLast(({ kind }) => kind === "wake");
    return last?.state === "succeeded" ? last.steps : null;
  });
  const [start, serve] = steps;
  const commitMs = (serve?.afterMs ?? 0) - (start?.afterMs ?? 0) - (start?.waitedMs ?? 0);
  return { commitMs, ackMs: serve?.waitedMs ?? 0 };
}

function describeWoken({ answers, answerMs, startMs }: Woken): string {
  const above = (answerMs - startMs).toFixed(0);
  return `woken by ${answers.length}: answered after ${answerMs.toFixed(0)} ms, start and check ${startMs.toFixed(0)} ms, above it ${above} ms`;
}

function median(values: readonly number[]): string {
  return ([...values].sort((one, other) => one - other)[values.length >> 1] ?? Number.NaN).toFixed(0);
}

test("a request wakes it, and it sleeps again; its host has the files of the next VM ready meanwhile", async () => {
  const rounds: (Woken & Awaited<ReturnType<typeof control>>)[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    await asleep();
    await until("the files of its next VM", () => (spares().length > 0 ? true : null));
    rounds.push({ ...(await wokenBy(1)), ...(await control()) });
    expect(spares()).toEqual([]);
  }
  for (const round of rounds) {
    const { commitMs, ackMs } = round;
    process.stdout.write(
      `${describeWoken(round)}; one commit ${commitMs.toFixed(0)} ms, all proxies' word ${ackMs.toFixed(0)} ms\n`,
    );
  }
  const above = median(rounds.map(({ answerMs, startMs }) => answerMs - startMs));
  const costs = median(rounds.map(({ commitMs, ackMs }) => 2 * commitMs + ackMs));
  process.stdout.write(
    `above start and check: median ${above} ms; two commits and the proxies' word ${costs} ms\n`,
  );
});

/** Folders that hosts keep for VMs that are woken. */
function spares(): readonly string[] {
  return scenario.view.agents
    .map(({ name }) => join(scenario.cluster.stateDir, name, "state", "spares"))
    .flatMap((path) => readdirSync(path));
}

test("a hundred first requests on two proxies start one VM, and each is answered", async () => {
  const woken = await wokenBy(100);
  process.stdout.write(`${describeWoken(woken)}\n`);
  expect(new Set(woken.answers.map(({ vm }) => vm)).size).toBe(1);
});

test("a request while it falls asleep is answered", async () => {
  expect((await ask("proxy-1")).status).toBe(200);
  const isFalling = ({ rollout }: AppView) => rollout?.kind === "sleep" && rollout.state === "running";
  await untilView(scenario.api(), "web", isFalling);
  expect((await ask("proxy-2")).status).toBe(200);
});

/** Resolves once it is granted; what it returns ends it. */
function webSocket(proxy: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const headers = { host: HOST, connection: "Upgrade", upgrade: "websocket" };
    const outgoing = request(scenario.proxy(proxy).http, { headers, agent: false });
    outgoing.on("upgrade", (_response, socket) => resolve(() => socket.destroy()));
    outgoing.on("response", ({ statusCode }) => reject(new Error(`no upgrade, but ${statusCode}`)));
    outgoing.on("error", reject);
    outgoing.end();
  });
}

test("a request that runs keeps it awake, a WebSocket too; another app sleeps meanwhile", async () => {
  const other = { host: "other.localhost" };
  await deployed(scenario.app({ name: "other", idleAfter: "1s" }).file);
  const until = join(folder, "until");
  const close = await webSocket("proxy-1");
  const [vm] = running();
  await asleep("other");
  // Nobody asked for it after that for the other.
  expect(running()).toEqual([vm]);
  const long = ask("proxy-2", { path: `/held?until=${until}` });
  close();
  expect(await ask("proxy-1", other)).toMatchObject({ status: 200 });
  await asleep("other");
  expect(running()).toEqual([vm]);
  writeFileSync(until, "");
  expect(await long).toMatchObject({ status: 200, text: "held", vm });
});

test("its driver, its gate and both proxies are killed while it sleeps: a request wakes it all the same", async () => {
  await asleep();
  const { stdout } = await scenario.run(["status", "web"]);
  expect(stdout).toMatch(/asleep for .*: a request wakes it, and waits until it serves/);
  const { rollout } = await getJson<AppView>(`${scenario.api()}/v1/apps/web`);
  const driver = rollout?.driver ?? "";
  const proxies = PROXIES.map(killed);
  const others = [driver, `gate-${driver.slice(-1)}`].map(killed);
  await Promise.all(proxies.map((ready) => ready()));
  expect(await ask("proxy-1")).toMatchObject({ status: 200 });
  await Promise.all(others.map((ready) => ready()));
  expect(await ask("proxy-2")).toMatchObject({ status: 200 });
  await asleep();
  expect(await ask("proxy-2")).toMatchObject({ status: 200 });
});

test("of one that does not start requests get 503 after max_age, `explain` says why, and it wakes once it is mended", async () => {
  const file = join(folder, "needed");
  writeFileSync(file, "");
  const command = ["sh", "-c", `test -e ${file} || { echo ${file} is gone; exit 3; }; exec node server.js`];
  await deployed(scenario.app({ name: "bad", idleAfter: "1s", command, hold: ['max_age = "1s"'] }).file);
  await asleep("bad");
  rmSync(file);
  const host = "bad.localhost";
  expect(await ask("proxy-1", { host })).toMatchObject({
    status: 503,
    retryAfter: "1",
    text: expect.stringContaining("has waited for 1s"),
  });
  const hasFailed = ({ rollout, held }: AppView) => rollout?.state === "failed" && held?.by === "idle";
  const { rollout } = await untilView(scenario.api(), "bad", hasFailed);
  expect(rollout).toMatchObject({ kind: "wake", reason: { lastLines: [`${file} is gone`] } });
  expect((await scenario.run(["explain", "bad"])).stdout).toContain("exited with code 3");
  writeFileSync(file, "");
  await until("an answer", async () => ((await ask("proxy-2", { host })).status === 200 ? true : null));
});
