// An app that sleeps while nobody asks for it, as its clients meet it: none of them is told an error, whether the app is launched, sleeps,
// falls asleep or wakes, and whoever dies meanwhile. Figures are printed: what a client waits above the start of the VM itself.

import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { VmEntry } from "../../mesh/index.ts";
import type { AppView } from "../../node/deploy/app-view.ts";
import type { RoutesView } from "../../proxy-agent/io/admin.ts";
import type { AppFolder } from "../harness/app-folder.ts";
import { type Answer, get } from "../harness/get.ts";
import { getJson, until, untilView } from "../harness/observe.ts";
import { failures, NO_FAILURES, Scenario } from "../harness/scenario.ts";

/** `IDLE_ROUNDS=20` wakes it so often. */
const ROUNDS = Number(process.env["IDLE_ROUNDS"] ?? 3);
const HOST = "web.localhost";

let scenario: Scenario;
let app: AppFolder;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 3, proxies: 2 });
});
afterAll(async () => {
  await scenario.stop();
});

function url(proxy: string): string {
  return scenario.proxy(proxy).http;
}

function isAsleep({ held, rollout, vms }: AppView): boolean {
  return held?.by === "idle" && rollout?.state === "succeeded" && vms.length === 0;
}

function asleep(): Promise<AppView> {
  return untilView(scenario.api(), "web", isAsleep);
}

async function held(proxy: string): Promise<number | null> {
  const { routes } = await getJson<RoutesView>(`${scenario.proxy(proxy).admin}/v1/routes`);
  return routes.find(({ hostname }) => hostname === HOST)?.held?.requests ?? null;
}

/** Kills it, and resolves once another one of that name is ready. */
async function killed(member: string): Promise<void> {
  const pid = scenario.pid(member);
  process.kill(pid, "SIGKILL");
  await until(`another ${member}`, () => (scenario.pid(member) === pid ? null : true));
  await scenario.cluster.ready(member);
}

test("an app answers its first request from the moment that its deploy was accepted", async () => {
  const readyFile = `${scenario.cluster.stateDir}/ready`;
  app = scenario.app({ idleAfter: "1s", readyFile });
  const deploy = scenario.start(["deploy", app.file]);
  await deploy.waitFor(/web-v1: submitted/);
  const client = scenario.load();
  for (const proxy of ["proxy-1", "proxy-2"])
    await until(`some wait at ${proxy}`, async () => (((await held(proxy)) ?? 0) > 0 ? true : null));
  writeFileSync(readyFile, "");
  const result = await deploy.result;
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  expect(failures(await client.stop())).toEqual(NO_FAILURES);
});

interface Woken {
  /** From the first request to the first answer. */
  readonly answerMs: number;
  /** From the moment that its host starts the VM until it is healthy. */
  readonly startMs: number;
}

async function woken(): Promise<Woken> {
  await asleep();
  expect(scenario.runningVms()).toEqual([]);
  const beganMs = performance.now();
  const beganAtMs = Date.now();
  let answerMs = Number.POSITIVE_INFINITY;
  const asked = Array.from({ length: 100 }, async (_, index): Promise<Answer> => {
    const answer = await get(url(index % 2 === 0 ? "proxy-1" : "proxy-2"), HOST);
    answerMs = Math.min(answerMs, performance.now() - beganMs);
    return answer;
  });
  const answers = await Promise.all(asked);
  expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  const vms = new Set(answers.map(({ vm }) => vm));
  expect([...vms]).toEqual(scenario.runningVms());
  expect(vms.size).toBe(1);
  const [entry] = await getJson<readonly { readonly value: VmEntry }[]>(
    `${scenario.api()}/v1/entries?prefix=vm/${[...vms][0]}`,
  );
  const { healthyAtMs, startedAtMs } = entry?.value ?? { healthyAtMs: null, startedAtMs: null };
  const view = await getJson<AppView>(`${scenario.api()}/v1/apps/web`);
  const at = (ms) => (ms - beganAtMs).toFixed(0);
  process.stdout.write(
    `timeline: wake ${at(view.rollout.startedAtMs)} vmstart ${at(startedAtMs)} healthy ${at(healthyAtMs)} steps ${view.rollout.history.map((s) => `${s.kind}@${at(s.startedAtMs)}`)} ${view.rollout.step?.kind}@${at(view.rollout.step?.answers?.startedAtMs ?? 0)} answer ${answerMs.toFixed(0)} host ${entry.value.host} driver ${view.rollout.driver}\n`,
  );
  return { answerMs, startMs: (healthyAtMs ?? 0) - (startedAtMs ?? 0) };
}

test("a hundred first requests on two proxies start one VM, and all are answered; then it sleeps again", async () => {
  const rounds: Woken[] = [];
  for (let round = 0; round < ROUNDS; round += 1) rounds.push(await woken());
  for (const { answerMs, startMs } of rounds)
    process.stdout.write(
      `woken: first answer after ${answerMs.toFixed(0)} ms, start and health ${startMs.toFixed(0)} ms, above it ${(answerMs - startMs).toFixed(0)} ms\n`,
    );
  const above = rounds.map(({ answerMs, startMs }) => answerMs - startMs).sort((one, other) => one - other);
  process.stdout.write(`above start and health: median ${above[above.length >> 1]?.toFixed(0)} ms\n`);
});
