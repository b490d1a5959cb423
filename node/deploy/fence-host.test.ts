import { afterEach, beforeEach, expect, it } from "vitest";
import { appName, vmName } from "../../mesh/index.ts";
import { Cluster, settled } from "./testing/cluster.ts";
import { specOf } from "./testing/specs.ts";

let cluster: Cluster;
beforeEach(async () => {
  cluster = new Cluster();
  await cluster.start();
  for (const host of cluster.hosts) host.haveGate();
  await settled();
});
afterEach(() => cluster.stop());

it("a rollout goes on past the gate of a host that a person fenced, and names it; said again it commits nothing", async () => {
  await cluster.coordinator.submit(specOf("hello", { count: 2 }));
  const { vms } = await cluster.ended("hello");
  const lost = cluster.hosts.find(({ mesh }) => mesh.self.name === vms[1]?.host);
  expect(lost?.mesh).not.toBe(cluster.voter);
  const { name: host, owner } = lost!.mesh.self;
  await lost!.mesh.stop();
  await cluster.coordinator.stopVm(vmName("hello-v1-2"));
  const waiting = await cluster.until("hello", ({ rollout }) => rollout?.step?.acks?.have === 2);
  expect(waiting.rollout?.step?.waitingFor).toMatchObject([{ who: host }]);

  const { incarnation = 0, startId = 0 } = cluster.voter.store.head(owner) ?? {};
  const request = { host, start: { incarnation, startId } };
  expect(await cluster.coordinator.fenceHost(request)).toEqual({ code: "done", apps: ["hello"] });
  const view = await cluster.ended("hello");
  expect(view).toMatchObject({ rollout: { state: "succeeded", except: [host] }, fenced: [{ host }] });
  expect(view.rollout?.history).toMatchObject([
    { kind: "cordon", fenced: [{ host, atMs: expect.any(Number) }] },
    { kind: "stop", fenced: [{ host }] },
  ]);
  await cluster.coordinator.fenceHost(request);
  expect(cluster.coordinator.view(appName("hello"))?.epoch).toBe(view.epoch);
});
