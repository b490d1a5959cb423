import { describe, expect, it } from "vitest";
import { memberName } from "../../mesh/index.ts";
import { specOf } from "../deploy/testing/specs.ts";
import { answerAll, beginStory } from "../deploy/testing/stories.ts";
import type { World } from "../deploy/testing/world.ts";
import { Chronicle } from "./chronicle.ts";
import { screenOf } from "./live-screen.ts";

const ONE_VM = { name: "", isGated: true, before: {}, next: {} } as const;

/** All that is new, as `status -w` would print it where its output is no terminal. */
function linesOf(chronicle: Chronicle, world: World, ageMs = 0): readonly string[] {
  const view = world.machine.view(world.nowMs);
  return view === null ? [] : chronicle.step(view, ageMs, world.nowMs);
}

/** A deploy that waits for proxy-2, which says nothing any more, and for host-1's gate, which was never heard. */
function waiting(): World {
  const world = beginStory(ONE_VM);
  world.submit(specOf("hello"), "next");
  const isCordoning = () => world.committed?.record.rollout?.step?.kind === "cordon";
  answerAll(world, { until: isCordoning });
  world.pass(3_100);
  return world;
}

describe("Chronicle", () => {
  it("tells of the rollout that runs and of the next, each to its end, and not of the one before", () => {
    const world = beginStory(ONE_VM);
    const chronicle = new Chronicle();
    expect(linesOf(chronicle, world)).toEqual(["hello: v1, epoch 3; no rollout runs: waiting for the next"]);
    world.submit(specOf("hello"), "next");
    const said: string[] = [];
    answerAll(world, { until: () => said.push(...linesOf(chronicle, world)) < 0 });
    said.push(...linesOf(chronicle, world));
    expect(said[0]).toBe("hello-v2: deploy from v1 to v2, driven by host-1");
    expect(said).toContain("step 3 cordon hello-v1-1: acks 2/2, slowest proxy-2 35 ms (35 ms)");
    expect(said.at(-1)).toMatch(/^hello-v2: succeeded after .*: v2 serves on every proxy with 1 VM/);
    expect(linesOf(chronicle, world)).toEqual([]);
  });

  it("says of who is waited for how long nothing was heard of it", () => {
    const lines = linesOf(new Chronicle(), waiting(), 400);
    expect(lines.at(-1)).toBe(
      "step 3 cordon hello-v1-1 at epoch 6 … acks 0/2; waiting for host-1 to close hello-v1-1 at its gate, silent for 3.5 s, " +
        "proxy-1 to acknowledge epoch 6, silent for 3.5 s, proxy-2 to acknowledge epoch 6, silent for 3.5 s (3.5 s)",
    );
  });

  it("does not call silent who answers the same again and again", () => {
    const world = waiting();
    // That it is where it was.
    world.answer(memberName("proxy-1"));
    world.deliver(memberName("proxy-1"));
    const waits = world.machine.view(world.nowMs + 10)?.rollout?.step?.waitingFor;
    const silentMs = (name: string) => waits?.find(({ who }) => who === name)?.silentMs;
    expect([silentMs("proxy-1"), silentMs("proxy-2")]).toEqual([10, 3_110]);
  });
});

describe("screenOf()", () => {
  it("draws what status prints, older by what has passed, cut to the screen", () => {
    const view = waiting().machine.view(10_000)!;
    const screen = screenOf(view, 1_000, { rows: 9, columns: 60 });
    expect(screen.startsWith("\u001b[H")).toBe(true);
    const lines = screen.slice(3).split("\u001b[K\n");
    expect(lines).toHaveLength(9);
    expect(lines[0]).toMatch(/^hello: v1, epoch 6/);
    expect(lines[6]).toMatch(/^… \d+ more$/);
    expect(lines.every((line) => line.length <= 60 + 6)).toBe(true);
    expect(screenOf(view, 1_000, { rows: 0, columns: 0 })).toContain("hello: v1, epoch 6");
  });
});
