import { describe, expect, it } from "vitest";
import { specOf } from "../testing/specs.ts";
import { answerAll, beginStory } from "../testing/stories.ts";

describe("withStepEndedByPerson()", () => {
  it("keeps for whom a step stood that a person aborted", () => {
    const world = beginStory({ name: "", isGated: true, before: {}, next: {} });
    world.submit(specOf("hello"), "next");
    answerAll(world, { until: () => world.committed?.record.rollout?.step?.kind === "serve" });
    world.abort();
    const [, serve] = world.committed?.record.rollout?.history ?? [];
    expect(serve).toMatchObject({ kind: "serve", outcome: "aborted", epoch: 5 });
    expect(serve?.asked).toEqual([
      { kind: "proxy", who: "proxy-1", ms: null },
      { kind: "proxy", who: "proxy-2", ms: null },
    ]);
  });

  it("keeps that a step waited for approval which a split ended", () => {
    const deploy = { strategy: "bluegreen", approval: "manual" } as const;
    const world = beginStory({ name: "", isGated: true, before: {}, next: {} });
    world.submit(specOf("hello", { deploy: { ...specOf("hello").deploy, ...deploy } }), "next");
    answerAll(world, { until: () => world.committed?.record.rollout?.step?.kind === "approve" });
    expect(
      world.traffic([
        { release: 1, weight: 90 },
        { release: 2, weight: 10 },
      ]).code,
    ).toBe("begin");
    const report = world.committed?.record.rollout?.history.at(-1);
    expect(report).toMatchObject({ kind: "approve", asked: [{ kind: "approval", who: "hello", ms: null }] });
  });
});

describe("submitTraffic()", () => {
  it("leaves a canary its own split", () => {
    const world = beginStory({ name: "", isGated: true, before: {}, next: {} });
    const canary = { weights: [5, 50], bakeMs: 5_000, minRequests: 50 };
    const deploy = { ...specOf("hello").deploy, strategy: "canary", canary } as const;
    world.submit(specOf("hello", { deploy }), "next");
    answerAll(world, { until: () => world.committed?.record.rollout?.step?.kind === "weigh" });
    const split = [
      { release: 1, weight: 90 },
      { release: 2, weight: 10 },
    ];
    expect(world.committed?.record.rollout?.step?.kind).toBe("weigh");
    expect(world.traffic(split).code).toBe("locked");
  });
});
