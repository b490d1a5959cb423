// A host that is cut off with its own proxy and clients: a step that needs its gate waits, names it and goes back at the deadline; after
// `host fence` it goes on. Clients of the others see nothing of it. Back again, the host is asked as before, and keeps nothing old.

import { afterAll, beforeAll, expect, test } from "vitest";
import type { AppView } from "../../node/deploy/app-view.ts";
import { AppFolder, type AppSettings } from "../harness/app-folder.ts";
import type { RunningCli } from "../harness/cli.ts";
import type { LabCluster } from "../harness/lab-cluster.ts";
import { NetLab } from "../harness/net-lab.ts";
import { until } from "../harness/observe.ts";
import { startPartedLab, untilConnected } from "../harness/parted-lab.ts";
import { failures, NO_FAILURES } from "../harness/scenario.ts";

const WEB = "web.localhost";
/** A new release is added without the proxy that is cut off; what must leave is one step, which needs all gates. */
const DEPLOY = ['strategy = "immediate"', 'exclude_silent_after = "1s"'];
const SETTINGS: AppSettings = { count: 3, deploy: DEPLOY };

const missing = process.env["CI"] === "true" ? undefined : NetLab.missing();

let cluster: LabCluster;
let app: AppFolder;
beforeAll(async () => {
  if (missing !== undefined) return;
  cluster = await startPartedLab();
  app = new AppFolder(SETTINGS);
});
afterAll(async () => {
  await cluster?.stop();
  app?.remove();
});

const view = () => cluster.get<AppView>("/v1/apps/web", "host-1");

function startDeploy(greeting: string, waitTimeout = "1m"): RunningCli {
  app.change({ ...SETTINGS, greeting, waitTimeout });
  return cluster.start(["deploy", app.file], "host-1");
}

async function endOf(deploy: RunningCli, code: number): Promise<string> {
  const result = await deploy.result;
  expect(result, result.stdout + result.stderr).toMatchObject({ code });
  return result.stdout + result.stderr;
}

test.skipIf(missing !== undefined)(
  `the gate of a host that is cut off is waited for until it is fenced, and again once it is back${missing === undefined ? "" : ` (${missing})`}`,
  async () => {
    await endOf(startDeploy("one"), 0);
    const first = await view();
    expect(new Set(first.vms.map(({ host }) => host)).size).toBe(3);
    const old = first.vms.find(({ host }) => host === "host-3")?.vm;
    // As a proxy would ask that hears nothing of what comes.
    const stale = () => cluster.askGate("host-1", "host-3", `1 pass web ${old} ${first.epoch}`);
    await until("an answer of its VM", async () => ((await stale()).startsWith("200 ") ? true : null));
    const early = await cluster.run(["host", "fence", "host-3"], "host-2");
    expect(early).toMatchObject({ code: 2, stdout: "" });
    expect(early.stderr).toMatch(/host-3 is alive: .*host-1.* hear it.*grapevine host drain host-3/);
    const unknown = await cluster.run(["host", "fence", "host-9"], "host-1");
    expect(unknown).toMatchObject({ code: 2 });
    expect(unknown.stderr).toContain("there is no host host-9; there are host-1, host-2, host-3");

    cluster.lab.part(["host-3"], ["host-1", "host-2"]);
    const cutOff = cluster.load("host-3", { host: WEB, ratePerSecond: 20 });
    await untilConnected(cluster, false);
    const clients = cluster.load("host-1", { host: WEB, ratePerSecond: 100 });

    const said = await endOf(startDeploy("two", "4s"), 3);
    expect(said).toMatch(/waiting for host-3 to close web-v1-\d at its gate \(its host is not connected/);
    expect(said).toMatch(/reason: host-3 has not closed web-v1-\d at its gate/);
    expect(await view()).toMatchObject({ release: "v1", weights: { v1: 100 } });

    const held = startDeploy("three");
    await held.waitFor(/waiting for host-3 to close web-v1-\d at its gate/);
    const fence = await cluster.run(["host", "fence", "host-3", "--json"], "host-2");
    expect(fence, fence.stderr).toMatchObject({ code: 0 });
    expect(JSON.parse(fence.stdout)).toMatchObject({ host: "host-3", apps: ["web"] });
    const done = await endOf(held, 6);
    expect(done).toMatch(/step \d+ cordon web-v1-\d: .*host-3 was fenced at \S+Z, not asked/);
    expect(done).toMatch(/except: .*host-3, which is fenced, has not confirmed it/);
    const status = await cluster.run(["status", "web"], "host-2");
    expect(status.stdout).toMatch(/host-3 is fenced since /);
    const { vms, epoch } = await view();
    const names: readonly string[] = vms.flatMap(({ vm, phase }) => (phase === "serving" ? [vm] : [])).sort();
    expect(names).toHaveLength(3);
    // That is why it is a person's word, and no clock's: who is cut off together with the host is served by it.
    const left: readonly string[] = cluster.runningVms().filter((vm) => !names.includes(vm));
    expect(left.length).toBeGreaterThan(0);

    cluster.lab.heal();
    await untilConnected(cluster, true);
    await until("only what the record names", () =>
      cluster.runningVms().join() === names.join() ? true : null,
    );
    await until("the end of the fence", async () => ((await view()).fenced?.length === 0 ? true : null));
    await until("proxy-3 current", async () => {
      const proxy = (await view()).proxies.find((candidate) => candidate.proxy === "proxy-3");
      return proxy !== undefined && proxy.applied > epoch ? true : null;
    });
    expect(await stale()).toMatch(/^421 1 ahead$/);
    await endOf(startDeploy("four"), 0);
    const ofCutOff = await cutOff.stop();
    expect(ofCutOff.some(({ vm, status: code }) => code === 200 && left.includes(vm ?? ""))).toBe(true);
    expect(ofCutOff.at(-1)).toMatchObject({ status: 200, release: (await view()).release });
    expect(failures(await clients.stop())).toEqual(NO_FAILURES);
  },
);
