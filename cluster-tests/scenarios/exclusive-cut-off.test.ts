// Exclusive, cut off: of an app that never runs twice, one process lives at a time, as the machine's process table has it, while its host is
// isolated from all others or loses its agent. Without a lease nothing is started elsewhere; with one the app is back by itself.

import { afterAll, beforeAll, expect, test } from "vitest";
import type { AppView } from "../../node/deploy/app-view.ts";
import { takeoverAfterMs } from "../../node/lease.ts";
import { uptimeMs } from "../../node/vms/process-table.ts";
import { AppFolder, type AppSettings } from "../harness/app-folder.ts";
import { LabCluster } from "../harness/lab-cluster.ts";
import { NetLab } from "../harness/net-lab.ts";
import { PATIENCE_MS, until } from "../harness/observe.ts";
import { VmLifetimes } from "../harness/vm-lifetimes.ts";

const LEASE_MS = 3_000;
const REPLACE_AFTER_MS = 1_000;
const EXCLUSIVE = ["exclusive = true"];
const LEASED = [...EXCLUSIVE, 'fence = "lease"', `lease = "${LEASE_MS / 1000}s"`];
/** Two of them are lost at once: who finds a host dead is not alone. */
const HOSTS = ["host-1", "host-2", "host-3", "host-4"];
/** Where nobody is harmed, and the voter: the others may be away both at once. */
const SAFE = "host-1";

const missing = process.env["CI"] === "true" ? undefined : NetLab.missing();

let cluster: LabCluster;
let lives: VmLifetimes;
const apps = new Map<string, AppFolder>();
beforeAll(async () => {
  if (missing !== undefined) return;
  const hosts = HOSTS.map((name) => (name === SAFE ? { name, proxy: "proxy-1" } : { name }));
  cluster = await LabCluster.start(hosts, {
    voters: [SAFE],
    replaceAfter: `${REPLACE_AFTER_MS / 1000}s`,
  });
  lives = new VmLifetimes(cluster.folder, uptimeMs);
  await cluster.run(["host", "cordon", SAFE], SAFE);
  // Nine members start at once: says that they hang, where each wait for one of them has said before what it lacks.
}, 3 * PATIENCE_MS);
afterAll(async () => {
  await lives?.stop();
  await cluster?.stop();
  for (const app of apps.values()) app.remove();
});

interface Placed {
  readonly app: string;
  readonly vm: string;
  readonly host: string;
}

const view = (app: string) => cluster.get<AppView>(`/v1/apps/${app}`, SAFE);

async function deploy(name: string, top: readonly string[]): Promise<Placed> {
  const settings: AppSettings = { name, top, greeting: `with ${top.length} keys` };
  const folder = apps.get(name) ?? new AppFolder(settings);
  apps.set(name, folder);
  folder.change(settings);
  const { code, stdout, stderr } = await cluster.run(["deploy", folder.file], SAFE);
  expect(code, stdout + stderr).toBe(0);
  const [vm] = (await view(name)).vms;
  if (vm === undefined) throw new Error(`${name} has no VM`);
  return { app: name, vm: vm.vm, host: vm.host };
}

/** Its healthy VM, once that is on another host. */
function untilElsewhere({ app, host }: Placed): Promise<Placed> {
  return until(`${app} elsewhere`, async () => {
    const { rollout, vms } = await view(app);
    const fresh = vms.find((one) => one.host !== host && one.health === "healthy");
    return rollout?.state === "succeeded" && fresh !== undefined
      ? { app, vm: fresh.vm, host: fresh.host }
      : null;
  });
}

const settled = ({ app, vm }: Placed) =>
  until(`${app} well`, async () => {
    const { vms } = await view(app);
    return vms.length === 1 && vms[0]?.vm === vm && vms[0].health === "healthy" ? true : null;
  });

function told(old: Placed, next: Placed, lostMs: number): string {
  const [first, second] = [lives.of(old.vm), lives.of(next.vm)];
  const [goneMs, beginMs] = [(first.goneMs ?? Number.NaN) - lostMs, second.beginMs - lostMs];
  return `its VM was killed after ${Math.round(goneMs)} ms, another process began after ${Math.round(beginMs)} ms (${Math.round(beginMs - goneMs)} ms later)`;
}

test.skipIf(missing !== undefined)(
  `a VM whose host is isolated stays alone, and with a lease another one takes its place once it was killed${missing === undefined ? "" : ` (${missing})`}`,
  async () => {
    const first = await deploy("web", EXCLUSIVE);
    const { pid } = lives.of(first.vm);
    const others = HOSTS.filter((name) => name !== first.host);
    cluster.lab.part([first.host], others);
    const status = await until("what it waits for", async () => {
      const { stdout } = await cluster.run(["status", "web"], SAFE);
      return stdout.includes("host fence") ? stdout : null;
    });
    expect(status).toMatch(new RegExp(`${first.vm}.*${first.host}.*grapevine host fence ${first.host}`));
    cluster.lab.heal();
    await settled(first);
    expect(lives.of(first.vm)).toMatchObject({ pid, goneMs: null });

    const isolated = await deploy("web", LEASED);
    const killed = await deploy("other", LEASED);
    expect(killed.host).not.toBe(isolated.host);
    await cluster.run(["host", "uncordon", SAFE], SAFE);
    const lostMs = uptimeMs();
    cluster.lab.part(
      [isolated.host],
      HOSTS.filter((name) => name !== isolated.host),
    );
    cluster.kill(killed.host);
    const [ofIsolated, ofKilled] = await Promise.all([untilElsewhere(isolated), untilElsewhere(killed)]);
    const takeoverMs = takeoverAfterMs(LEASE_MS);
    process.stdout.write(
      `lease ${LEASE_MS} ms, drift bound ${takeoverMs - LEASE_MS} ms, a dead host is left after ${REPLACE_AFTER_MS} ms\n` +
        `host isolated: ${told(isolated, ofIsolated, lostMs)}\n` +
        `agent killed: ${told(killed, ofKilled, lostMs)}\n`,
    );
    expect(lives.of(isolated.vm).goneMs).not.toBeNull();
    expect(lives.of(killed.vm).goneMs).not.toBeNull();
    cluster.lab.heal();
    await settled(ofIsolated);
    await until("nothing old", () => (cluster.runningVms().length === 2 ? true : null));
    expect(cluster.runningVms()).toEqual([ofKilled.vm, ofIsolated.vm].sort());
    expect(lives.together).toEqual([]);
  },
);
