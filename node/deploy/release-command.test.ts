import { afterEach, expect, it } from "vitest";
import type { DeploySpec } from "../../mesh/index.ts";
import type { AppView } from "./app-view.ts";
import { Cluster } from "./testing/cluster.ts";
import { specOf } from "./testing/specs.ts";

let cluster: Cluster;
afterEach(() => cluster.stop());

async function deployed(releaseCommand: DeploySpec["releaseCommand"] & object): Promise<AppView> {
  const deploy = { ...specOf("hello").deploy, releaseCommand, releaseCommandTimeoutMs: 60_000 };
  expect(await cluster.coordinator.submit(specOf("hello", { deploy }))).toMatchObject({ code: "accepted" });
  return cluster.ended("hello");
}

it("a release command runs before anything else of its deploy, and leaves all as it was when it fails", async () => {
  cluster = new Cluster();
  await cluster.start();
  const good = await deployed(["migrate"]);
  expect(good.rollout).toMatchObject({ state: "succeeded" });
  expect(good.rollout?.history.map(({ kind }) => kind)).toEqual(["command", "start", "serve"]);
  const bad = await deployed(["migrate", "fails"]);
  expect(bad.rollout).toMatchObject({
    state: "rolled-back",
    history: [{ kind: "command", vms: ["hello-v2-0"] }],
    reason: { code: "command-failed", lastLines: ["no such table"] },
  });
  await cluster.until("hello", ({ vms }) => vms.length === 1);
  expect(cluster.running).toEqual(["hello-v1-1"]);
  expect(cluster.hosts.flatMap(({ ran }) => ran).sort()).toEqual(["hello-v1-0", "hello-v1-1", "hello-v2-0"]);
});
