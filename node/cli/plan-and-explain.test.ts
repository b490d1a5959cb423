import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { appName, memberName } from "../../mesh/index.ts";
import { submitMove } from "../deploy/core/move.ts";
import { storyOf } from "../deploy/core/story.ts";
import { submitRestart, submitScale } from "../deploy/core/submit-scale.ts";
import type { PlanView } from "../deploy/plan-view.ts";
import type { RolloutStory } from "../deploy/story-view.ts";
import { specOf } from "../deploy/testing/specs.ts";
import { answerAll, beginStory, STORIES } from "../deploy/testing/stories.ts";
import type { World } from "../deploy/testing/world.ts";
import { planText } from "./plan-text.ts";
import { storyText } from "./story-text.ts";

// Golden files: `REWRITE=1` and then `npm run format` write them anew; read the diff before you keep it.
function expectGolden(folder: "plans" | "explained", name: string, text: string, view: object): void {
  const path = join(import.meta.dirname, "testdata", folder, name);
  if (process.env["REWRITE"] === "1") {
    writeFileSync(`${path}.txt`, text);
    writeFileSync(`${path}.json`, `${JSON.stringify(view, null, 2)}\n`);
  }
  expect(text).toBe(readFileSync(`${path}.txt`, "utf8"));
  expect(view).toEqual(JSON.parse(readFileSync(`${path}.json`, "utf8")));
}

const STRATEGY_OF_RESTART = {
  strategy: "immediate",
  drainTimeoutMs: 30_000,
  waitTimeoutMs: 60_000,
} as const;

function toldBy(world: World): RolloutStory {
  const view = world.machine.view(world.nowMs);
  if (view?.rollout == null) throw new Error("there is no rollout");
  return storyOf(view.app, view.rollout);
}

function stepsOfPlan({ steps }: PlanView): readonly object[] {
  return steps.map(({ number, kind, vms, serves, asks, quorum, spared }) => {
    const proxies = asks.filter((ask) => ask.kind === "proxy").length;
    return { number, kind, vms, serves, asks, quorum: quorum < proxies ? quorum : null, spared };
  });
}

function stepsOfStory({ steps }: RolloutStory): readonly object[] {
  return steps.map(({ number, kind, vms, serves, asked, quorum, spared }) => {
    const asks = asked?.map(({ ms: _ms, ...ask }) => ask);
    return { number, kind, vms, serves, asks, quorum, spared };
  });
}

describe("deploy --plan and explain", () => {
  for (const story of STORIES) {
    it(`say of ${story.name} what their golden files say: whom plan names explain names, and no one else`, () => {
      const world = beginStory(story);
      const before = world.committed;
      const spec = specOf("hello", story.next);
      const plan = world.plan(spec, "next");
      expect(world.committed, "a plan changes nothing").toBe(before);
      expectGolden("plans", story.name, planText(plan), plan);
      world.submit(spec, "next");
      answerAll(world);
      const told = toldBy(world);
      expectGolden("explained", story.name, storyText(told), told);
      expect(told.state).toBe("succeeded");
      expect(stepsOfStory(told)).toEqual(stepsOfPlan(plan));
    });
  }
});

describe("explain", () => {
  const app = appName("hello");
  const begun = () =>
    beginStory({ name: "", isGated: true, before: { deploy: STRATEGY_OF_RESTART }, next: {} });

  it("tells of a scale how many there were and shall be, and of a restart by which strategy", () => {
    const world = begun();
    for (const [name, count] of [
      ["scale-up", 3],
      ["scale-down", 2],
    ] as const) {
      world.ask((at, context) => submitScale(at, { app, count }, context));
      answerAll(world);
      expectGolden("explained", name, storyText(toldBy(world)), toldBy(world));
    }
    world.ask((at, context) => submitRestart(at, app, context));
    answerAll(world);
    expectGolden("explained", "restart", storyText(toldBy(world)), toldBy(world));
  });

  it("tells of a deploy that is superseded what follows it, and of that one what it superseded", () => {
    const world = begun();
    world.submit(specOf("hello"), "next");
    answerAll(world, { until: () => world.committed?.record.rollout?.step?.kind === "serve" });
    world.submit(specOf("hello", { count: 2 }), "another", true);
    expectGolden("explained", "superseded", storyText(toldBy(world)), toldBy(world));
    answerAll(world);
    expectGolden("explained", "superseding", storyText(toldBy(world)), toldBy(world));
  });

  it("tells of a deploy that went back who had not answered, and of one that runs what it waits for", () => {
    const world = beginStory({ name: "", isGated: true, before: {}, next: {} });
    world.submit(specOf("hello"), "next");
    const silent = memberName("proxy-2");
    const hasOne = () => world.machine.view(world.nowMs)?.rollout?.step?.acks?.have === 1;
    answerAll(world, { until: hasOne, silent });
    world.pass(3_100);
    expectGolden("explained", "waits-for-proxy-2", storyText(toldBy(world)), toldBy(world));
    answerAll(world, { silent });
    expectGolden("explained", "went-back", storyText(toldBy(world)), toldBy(world));
  });

  it("tells of a move off a host that is drained", () => {
    const world = beginStory({ name: "", isGated: true, before: {}, next: {} });
    const host = memberName("host-1");
    world.draining.add(host);
    world.membersChanged();
    const request = { app: appName("hello"), host };
    const move = submitMove(world.committed, request, world.machine.context(world.nowMs));
    if (move.code !== "begin") throw new Error(move.code);
    const expectedEpoch = world.committed?.epoch ?? 0;
    world.carryOut({ kind: "swap", expectedEpoch, next: move.record, why: "" });
    answerAll(world);
    expectGolden("explained", "drained", storyText(toldBy(world)), toldBy(world));
  });
});
