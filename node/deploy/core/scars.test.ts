// What broke in others' deploys, each as a test (docs/scars.md).

import { describe, expect, it } from "vitest";
import { type DeploySpec, type VmState, vmName } from "../../../mesh/index.ts";
import { specOf } from "../testing/specs.ts";
import { HEALTHY } from "../testing/vm-states.ts";
import { World } from "../testing/world.ts";

const WAIT_TIMEOUT_MS = 60_000;
const DAY_MS = 86_400_000;
const MANUAL: DeploySpec = {
  ...{ strategy: "bluegreen", approval: "manual" },
  ...{ drainTimeoutMs: 30_000, waitTimeoutMs: WAIT_TIMEOUT_MS },
};

function ackAll(world: World): void {
  for (const name of world.proxies.keys()) {
    world.apply(name);
    world.answer(name);
    world.deliver(name);
  }
}

/** `count` VMs of v1 serve, and a deploy of v2 has begun. */
function deploying(count: number, deploy?: DeploySpec): World {
  const world = new World({ hosts: 3, proxies: 2 });
  world.submit(specOf("hello", { count }), "hash-1");
  world.cooperate();
  world.submit(specOf("hello", { count, ...(deploy === undefined ? {} : { deploy }) }), "hash-2");
  return world;
}

function serving(world: World): readonly string[] {
  const vms = world.committed?.record.vms ?? [];
  return vms.filter(({ phase }) => phase === "serving").map(({ vm }) => vm);
}

describe("a deploy", () => {
  it("whose new VM is never heard of goes back at the wait timeout, and is not waited for any longer", () => {
    const world = deploying(1);
    world.pass(WAIT_TIMEOUT_MS - 1);
    expect(world.committed?.record.rollout).toMatchObject({ state: "running", direction: "forward" });
    world.pass(1);
    expect(world.committed?.record.rollout).toMatchObject({
      direction: "back",
      reason: { code: "wait-timeout" },
    });
    world.cooperate();
    expect(world.committed?.record.rollout?.state).toBe("rolled-back");
    expect(serving(world)).toEqual(["hello-v1-1"]);
  });

  it("has its whole wait timeout after a person promoted it, however long that person took", () => {
    const world = deploying(1, MANUAL);
    world.say(vmName("hello-v2-1"), HEALTHY);
    ackAll(world);
    world.pass(DAY_MS);
    expect(world.committed?.record.rollout?.step?.kind).toBe("approve");
    world.promote();
    expect(world.committed?.record.rollout?.step?.kind).toBe("flip");
    world.pass(WAIT_TIMEOUT_MS - 1);
    expect(world.committed?.record.rollout).toMatchObject({ state: "running", direction: "forward" });
    ackAll(world);
    world.cooperate();
    expect(world.committed?.record.rollout?.state).toBe("succeeded");
  });

  it.each(["preparing", "stopping", "exited", "failed"] satisfies readonly VmState[])(
    "takes no VM for healthy that is %s, whatever is said of its health",
    (state) => {
      const world = deploying(1);
      world.say(vmName("hello-v2-1"), { ...HEALTHY, state });
      ackAll(world);
      expect(serving(world)).toEqual(["hello-v1-1"]);
      const { history = [] } = world.committed?.record.rollout ?? {};
      expect(history.filter(({ outcome }) => outcome.startsWith("healthy"))).toEqual([]);
    },
  );

  it("takes out no more old VMs while the new one in their place dies, and has all of the old serve again", () => {
    const world = deploying(3);
    const replaced = () => world.committed?.record.rollout?.history.some(({ kind }) => kind === "stop");
    for (let round = 0; round < 20 && replaced() !== true; round += 1) {
      for (const { vm, phase } of world.committed?.record.vms ?? [])
        if (phase === "starting") world.say(vm, HEALTHY);
      const named = new Set(world.committed?.record.vms.map(({ vm }) => vm));
      for (const vm of [...world.entries.keys()]) if (!named.has(vm)) world.gone(vm);
      ackAll(world);
    }
    expect(serving(world)).toHaveLength(3);
    world.say(vmName("hello-v2-1"), { state: "exited", health: "unknown", exit: { code: 1, signal: null } });
    expect(world.committed?.record.rollout?.direction).toBe("back");
    const old = () => serving(world).filter((vm) => vm.startsWith("hello-v1-"));
    expect(old()).toHaveLength(2);
    world.cooperate();
    expect(world.committed?.record.rollout?.state).toBe("rolled-back");
    expect(old()).toHaveLength(3);
    expect(serving(world)).toHaveLength(3);
  });
});
