import { afterEach, describe, expect, it } from "vitest";
import { type AppSpec, appName, decodeRecord, memberName, vmEntryShape, vmName } from "../../mesh/index.ts";
import type { AppView } from "./app-view.ts";
import { Cluster, settled } from "./testing/cluster.ts";
import { FAKE_LAST_DISPATCH_MS } from "./testing/fake-proxy.ts";
import { specOf } from "./testing/specs.ts";

let cluster: Cluster;
async function newCluster(): Promise<Cluster> {
  cluster = new Cluster();
  await cluster.start();
  return cluster;
}
afterEach(() => cluster.stop());

async function deploy(spec: AppSpec): Promise<AppView> {
  expect(await cluster.coordinator.submit(spec)).toMatchObject({ code: "accepted", joined: false });
  return cluster.ended(spec.name);
}

describe("Coordinator", () => {
  it("launches an app and redeploys its one VM: the new one serves before the old one leaves", async () => {
    await newCluster();
    const first = await deploy(specOf("hello"));
    expect(first).toMatchObject({ release: "v1", weights: { v1: 100 } });
    expect(first.rollout?.history.map((step) => step.kind)).toEqual(["start", "serve"]);
    const second = await deploy(specOf("hello"));
    expect(second).toMatchObject({ release: "v2", weights: { v2: 100 }, rollout: { state: "succeeded" } });
    expect(second.rollout?.history.map((step) => `${step.kind} ${step.vms.join(" ")}`)).toEqual([
      "start hello-v2-1",
      "serve hello-v2-1",
      "cordon hello-v1-1",
      "stop hello-v1-1",
    ]);
    expect(second.rollout?.history[1]?.outcome).toMatch(/^acks 2\/2, slowest proxy-[12] \d+ ms$/);
    expect(second.vms.map((vm) => vm.vm)).toEqual(["hello-v2-1"]);
    expect(cluster.running).toEqual(["hello-v2-1"]);
  });

  it("stops an old VM only once the gate before it has said itself that it closed it, whatever proxies say", async () => {
    await newCluster();
    for (const host of cluster.hosts) host.haveGate();
    await settled();
    const { vms } = await deploy(specOf("hello"));
    const [before] = cluster.hosts.filter(({ mesh }) => mesh.self.name === vms[0]?.host);
    const [liar] = cluster.hosts.filter((host) => host !== before);
    const { owner } = cluster.voter.self;
    const of = before?.mesh.self.name ?? memberName("none");
    await cluster.coordinator.submit(specOf("hello"));
    const isCordoning = ({ rollout }: AppView) => rollout?.step?.kind === "cordon";
    const { epoch } = await cluster.until("hello", isCordoning);
    liar?.confirm(owner, { app: "hello", epoch, of });
    before?.confirm(owner, { app: "hello", epoch: epoch - 1, of });
    await settled();
    const held = cluster.coordinator.view(appName("hello"));
    expect(held?.rollout?.step?.waitingFor).toMatchObject([
      { who: of, what: "to close hello-v1-1 at its gate" },
    ]);
    expect(cluster.running).toEqual(["hello-v1-1", "hello-v2-1"]);
    before?.confirm(owner, { app: "hello", epoch, of });
    expect(await cluster.ended("hello")).toMatchObject({ release: "v2", rollout: { state: "succeeded" } });
    expect(cluster.running).toEqual(["hello-v2-1"]);
  });

  it("keeps when the new VM became healthy and when the old one got its last request", async () => {
    await newCluster();
    await deploy(specOf("hello"));
    const view = await deploy(specOf("hello"));
    expect(view.rollout?.cutover).toEqual({
      newHealthyAtMs: 1_000,
      oldLastRequestAtMs: FAKE_LAST_DISPATCH_MS,
    });
  });

  it("asks that proxies hold the entry of a VM that was seen healthy before they acknowledge it", async () => {
    await newCluster();
    await deploy(specOf("hello"));
    const committed = await cluster.register.read(appName("hello"));
    const { requires, host } = committed!.record.vms[0]!;
    const { owner } = cluster.hosts.find(({ mesh }) => mesh.self.name === host)!.mesh.self;
    expect(requires).toEqual(cluster.voter.store.get(owner, "vm/hello-v1-1")?.version);
  });

  it("goes back when the new VM crashes, with its last lines, and leaves nothing over", async () => {
    await newCluster();
    await deploy(specOf("hello"));
    const view = await deploy(specOf("hello", { env: { FATE: "crashes" } }));
    expect(view).toMatchObject({
      release: "v1",
      weights: { v1: 100 },
      rollout: {
        state: "rolled-back",
        reason: {
          code: "start-failed",
          message: expect.stringContaining("exited with code 3"),
          lastLines: ["boom"],
        },
      },
    });
    expect(cluster.running).toEqual(["hello-v1-1"]);
  });

  it("fails a first launch whose check never passes, removes its VM and frees its names", async () => {
    await newCluster();
    const view = await deploy(specOf("hello", { env: { FATE: "unhealthy" } }));
    expect(view).toMatchObject({ release: null, hostnames: [], vms: [] });
    expect(view.rollout).toMatchObject({ state: "failed", reason: { code: "check-failed" } });
    expect(cluster.running).toEqual([]);
    const other = await deploy(specOf("other", { hostnames: ["hello.localhost"] }));
    expect(other.rollout?.state).toBe("succeeded");
  });

  it("waits for a silent proxy by name, keeps the old VM, and ends once it answers", async () => {
    await newCluster();
    await deploy(specOf("hello"));
    const silent = cluster.proxies[1]!;
    silent.isSilent = true;
    await cluster.coordinator.submit(specOf("hello"));
    const waiting = await cluster.until("hello", (view) => view.rollout?.step?.acks?.have === 1);
    expect(waiting.rollout?.step).toMatchObject({ kind: "serve", acks: { have: 1, need: 2 } });
    expect(waiting.rollout?.step?.waitingFor).toMatchObject([
      { who: "proxy-2", what: expect.stringMatching(/acknowledge epoch \d+/) },
    ]);
    expect(cluster.running).toEqual(["hello-v1-1", "hello-v2-1"]);
    silent.isSilent = false;
    silent.answer();
    expect((await cluster.ended("hello")).rollout?.state).toBe("succeeded");
    expect(cluster.running).toEqual(["hello-v2-1"]);
  });

  it("stops an old VM only when no proxy has a request in flight to it", async () => {
    await newCluster();
    await deploy(specOf("hello"));
    const proxy = cluster.proxies[0]!;
    proxy.inFlight.set(vmName("hello-v1-1"), 2);
    await cluster.coordinator.submit(specOf("hello"));
    const waiting = await cluster.until(
      "hello",
      (view) => view.rollout?.step?.kind === "cordon" && view.rollout.step.acks?.have === 1,
    );
    expect(waiting.rollout?.step?.waitingFor[0]?.what).toContain("2 requests in flight to hello-v1-1");
    expect(cluster.running).toContain("hello-v1-1");
    proxy.inFlight.clear();
    proxy.answer();
    await cluster.ended("hello");
    expect(cluster.running).toEqual(["hello-v2-1"]);
  });

  it("does not believe an ack in another proxy's name, nor bytes that are none", async () => {
    await newCluster();
    await deploy(specOf("hello"));
    const [liar, silent] = cluster.proxies;
    silent!.isSilent = true;
    liar!.signsAs = memberName("proxy-2");
    await cluster.coordinator.submit(specOf("hello"));
    await cluster.until("hello", (view) => view.rollout?.step?.kind === "serve");
    liar!.answer();
    liar!.mesh.tell(cluster.voter.self.owner, "ack", new Uint8Array([1, 2, 3]));
    await settled();
    expect(cluster.coordinator.view(appName("hello"))?.rollout?.step?.acks?.have).toBe(0);
  });

  it("joins the same spec, locks out another, and refuses names that another app has", async () => {
    await newCluster();
    await deploy(specOf("hello"));
    cluster.proxies[0]!.isSilent = true;
    const [spec, same] = [specOf("hello"), specOf("hello")];
    expect(await cluster.coordinator.submit(spec)).toMatchObject({ code: "accepted", rollout: "hello-v2" });
    expect(await cluster.coordinator.submit(same)).toMatchObject({
      code: "accepted",
      rollout: "hello-v2",
      joined: true,
    });
    expect(await cluster.coordinator.submit(specOf("hello", { count: 2 }))).toMatchObject({
      code: "locked",
      rollout: "hello-v2",
      driver: "host-1",
    });
    expect(await cluster.coordinator.destroy(appName("hello"))).toMatchObject({ code: "locked" });
    const taken = await cluster.coordinator.submit(specOf("other", { hostnames: ["hello.localhost"] }));
    expect(taken).toMatchObject({
      code: "invalid",
      message: expect.stringContaining("belongs to app hello"),
    });
    expect(cluster.coordinator.view(appName("other"))).toBeNull();
  });

  it("lets one of two apps that ask for one hostname at once have it", async () => {
    await newCluster();
    const hostnames = ["shared.localhost"];
    const results = await Promise.all([
      cluster.coordinator.submit(specOf("left", { hostnames })),
      cluster.coordinator.submit(specOf("right", { hostnames })),
    ]);
    expect(results.map((result) => result.code)).toEqual(["accepted", "invalid"]);
    await cluster.ended("left");
  });

  it("refuses what cannot be meant: a bad name, a missing bundle, unknown VMs and apps", async () => {
    await newCluster();
    const { coordinator } = cluster;
    expect(await coordinator.submit(specOf("Not A Name"))).toMatchObject({ code: "invalid" });
    expect(await coordinator.submit(specOf("x".repeat(48)))).toMatchObject({
      code: "invalid",
      message: expect.stringContaining("at most 36 characters"),
    });
    const command = Array.from({ length: 24 }, () => "v".repeat(4000));
    expect(await coordinator.submit(specOf("big", { command }))).toMatchObject({
      code: "invalid",
      message: expect.stringContaining("make command shorter"),
    });
    expect(await coordinator.stopVm(vmName("hello-v1-1"))).toMatchObject({ code: "invalid" });
    expect(await coordinator.destroy(appName("hello"))).toMatchObject({ code: "invalid" });
    expect(cluster.register.known()).toEqual([]);
  });

  it("stops one VM of several on request and goes on with the others", async () => {
    await newCluster();
    await deploy(specOf("hello", { count: 3 }));
    expect(await cluster.coordinator.stopVm(vmName("hello-v1-2"))).toMatchObject({ code: "accepted" });
    const view = await cluster.ended("hello");
    expect(view.rollout).toMatchObject({ kind: "stop", state: "succeeded" });
    expect(cluster.running).toEqual(["hello-v1-1", "hello-v1-3"]);
    expect(await cluster.coordinator.stopVm(vmName("hello-v1-2"))).toMatchObject({ code: "invalid" });
  });

  it("destroys an app, frees its names and keeps its numbers for the next deploy", async () => {
    await newCluster();
    await deploy(specOf("hello", { count: 2 }));
    expect(await cluster.coordinator.destroy(appName("hello"))).toMatchObject({ code: "accepted" });
    const view = await cluster.until("hello", (now) => now.deleted);
    expect(view).toMatchObject({ hostnames: [], vms: [], release: null, rollout: { state: "succeeded" } });
    expect(cluster.running).toEqual([]);
    expect(cluster.coordinator.views()).toEqual([]);
    const again = await deploy(specOf("hello"));
    expect(again).toMatchObject({ release: "v2", deleted: false });
    expect(cluster.running).toEqual(["hello-v2-1"]);
  });

  it("has a bluegreen release wait for a person, who is heard by any name of it alone", async () => {
    await newCluster();
    await deploy(specOf("hello"));
    const deployed = { strategy: "bluegreen", drainTimeoutMs: 30_000, waitTimeoutMs: 60_000 } as const;
    const spec = specOf("hello", { deploy: { ...deployed, approval: "manual", keepOldMs: 60_000 } });
    expect(await cluster.coordinator.promote(appName("hello"))).toMatchObject({ code: "invalid" });
    await cluster.coordinator.submit(spec);
    const waiting = await cluster.until("hello", (view) => view.rollout?.step?.kind === "approve");
    expect(waiting).toMatchObject({ weights: { v1: 100 }, previews: ["preview.hello.localhost"] });
    const rival = await cluster.coordinator.submit(
      specOf("rival", { hostnames: ["preview.hello.localhost"] }),
    );
    expect(rival).toMatchObject({
      code: "invalid",
      message: expect.stringContaining("belongs to app hello"),
    });
    expect(await cluster.coordinator.promote(appName("hello"))).toMatchObject({ code: "accepted" });
    const view = await cluster.ended("hello");
    expect(view).toMatchObject({
      weights: { v2: 100 },
      previews: [],
      leftovers: [],
      rollout: { state: "succeeded" },
    });
    expect(view.kept).toMatchObject({ release: "v1", vms: ["hello-v1-1"] });
    expect(cluster.running).toEqual(["hello-v1-1", "hello-v2-1"]);
  });

  it("does not ask a proxy that a person excluded, names it at the end, and tells apps of later", async () => {
    await newCluster();
    await deploy(specOf("hello"));
    cluster.proxies[1]!.isSilent = true;
    const exclusion = { proxy: memberName("proxy-2"), verb: "exclude", app: null } as const;
    expect(await cluster.coordinator.excludeProxy(exclusion)).toEqual({ code: "done", apps: ["hello"] });
    const epoch = cluster.coordinator.view(appName("hello"))?.epoch;
    await cluster.coordinator.excludeProxy(exclusion);
    expect(cluster.coordinator.view(appName("hello"))?.epoch).toBe(epoch);
    const view = await deploy(specOf("hello"));
    expect(view).toMatchObject({
      excluded: [{ proxy: "proxy-2", by: "person" }],
      rollout: { state: "succeeded", except: ["proxy-2"] },
    });
    expect(await deploy(specOf("later"))).toMatchObject({
      rollout: { state: "succeeded", except: ["proxy-2"] },
    });
    await cluster.coordinator.excludeProxy({ ...exclusion, verb: "include" });
    expect(cluster.coordinator.view(appName("later"))?.excluded).toEqual([]);
  });

  it("takes a deploy back on request, as long as the new release has not taken over", async () => {
    await newCluster();
    await deploy(specOf("hello"));
    const deployed = { strategy: "bluegreen", drainTimeoutMs: 30_000, waitTimeoutMs: 60_000 } as const;
    await cluster.coordinator.submit(specOf("hello", { deploy: { ...deployed, approval: "manual" } }));
    await cluster.until("hello", (view) => view.rollout?.step?.kind === "approve");
    expect(await cluster.coordinator.abort(appName("hello"))).toMatchObject({ code: "accepted" });
    const view = await cluster.ended("hello");
    expect(view).toMatchObject({
      weights: { v1: 100 },
      rollout: { state: "aborted", reason: { code: "aborted" } },
    });
    expect(cluster.running).toEqual(["hello-v1-1"]);
  });

  it("drives on after its restart from what the register has", async () => {
    await newCluster();
    await deploy(specOf("hello"));
    cluster.proxies[1]!.isSilent = true;
    await cluster.coordinator.submit(specOf("hello"));
    await cluster.until("hello", (view) => view.rollout?.step?.kind === "serve");
    await cluster.coordinator.stop();
    cluster.coordinator = cluster.newCoordinator();
    await cluster.coordinator.start();
    expect(cluster.coordinator.view(appName("hello"))?.rollout?.step).toMatchObject({ kind: "serve" });
    cluster.proxies[1]!.isSilent = false;
    for (const proxy of cluster.proxies) proxy.answer();
    expect((await cluster.ended("hello")).rollout?.state).toBe("succeeded");
    expect(cluster.running).toEqual(["hello-v2-1"]);
  });

  it("no longer waits for a proxy that left, and waits for one that is only cut off", async () => {
    await newCluster();
    await deploy(specOf("hello"));
    const [, gone] = cluster.proxies;
    cluster.hub.disconnect(cluster.voter, gone!.mesh);
    await cluster.coordinator.submit(specOf("hello"));
    const waiting = await cluster.until("hello", (view) => view.rollout?.step?.acks?.have === 1);
    expect(waiting.rollout?.step?.waitingFor[0]?.what).toContain("(not connected)");
    gone!.leave();
    expect((await cluster.ended("hello")).rollout?.state).toBe("succeeded");
  });

  it("believes of a VM only the host that the record gives it to", async () => {
    await newCluster();
    await cluster.coordinator.submit(specOf("hello", { env: { FATE: "hangs" } }));
    const view = await cluster.until("hello", (now) => now.vms[0]?.state === "preparing");
    const real = cluster.hosts.find((host) => host.mesh.self.name === view.vms[0]!.host)!;
    const liar = cluster.hosts.find((host) => host !== real)!;
    const value = real.mesh.store.get(real.mesh.self.owner, "vm/hello-v1-1")!.value;
    liar.mesh.write("vm/hello-v1-1", value);
    const decoded = decodeRecord(vmEntryShape, value!);
    if (!decoded.ok) throw new Error(decoded.error);
    liar.say(
      vmName("hello-v1-1"),
      { state: "running", health: "healthy", host: liar.mesh.self.name },
      decoded.value,
    );
    await settled();
    expect(cluster.coordinator.view(appName("hello"))?.rollout?.step?.kind).toBe("start");
  });

  it("takes what is submitted before it started, once it has", async () => {
    await newCluster();
    await cluster.coordinator.stop();
    cluster.coordinator = cluster.newCoordinator();
    const early = cluster.coordinator.submit(specOf("hello"));
    await cluster.coordinator.start();
    expect(await early).toMatchObject({ code: "accepted" });
    expect((await cluster.ended("hello")).rollout?.state).toBe("succeeded");
    await cluster.coordinator.stop();
    expect(await cluster.coordinator.submit(specOf("hello"))).toMatchObject({ code: "unavailable" });
  });

  it("ends its watches and leaves nothing running when it stops", async () => {
    await newCluster();
    await deploy(specOf("hello"));
    const views = cluster.coordinator.watch(appName("hello"), new AbortController().signal);
    await views.next();
    const next = views.next();
    await cluster.coordinator.stop();
    expect((await next).done).toBe(true);
  });

  it("logs one line for each change of state", async () => {
    await newCluster();
    await deploy(specOf("hello"));
    const lines = cluster.logged.map(({ fields }) => (fields as { to: string }).to);
    expect(lines).toEqual([
      "hello-v1 step 1 start hello-v1-1",
      "hello-v1 step 2 serve hello-v1-1",
      "hello-v1 succeeded",
    ]);
  });
});
