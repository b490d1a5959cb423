// The coordinator's own timer and clock, by virtual time: what a deadline does, and that nothing happens before it.

import { afterEach, expect, it, vi } from "vitest";
import { appName } from "../../mesh/index.ts";
import { Cluster } from "./testing/cluster.ts";
import { specOf } from "./testing/specs.ts";

const WAIT_TIMEOUT_MS = 30_000;

let cluster: Cluster;
afterEach(async () => {
  vi.useRealTimers();
  await cluster.stop();
});

it("a rollout returns to old at the wait timeout, names the silent, and retires what is left once it answers", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  cluster = new Cluster();
  await cluster.start();
  await cluster.coordinator.submit(specOf("hello"));
  await cluster.ended("hello");
  cluster.proxies[1]!.isSilent = true;
  const deploy = { strategy: "rolling", drainTimeoutMs: 30_000, waitTimeoutMs: WAIT_TIMEOUT_MS } as const;
  await cluster.coordinator.submit(specOf("hello", { deploy }));
  await cluster.until("hello", (now) => now.rollout?.step?.acks?.have === 1);
  vi.advanceTimersByTime(WAIT_TIMEOUT_MS - 1);
  expect(cluster.coordinator.view(appName("hello"))?.rollout).toMatchObject({ direction: "forward" });
  vi.advanceTimersByTime(1);
  const view = await cluster.ended("hello");
  expect(view.rollout).toMatchObject({ state: "rolled-back", reason: { code: "wait-timeout" } });
  expect(view.rollout?.reason?.message).toMatch(/proxy-2 has not acknowledged epoch \d+/);
  expect(view.weights).toEqual({ v1: 100 });
  expect(view.leftovers).toMatchObject([{ who: "hello-v2-1", what: expect.stringContaining("proxy-2") }]);
  expect(cluster.running).toEqual(["hello-v1-1", "hello-v2-1"]);
  cluster.proxies[1]!.isSilent = false;
  cluster.proxies[1]!.answer();
  await cluster.until("hello", (now) => now.leftovers.length === 0 && now.vms.length === 1);
  expect(cluster.running).toEqual(["hello-v1-1"]);
});
