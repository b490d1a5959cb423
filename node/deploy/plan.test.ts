import { expect, it, onTestFinished } from "vitest";
import { Cluster } from "./testing/cluster.ts";
import { specOf } from "./testing/specs.ts";

it("a plan changes nothing; of a deploy that runs it says what is left", async () => {
  const cluster = new Cluster();
  onTestFinished(() => cluster.stop());
  await cluster.start();
  await cluster.coordinator.submit(specOf("hello"));
  await cluster.ended("hello");
  const before = cluster.register.known();
  const next = specOf("hello", { count: 2 });
  const planned = await cluster.coordinator.plan(next);
  expect(planned).toMatchObject({ code: "planned", plan: { from: "v1", to: "v2", joined: false } });
  expect(cluster.register.known()).toEqual(before);
  cluster.proxies[1]!.isSilent = true;
  await cluster.coordinator.submit(next);
  await cluster.until("hello", (view) => view.rollout?.step?.kind === "serve");
  expect(await cluster.coordinator.plan(next)).toMatchObject({
    code: "planned",
    plan: { joined: true, steps: [{ number: 2, kind: "serve" }, { kind: "cordon" }, { kind: "stop" }] },
  });
  expect(await cluster.coordinator.plan(specOf("hello", { count: 3 }))).toMatchObject({ code: "locked" });
});
