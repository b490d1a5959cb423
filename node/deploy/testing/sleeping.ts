// Sleeping: an app of one VM that may sleep, in a world of its own, for tests of what puts it to sleep and wakes it.

import assert from "node:assert/strict";
import { type AppRecord, appName, type DeploySpec, memberName, type VmEntry } from "../../../mesh/index.ts";
import { specOf } from "./specs.ts";
import { World } from "./world.ts";

const app = appName("hello");
export const ENDED: Partial<VmEntry> = { state: "failed", reason: "it ended" };
export const HANDOFF: DeploySpec = { strategy: "handoff", drainTimeoutMs: 30_000, waitTimeoutMs: 60_000 };

/** An app of one VM that has run for long enough. */
export function awake(deploy?: DeploySpec): World {
  const world = new World({ hosts: 2, proxies: 2, isGated: true });
  const given = deploy === undefined ? {} : { deploy };
  world.submit(specOf("hello", { idle: { afterMs: 5_000 }, ...given }), "1");
  world.cooperate();
  world.pass(60_000);
  return world;
}

export function asleep(deploy?: DeploySpec): World {
  const world = awake(deploy);
  quiet(world);
  world.cooperate();
  const { vms, hold, rollout } = recordOf(world);
  assert.deepEqual([vms, hold?.by, rollout?.kind], [[], "idle", "sleep"]);
  return world;
}

export function recordOf({ committed }: World): AppRecord {
  if (committed === null) throw new Error("nothing was committed");
  return committed.record;
}

export function quiet(world: World, proxies: readonly string[] = ["proxy-1", "proxy-2"]): void {
  for (const proxy of proxies)
    world.feed({ kind: "demand", proxy: memberName(proxy), demand: { app, wanted: 0, quietMs: 9_000 } });
}

export function wanted(world: World): void {
  const demand = { app, wanted: 1, quietMs: null };
  world.feed({ kind: "demand", proxy: memberName("proxy-1"), demand });
}
