import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { appName, type MemberName, memberName } from "../../mesh/index.ts";
import { MOVES_MAX } from "./core/drain.ts";
import type { DrainView } from "./drain-view.ts";
import { Cluster, settled } from "./testing/cluster.ts";
import { specOf } from "./testing/specs.ts";

const HOST = memberName("host-2");
let cluster: Cluster;
beforeEach(async () => {
  cluster = new Cluster();
  await cluster.start();
});
afterEach(() => cluster.stop());

function hostNamed(name: MemberName) {
  const found = cluster.hosts.find(({ mesh }) => mesh.self.name === name);
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
}

/** Apps of one VM each, all of them there. */
async function deployThere(count: number): Promise<readonly string[]> {
  const others = cluster.hosts.filter(({ mesh }) => mesh.self.name !== HOST);
  for (const host of others) host.drain(true);
  await settled();
  const names = Array.from({ length: count }, (_, index) => `app-${index + 1}`);
  for (const name of names) {
    await cluster.coordinator.submit(specOf(name));
    expect((await cluster.ended(name)).vms).toMatchObject([{ host: HOST }]);
  }
  for (const host of others) host.drain(false);
  await settled();
  return names;
}

function setSilent(isSilent: boolean): void {
  for (const proxy of cluster.proxies) {
    proxy.isSilent = isSilent;
    proxy.answer();
  }
}

async function until(wanted: (view: DrainView) => boolean): Promise<DrainView> {
  const views = cluster.coordinator.drains.watch(HOST, AbortSignal.timeout(10_000));
  for await (const view of views) if (wanted(view)) return view;
  throw new Error("it did not come to that");
}

const statesOf = ({ apps }: DrainView) => apps.map(({ app, state }) => `${app} ${state}`);

describe("a host that is drained", () => {
  it("is emptied, a bounded number of apps at once, each by a move of its own", async () => {
    const names = await deployThere(MOVES_MAX + 2);
    setSilent(true);
    hostNamed(HOST).drain(true);
    const full = await until(
      ({ apps }) => apps.filter(({ state }) => state === "moves").length === MOVES_MAX,
    );
    await settled();
    expect(cluster.coordinator.drains.view(HOST)).toMatchObject({ use: "draining", empty: false });
    expect(statesOf(full)).toEqual([
      "app-1 moves",
      "app-2 moves",
      "app-3 moves",
      "app-4 moves",
      "app-5 due",
      "app-6 due",
    ]);
    setSilent(false);
    await until(({ empty }) => empty);
    expect(hostNamed(HOST).running.size).toBe(0);
    const rollouts = names.map((name) => cluster.coordinator.view(appName(name))?.rollout);
    for (const rollout of rollouts) expect(rollout).toMatchObject({ kind: "move", leaves: HOST });
    // Placed one after the other, each knowing of those before.
    const counts = cluster.hosts.map(({ running }) => running.size);
    expect(counts).toEqual([3, 0, 3]);
  });

  it("is emptied by the next driver when the first one is gone", async () => {
    const [name = ""] = await deployThere(2);
    setSilent(true);
    hostNamed(HOST).drain(true);
    await until((view) => statesOf(view).every((state) => state.endsWith("moves")));
    await cluster.coordinator.stop();
    cluster.coordinator = cluster.newCoordinator();
    cluster.coordinator.start();
    setSilent(false);
    await until(({ empty }) => empty);
    expect(cluster.coordinator.view(appName(name))?.rollout).toMatchObject({
      kind: "move",
      state: "succeeded",
    });
  });

  it("gets nothing new and has nothing moved any more once it is open again, but for what is on its way", async () => {
    const names = await deployThere(MOVES_MAX + 1);
    setSilent(true);
    hostNamed(HOST).drain(true);
    await until(({ apps }) => apps.filter(({ state }) => state === "moves").length === MOVES_MAX);
    hostNamed(HOST).drain(false);
    setSilent(false);
    const left = await until(({ apps }) => apps.length === 1);
    expect(left).toMatchObject({ use: "open", apps: [{ app: names.at(-1), state: "due" }] });
    await settled();
    expect(cluster.coordinator.view(appName(names.at(-1) ?? ""))?.rollout?.kind).toBe("deploy");
  });

  it("says what stands in the way, and goes on when that is gone", async () => {
    const [name = ""] = await deployThere(1);
    const others = cluster.hosts.filter(({ mesh }) => mesh.self.name !== HOST);
    for (const host of others) host.drain(true);
    hostNamed(HOST).drain(true);
    const stuck = await until(({ apps }) => apps[0]?.state === "stuck");
    expect(stuck.apps[0]?.why).toBe(
      "cannot move: no host can run a VM: host-1 is cordoned; host-2 is cordoned; host-3 is cordoned",
    );
    others[1]?.drain(false);
    await until(({ empty }) => empty);
    expect(cluster.coordinator.view(appName(name))?.vms).toMatchObject([{ host: "host-3" }]);
  });

  it("waits for the end of a deploy that runs, and then moves what that left there", async () => {
    const [name = ""] = await deployThere(1);
    setSilent(true);
    await cluster.coordinator.submit(specOf(name));
    await cluster.until(name, ({ rollout }) => rollout?.step?.kind === "serve");
    hostNamed(HOST).drain(true);
    const waiting = await until(({ apps }) => apps[0]?.state === "waits");
    expect(waiting.apps[0]).toMatchObject({
      rollout: `${name}-v2`,
      why: expect.stringContaining(`${name}-v2`),
    });
    setSilent(false);
    await until(({ empty }) => empty);
    expect(cluster.running).toHaveLength(1);
  });

  it("is not known under a name that no host has", () => {
    expect(cluster.coordinator.drains.view(memberName("host-9"))).toBeNull();
  });
});
