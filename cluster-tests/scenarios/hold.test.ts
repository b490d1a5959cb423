// A person has an app's requests held: by what reached its VM, and in which order. They wait, within bounds, whatever becomes of a proxy, and
// go on when the person says so.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RoutesView } from "../../proxy-agent/io/admin.ts";
import { type Answer, get } from "../harness/get.ts";
import { getJson, until } from "../harness/observe.ts";
import { failures, NO_FAILURES, Scenario } from "../harness/scenario.ts";

let scenario: Scenario;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 1, proxies: 2 });
});
afterAll(async () => {
  await scenario.stop();
  rmSync(folder, { recursive: true, force: true });
});

const HOST = "web.localhost";
const folder = mkdtempSync(join(tmpdir(), "grapevine-hold-"));
const arrivals = join(folder, "arrivals");
/** Requests that reached a VM so far. */
const arrived = () => readFileSync(arrivals, "utf8").split("\n").length - 1;

/** Requests of the app that wait at a proxy, by the proxy's own word; null: it is not held there. */
async function held(proxy: string): Promise<number | null> {
  const { routes } = await getJson<RoutesView>(`${scenario.proxy(proxy).admin}/v1/routes`);
  return routes.find(({ hostname }) => hostname === HOST)?.held?.requests ?? null;
}

async function untilHeld(proxy: string, count: number): Promise<void> {
  await until(`${count} held at ${proxy}`, async () => ((await held(proxy)) === count ? true : null));
}

async function said(verb: "hold" | "release", text: string): Promise<void> {
  const result = await scenario.run([verb, "web"]);
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  expect(result.stdout).toContain(text);
  expect(result.stdout).toContain("in force on proxy-1, proxy-2");
}

test("hold keeps each request, and release sends it on: none fails, and no VM sees one meanwhile", async () => {
  const app = scenario.app({ greeting: "one", arrivals });
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
  const client = scenario.load({ path: "/?through=load" });
  await said(
    "hold",
    "requests are held; each proxy keeps one for 30s, and 10000 with 64.0 MiB of bodies at a time",
  );
  await said("hold", "requests are held already");
  const before = arrived();
  expect(before).toBeGreaterThan(0);
  const answers = [];
  for (const proxy of ["proxy-1", "proxy-2"]) {
    const count = (await held(proxy)) ?? 0;
    answers.push(get(`${scenario.proxy(proxy).http}/?through=${proxy}`, HOST));
    await until(`more held at ${proxy}`, async () => (((await held(proxy)) ?? 0) > count ? true : null));
  }
  const { stdout } = await scenario.run(["status", "web"]);
  expect(stdout).toMatch(/requests are held for .* by a person; `grapevine release web` sends them on/);
  expect(arrived()).toBe(before);
  await said("release", "requests are not held any more");
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200]);
  expect(await held("proxy-1")).toBeNull();
  const samples = await client.stop();
  expect(failures(samples)).toEqual(NO_FAILURES);
  await said("release", "requests are not held");
});

/** What a proxy sends on at once, and after how long twice as many: what docs/app-file.md says. */
const FIRST = 64;
const STEP_MS = 100;

test("what was kept goes on at a pace, those who came first before those who came after", async () => {
  // No answer comes while they are sent on: each that does makes room for one more.
  const app = scenario.app({ greeting: "slow", arrivals, delayMs: 5 * STEP_MS });
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
  await said("hold", "requests are held");
  const before = arrived();
  const answers: Promise<Answer>[] = [];
  // They come in three heaps, each once the one before waits.
  for (const heap of [0, 1, 2]) {
    for (let nth = 0; nth < FIRST * 2 ** Math.max(0, heap - 1); nth += 1)
      answers.push(get(`${scenario.proxy("proxy-1").http}/?through=${heap}`, HOST));
    await untilHeld("proxy-1", answers.length);
  }
  const sinceMs = Date.now();
  const released = await fetch(`${scenario.api()}/v1/apps/web/release`, { method: "POST" });
  expect(await released.json()).toMatchObject({ app: "web", held: false, by: null, changed: true });
  const all = await Promise.all(answers);
  expect(all.filter(({ status }) => status !== 200)).toEqual([]);
  const lines = readFileSync(arrivals, "utf8").split("\n").slice(before, -1);
  expect(lines).toHaveLength(4 * FIRST);
  const early = lines.filter((line) => {
    const [atMs, , heap] = line.split(" ");
    // A heap goes once the window is as wide as all that came before it: no clock of this machine makes that sooner.
    return Number(atMs) + 1 < sinceMs + Number(heap) * STEP_MS;
  });
  expect(early).toEqual([]);
});

test("what is above a bound, and what waits for too long, gets 503, and nothing goes on by that", async () => {
  const app = scenario.app({ greeting: "two", hold: ['max_age = "1s"', "max_requests = 1"] });
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
  await said("hold", "keeps one for 1s, and 1 with 64.0 MiB of bodies at a time");
  const url = scenario.proxy("proxy-1").http;
  const first = get(url, HOST);
  await untilHeld("proxy-1", 1);
  const second = await get(url, HOST);
  expect([second.status, second.retryAfter, second.text]).toEqual([
    503,
    "1",
    expect.stringContaining("1 wait here already"),
  ]);
  const old = await first;
  expect([old.status, old.retryAfter, old.text]).toEqual([
    503,
    "1",
    expect.stringContaining("has waited for 1s"),
  ]);
  expect((await get(url, HOST)).status).toBe(503);
  // A client that leaves makes room.
  const leaving = request(url, { headers: { host: HOST }, agent: false }).on("error", () => undefined);
  leaving.end();
  await untilHeld("proxy-1", 1);
  leaving.destroy();
  await untilHeld("proxy-1", 0);
});

test("a proxy that dies and is back, and a deploy, leave it held; the deploy's release answers afterwards", async () => {
  const pid = scenario.pid("proxy-2");
  process.kill(pid, "SIGKILL");
  await until("another proxy-2", () => (scenario.pid("proxy-2") === pid ? null : true));
  await scenario.cluster.ready("proxy-2");
  await untilHeld("proxy-2", 0);
  const app = scenario.app({ greeting: "three" });
  const deploy = await scenario.run(["deploy", app.file]);
  expect(deploy, deploy.stdout + deploy.stderr).toMatchObject({ code: 0 });
  const answer = get(scenario.proxy("proxy-2").http, HOST);
  await untilHeld("proxy-2", 1);
  await said("release", "requests are not held any more");
  expect(await answer).toMatchObject({ status: 200, text: expect.stringContaining('"greeting":"three"') });
});
