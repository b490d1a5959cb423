// The gates of hosts: killed under load, told nothing by a proxy that was cut off, and between a client and a VM that must not run
// anything twice.

import { afterAll, beforeAll, expect, test } from "vitest";
import { endOfEvents } from "../../node/cli/event-stream.ts";
import type { AppView } from "../../node/deploy/app-view.ts";
import { readProcess } from "../../node/vms/process-table.ts";
import type { RoutesView } from "../../proxy-agent/io/admin.ts";
import { cutOffProxy } from "../harness/cut-off-proxy.ts";
import { getJson, PATIENCE_MS, until } from "../harness/observe.ts";
import { type Posted, PostOnce } from "../harness/post-once.ts";
import { failures, NO_FAILURES, Scenario } from "../harness/scenario.ts";

const MB = 1_000_000;

let scenario: Scenario;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 3, proxies: 2 });
});
afterAll(() => scenario.stop());

/** The gate before a VM of the app. */
async function gateOfApp(): Promise<string> {
  const view = await getJson<AppView>(`${scenario.api()}/v1/apps/web`);
  const host = view.vms.find(({ phase }) => phase === "serving")?.host;
  const gate = scenario.view.gates.find((candidate) => candidate.host === host);
  if (gate === undefined) throw new Error(`no gate of ${host}`);
  return gate.name;
}

interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * Resolves once another one runs, with the time in which what goes to it may break, by `performance.now`: until the killed one has closed
 * all that it had, which it does one by one, its listener somewhere among them, and each proxy has had a turn to see that.
 */
async function killGate(): Promise<Span> {
  const gate = await gateOfApp();
  const pid = scenario.pid(gate);
  const fromMs = performance.now();
  process.kill(pid, "SIGKILL");
  await until(`the end of ${gate}`, () => (readProcess(pid) === null ? true : null));
  for (const { admin } of scenario.view.proxies)
    await until(`a turn of ${admin}`, () => getJson(`${admin}/v1/routes`));
  const toMs = performance.now();
  await until(`another ${gate}`, () => (scenario.pid(gate) === pid ? null : true));
  await scenario.cluster.ready(gate);
  return { fromMs, toMs };
}

test("kill -9 of the gate before an app's only VM: clients see nothing of it, and no VM or member is touched", async () => {
  const app = scenario.app({ greeting: "one", count: 1 });
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
  const before = [scenario.runningVms(), scenario.view.agents, scenario.view.proxies];
  for (const _kill of ["first", "second"]) {
    // GETs: those in flight in the gate are asked again, and while it is away all wait for it, since nobody else has the VM.
    const client = scenario.load({ ratePerSecond: 100 });
    await killGate();
    // Each kill by itself: what waited for the first start would wait for the second one too, longer than any client does.
    expect(failures(await client.stop())).toEqual(NO_FAILURES);
  }
  expect([scenario.runningVms(), scenario.view.agents, scenario.view.proxies]).toEqual(before);
});

test(
  "POSTs of 1 B to 100 MB through deploys and killed gates run once each, or are told as failed",
  async () => {
    const app = scenario.app({ greeting: "five", drainTimeout: "1m" });
    expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
    const sizes = [1, 1_000, 65_536, 65_537, 200_000, 3 * MB, 1, 20 * MB, 10, 100 * MB];
    const targets = scenario.view.proxies.map(({ http }) => http);
    const posts = new PostOnce({ targets, host: "web.localhost", clients: 4, sizes });
    const kills: Span[] = [];
    let ended: Awaited<ReturnType<PostOnce["stop"]>>;
    try {
      for (const greeting of ["six", "seven"]) {
        app.change({ greeting, drainTimeout: "1m" });
        const deploy = scenario.start(["deploy", app.file]);
        await deploy.waitFor(/submitted/);
        kills.push(await killGate());
        const { code, stdout, stderr } = await deploy.result;
        expect(code, stdout + stderr).toBe(0);
      }
      await until("two rounds of all sizes", () => (posts.done.length > 2 * sizes.length ? true : null));
    } finally {
      ended = await posts.stop();
    }
    const { posted, runs } = ended;
    const twice = posted.filter(({ id }) => (runs.get(id) ?? 0) > 1);
    const untold = posted.filter(({ id, status }) => status === 200 && runs.get(id) !== 1);
    const short = posted.filter(({ status, bytes, text }) => status === 200 && text !== String(bytes));
    expect({ twice, untold, short }).toEqual({ twice: [], untold: [], short: [] });
    const failed = posted.filter(({ status }) => status !== 200);
    // Those that were on their way while a gate was killed, and no other: however many, a client sends its next one at once.
    const isOfKill = ({ beganMs, endedMs }: Posted) =>
      kills.some(({ fromMs, toMs }) => beganMs < toMs && endedMs > fromMs);
    expect(failed.filter((one) => !isOfKill(one))).toEqual([]);
    expect(posted.length - failed.length).toBeGreaterThan(sizes.length);
  },
  3 * PATIENCE_MS,
);

test(
  "a proxy that was cut off from the mesh is excluded by name, fails no request through deploys, and its table is current at once",
  async () => {
    const app = scenario.app({ greeting: "eight" });
    expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
    const stale = await cutOffProxy(scenario.cluster.stateDir);
    try {
      const { epoch: before } = await getJson<AppView>(`${scenario.api()}/v1/apps/web`);
      await until("it registered", async () => {
        const { proxies } = await getJson<AppView>(`${scenario.api()}/v1/apps/web`);
        return proxies.some(({ proxy, applied }) => proxy === stale.name && applied >= before) ? true : null;
      });
      const client = stale.load();
      await stale.cutOff();
      app.change({ greeting: "nine" });
      const held = scenario.start(["deploy", app.file]);
      await held.waitFor(new RegExp(`waiting for ${stale.name} to acknowledge epoch`));
      const excluded = await scenario.run(["proxy", "exclude", stale.name]);
      expect(excluded, excluded.stderr).toMatchObject({ code: 0 });
      const first = await held.result;
      expect(first, first.stdout + first.stderr).toMatchObject({ code: 6 });
      app.change({ greeting: "ten" });
      const second = await scenario.run(["deploy", app.file, "--json"]);
      expect(second, second.stdout + second.stderr).toMatchObject({ code: 6 });
      expect(endOfEvents(second.stdout)).toMatchObject({ exitCode: 6, except: [stale.name], leftovers: [] });
      expect(failures(await client.stop())).toEqual(NO_FAILURES);
      const { epoch } = await getJson<AppView>(`${scenario.api()}/v1/apps/web`);
      // The load may have ended before the last commit: one more request, whatever its table says.
      expect((await stale.get()).status).toBe(200);
      const { routes } = await getJson<RoutesView>(`${stale.admin}/v1/routes`);
      expect(routes.find(({ app: name }) => name === "web")?.epoch).toBe(epoch);
    } finally {
      await stale.stop();
    }
  },
  2 * PATIENCE_MS,
);
