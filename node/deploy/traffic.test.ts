// Traffic by hand, through the coordinator: what it is asked, what it answers, and that no VM is started or stopped for it.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type AppSpec, appName, type Weights } from "../../mesh/index.ts";
import type { AppView } from "./app-view.ts";
import { Cluster } from "./testing/cluster.ts";
import { specOf } from "./testing/specs.ts";

const HELLO = appName("hello");
const KEPT = { strategy: "bluegreen", drainTimeoutMs: 30_000, keepOldMs: 60_000 } as const;
const BY_HAND = specOf("hello", { deploy: { ...KEPT, waitTimeoutMs: 60_000, approval: "manual" } });
/** Long against a step of fakes on a busy machine: only who never answers lets it pass. */
const SOON_SPEC = specOf("hello", { deploy: { ...KEPT, waitTimeoutMs: 2_000, approval: "manual" } });
const TEN: Weights = [
  { release: 2, weight: 10 },
  { release: 1, weight: 90 },
];

let cluster: Cluster;
beforeEach(async () => {
  cluster = new Cluster();
  await cluster.start();
  await cluster.coordinator.submit(specOf("hello"));
  await cluster.ended("hello");
});
afterEach(() => cluster.stop());

function isWaiting({ rollout }: AppView): boolean {
  return rollout?.step?.kind === "approve";
}

async function waiting(spec: AppSpec = BY_HAND): Promise<void> {
  await cluster.coordinator.submit(spec);
  await cluster.until("hello", isWaiting);
}

async function promoted(spec: AppSpec = BY_HAND): Promise<void> {
  await waiting(spec);
  await cluster.coordinator.promote(HELLO);
  await cluster.ended("hello");
}

describe("Coordinator, asked where requests go", () => {
  it("splits those of a deploy that waits for approval, and has it wait again", async () => {
    await waiting();
    const answer = await cluster.coordinator.setTraffic({ app: HELLO, weights: TEN });
    expect(answer).toMatchObject({ code: "accepted", rollout: "hello-v2", joined: false, step: 4 });
    const view = await cluster.until("hello", (now) => isWaiting(now) && now.byWeight === true);
    expect(view).toMatchObject({ weights: { v1: 90, v2: 10 }, previews: ["preview.hello.localhost"] });
    expect(view.rollout?.history.at(-1)).toMatchObject({ number: 4, kind: "weigh" });
    expect(cluster.running).toEqual(["hello-v1-1", "hello-v2-1"]);
    await cluster.coordinator.promote(HELLO);
    expect(await cluster.ended("hello")).toMatchObject({
      weights: { v2: 100 },
      byWeight: false,
      release: "v2",
    });
  });

  it("goes back to what is kept by one step that starts and stops nothing", async () => {
    await promoted();
    const answer = await cluster.coordinator.rollback({ app: HELLO, to: null });
    expect(answer).toMatchObject({ code: "accepted", release: 1, step: 1 });
    expect(answer).toMatchObject({ note: expect.stringContaining("one step sends all requests") });
    const view = await cluster.until("hello", ({ release }) => release === "v1");
    expect(view).toMatchObject({ weights: { v1: 100 }, kept: { release: "v2" }, leftovers: [] });
    expect(view.rollout).toMatchObject({ kind: "weigh", state: "succeeded" });
    expect(cluster.running).toEqual(["hello-v1-1", "hello-v2-1"]);
  });

  it("lets a split stand that one proxy does not confirm, and names it", async () => {
    await promoted(SOON_SPEC);
    cluster.proxies[1]!.isSilent = true;
    await cluster.coordinator.setTraffic({ app: HELLO, weights: TEN });
    const view = await cluster.until(
      "hello",
      ({ rollout }) => rollout?.kind === "weigh" && rollout.state === "failed",
    );
    expect(view).toMatchObject({ weights: { v1: 90, v2: 10 }, release: "v2" });
    expect(view.rollout?.reason?.message).toMatch(/^proxy-2 has not acknowledged epoch \d+$/);
    expect(await cluster.coordinator.submit(specOf("hello"))).toMatchObject({
      code: "invalid",
      message: expect.stringContaining("grapevine traffic set hello v1=100"),
    });
  });

  it("holds a deploy where it is, whoever drives, and says how it goes on to whoever wants another one", async () => {
    await waiting();
    expect(await cluster.coordinator.pause(HELLO)).toMatchObject({ code: "accepted", joined: false });
    expect(await cluster.coordinator.pause(HELLO)).toMatchObject({ code: "accepted", joined: true });
    await cluster.coordinator.stop();
    cluster.coordinator = cluster.newCoordinator();
    cluster.coordinator.start();
    const view = await cluster.until("hello", ({ rollout }) => rollout?.state === "paused");
    expect(view.rollout).toMatchObject({ pause: { why: "a person paused it" }, step: { kind: "approve" } });
    expect(await cluster.coordinator.submit(specOf("hello"))).toMatchObject({
      code: "locked",
      message: expect.stringContaining("`grapevine resume hello`, or `grapevine abort hello`"),
    });
    expect(await cluster.coordinator.promote(HELLO)).toMatchObject({ code: "invalid" });
    await cluster.coordinator.abort(HELLO);
    const ended = await cluster.until("hello", ({ rollout }) => rollout?.state === "aborted");
    expect(ended.rollout).not.toHaveProperty("pause");
    expect(cluster.running).toEqual(["hello-v1-1"]);
  });
});
