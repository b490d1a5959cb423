// What a bluegreen or a pinned deploy kept of the old release, once its time is over: whoever looks at the deploy only then, since who drove
// it died in its last commit, sees it leave, and a deploy that ended well.

import { expect, it } from "vitest";
import { type DeploySpec, vmName } from "../../../mesh/index.ts";
import { exitCodeOf } from "../../cli/exit-code.ts";
import { specOf } from "../testing/specs.ts";
import { World } from "../testing/world.ts";

const TIMES = { drainTimeoutMs: 30_000, waitTimeoutMs: 60_000 };
const KEEP_MS = 1_000;
const BLUEGREEN: DeploySpec = { ...TIMES, strategy: "bluegreen", keepOldMs: KEEP_MS };
const PINNED: DeploySpec = { ...TIMES, strategy: "immediate", cutover: "pinned", pinMaxAgeMs: KEEP_MS };

/** At the commit that ends the second deploy, which nobody has acknowledged yet. */
function atEnd(deploy = BLUEGREEN): World {
  const world = new World({ hosts: 2, proxies: 2, isGated: true });
  world.submit(specOf("hello", { deploy }), "hash-1");
  world.cooperate();
  world.submit(specOf("hello", { deploy }), "hash-2");
  for (let round = 0; world.committed?.record.rollout?.state === "running"; round += 1) {
    if (round > 20) throw new Error(world.machine.describe());
    world.heal();
  }
  return world;
}

function viewOf(world: World) {
  const view = world.machine.view(world.nowMs);
  if (view?.rollout == null) throw new Error("it was deployed");
  return { ...view, rollout: view.rollout };
}

it.each([
  { of: "bluegreen", deploy: BLUEGREEN },
  { of: "pinned", deploy: PINNED },
])("is nothing that the deploy did not end without ($of)", ({ deploy }) => {
  const world = atEnd(deploy);
  world.pass(KEEP_MS);
  const { rollout, leftovers } = viewOf(world);
  expect(leftovers).toMatchObject([{ who: "hello-v1-1", wasKept: true, forMs: 0 }]);
  expect(leftovers[0]?.what).toContain("has not closed hello-v1-1 at its gate");
  expect(exitCodeOf(rollout, leftovers)).toBe(0);
});

it("is never the release that serves, which an app that was stopped is taken back to", () => {
  const world = atEnd();
  world.pass(KEEP_MS);
  world.cooperate();
  world.stopVm(vmName("hello-v2-1"));
  world.cooperate();
  expect(viewOf(world)).toMatchObject({ release: "v2", vms: [] });
  world.rollback(2);
  world.cooperate();
  expect(viewOf(world)).toMatchObject({ rollout: { state: "succeeded", from: 2, to: 2 }, kept: null });
});

it("is forgotten once a person stopped the last of it", () => {
  const world = atEnd();
  world.cooperate();
  expect(viewOf(world).kept).toMatchObject({ release: "v1" });
  world.stopVm(vmName("hello-v1-1"));
  world.cooperate();
  expect(viewOf(world)).toMatchObject({ kept: null, vms: [{ vm: "hello-v2-1" }] });
  expect(world.committed?.record).not.toHaveProperty("kept");
});

it("is left over since then, and until all have answered", () => {
  const world = atEnd();
  world.pass(KEEP_MS - 1);
  expect(viewOf(world)).toMatchObject({ leftovers: [], kept: { release: "v1", forMs: 1 } });
  world.pass(251);
  expect(viewOf(world)).toMatchObject({ leftovers: [{ who: "hello-v1-1", forMs: 250 }], kept: null });
  world.cooperate();
  expect(viewOf(world)).toMatchObject({ leftovers: [], vms: [{ vm: "hello-v2-1" }] });
});
