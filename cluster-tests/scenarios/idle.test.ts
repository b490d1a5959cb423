// An app that sleeps while nobody asks for it, as its clients meet it: none of them is told an error, whether the app is launched, sleeps,
// falls asleep or wakes, and whoever dies meanwhile. Printed is what a client waits above the start and the check of the VM itself.

import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { VmEntry } from "../../mesh/index.ts";
import type { AppView } from "../../node/deploy/app-view.ts";
import type { RoutesView } from "../../proxy-agent/io/admin.ts";
import { type Answer, get } from "../harness/get.ts";
import { getJson, until, untilView } from "../harness/observe.ts";
import { failures, NO_FAILURES, Scenario } from "../harness/scenario.ts";

/** `IDLE_ROUNDS=20` wakes it so often for the figures. */
const ROUNDS = Number(process.env["IDLE_ROUNDS"] ?? 3);
const HOST = "web.localhost";

let scenario: Scenario;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 3, proxies: 2 });
});
afterAll(async () => {
  await scenario.stop();
});

async function asleep(): Promise<void> {
  await untilView(
    scenario.api(),
    "web",
    ({ held, rollout, vms }) => held?.by === "idle" && rollout?.state === "succeeded" && vms.length === 0,
  );
  expect(scenario.runningVms()).toEqual([]);
}

function ask(proxy: string): Promise<Answer> {
  return get(scenario.proxy(proxy).http, HOST);
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

test("an app answers its first request from the moment that its deploy was accepted", async () => {
  const readyFile = `${scenario.cluster.stateDir}/ready`;
  const app = scenario.app({ idleAfter: "1s", readyFile });
  const deploy = scenario.start(["deploy", app.file]);
  await deploy.waitFor(/web-v1: submitted/);
  const client = scenario.load();
  for (const proxy of ["proxy-1", "proxy-2"])
    await until(`some wait at ${proxy}`, async () => ((await held(proxy)) > 0 ? true : null));
  writeFileSync(readyFile, "");
  const result = await deploy.result;
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
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
    const answer = await ask(index % 2 === 0 ? "proxy-1" : "proxy-2");
    answerMs = Math.min(answerMs, performance.now() - beganMs);
    return answer;
  });
  const answers = await Promise.all(asked);
  expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  const vms = new Set(answers.map(({ vm }) => vm));
  expect([...vms]).toEqual(scenario.runningVms());
  const url = `${scenario.api()}/v1/entries?prefix=vm/${[...vms].join()}`;
  const [entry] = await getJson<readonly { readonly value: VmEntry }[]>(url);
  const { healthyAtMs, startedAtMs } = entry?.value ?? {};
  return { answers, answerMs, startMs: (healthyAtMs ?? Number.NaN) - (startedAtMs ?? Number.NaN) };
}

function describeWoken({ answers, answerMs, startMs }: Woken): string {
  const above = (answerMs - startMs).toFixed(0);
  return `woken by ${answers.length}: answered after ${answerMs.toFixed(0)} ms, start and check ${startMs.toFixed(0)} ms, above it ${above} ms\n`;
}

test("a request wakes it, and it sleeps again", async () => {
  const rounds: Woken[] = [];
  for (let round = 0; round < ROUNDS; round += 1) rounds.push(await wokenBy(1));
  process.stdout.write(rounds.map(describeWoken).join(""));
  const above = rounds.map(({ answerMs, startMs }) => answerMs - startMs).sort((one, other) => one - other);
  process.stdout.write(`above start and check: median ${above[above.length >> 1]?.toFixed(0)} ms\n`);
});

test("a hundred first requests on two proxies start one VM, and each is answered", async () => {
  const woken = await wokenBy(100);
  process.stdout.write(describeWoken(woken));
  expect(new Set(woken.answers.map(({ vm }) => vm)).size).toBe(1);
});

test("status says that it is asleep, and since when", async () => {
  await asleep();
  const { stdout } = await scenario.run(["status", "web"]);
  expect(stdout).toMatch(/asleep for .*: a request wakes it, and waits until it serves/);
  expect((await scenario.run(["status"])).stdout).toMatch(/web +v1 +\d+ +asleep/);
});

test("a request while it falls asleep is answered", async () => {
  expect((await ask("proxy-1")).status).toBe(200);
  const isFalling = ({ rollout }: AppView) => rollout?.kind === "sleep" && rollout.state === "running";
  await untilView(scenario.api(), "web", isFalling);
  expect((await ask("proxy-2")).status).toBe(200);
});

test("its driver, its gate and a proxy are killed while it sleeps: a request wakes it all the same", async () => {
  await asleep();
  const { rollout } = await getJson<AppView>(`${scenario.api()}/v1/apps/web`);
  const driver = rollout?.driver ?? "";
  const back = [driver, `gate-${driver.slice(-1)}`, "proxy-2"].map(killed);
  expect(await ask("proxy-1")).toMatchObject({ status: 200 });
  await Promise.all(back.map((ready) => ready()));
  expect(await ask("proxy-2")).toMatchObject({ status: 200 });
  await asleep();
  expect(await ask("proxy-2")).toMatchObject({ status: 200 });
});
