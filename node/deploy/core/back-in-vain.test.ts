// Back in vain: rollouts that go back past a proxy that is silent, on hosts without gates: it may send to what serves until it says that it
// does not.

import { describe, expect, it } from "vitest";
import { type AppRecord, type DeploySpec, memberName } from "../../../mesh/index.ts";
import { specOf } from "../testing/specs.ts";
import { World } from "../testing/world.ts";

const TIMES = { drainTimeoutMs: 30_000, waitTimeoutMs: 60_000 };

function recordOf({ committed }: World): AppRecord {
  if (committed === null) throw new Error("nothing was committed");
  return committed.record;
}

/** A new release serves, and no answer of one proxy comes to that. */
function served(deploy: DeploySpec): World {
  const world = new World({ hosts: 2, proxies: 2 });
  world.submit(specOf("hello", { deploy: { ...TIMES, strategy: "immediate" } }), "1");
  world.cooperate();
  world.submit(specOf("hello", { deploy, command: ["node", "2"] }), "2");
  const isServing = () =>
    recordOf(world).vms.some(({ release, phase }) => release === 2 && phase === "serving");
  for (let round = 0; !isServing(); round += 1) {
    if (round > 20) throw new Error(world.machine.describe());
    world.heal();
  }
  world.apply(memberName("proxy-2"));
  world.silent.add(memberName("proxy-2"));
  return world;
}

describe("going back without gates, past a proxy that is silent", () => {
  it.each<DeploySpec>([
    { ...TIMES, strategy: "handoff" },
    { ...TIMES, strategy: "immediate", cutover: "atomic" },
  ])("by $strategy ends where it can, and holds nothing then", (deploy) => {
    const world = served(deploy);
    world.cooperate();
    const { rollout, hold, vms } = recordOf(world);
    expect({ state: rollout?.state, hold }).toEqual({ state: "failed", hold: undefined });
    const serving = vms.filter(({ phase }) => phase === "serving");
    expect(serving.map(({ release }) => release)).toEqual([2]);
  });
});
