import { describe, expect, it } from "vitest";
import { memberName, vmName } from "../../../mesh/index.ts";
import { specOf } from "../testing/specs.ts";
import { HEALTHY } from "../testing/vm-states.ts";
import { World } from "../testing/world.ts";

function ackAll(world: World): void {
  for (const name of world.proxies.keys()) {
    world.apply(name);
    world.answer(name);
    world.deliver(name);
  }
}

/** v1 of "hello" serves; a deploy of `hostnames` is at its cordon step. */
function cordoning(hostnames: readonly string[] = ["a.test"]): World {
  const world = new World({ hosts: 2, proxies: 2 });
  world.submit(specOf("hello", { hostnames: ["a.test"] }), "hash-1");
  world.cooperate();
  world.submit(specOf("hello", { hostnames }), "hash-2");
  world.say(vmName("hello-v2-1"), HEALTHY);
  ackAll(world);
  expect(world.committed?.record.rollout?.step?.kind).toBe("cordon");
  return world;
}

describe("a cordon step of a deploy", () => {
  it("waits until each proxy reached the new VMs, also one that started again since they serve", () => {
    const world = cordoning();
    const epoch = world.committed?.epoch ?? 0;
    const [first, second] = [memberName("proxy-1"), memberName("proxy-2")];
    world.apply(first);
    world.answer(first);
    world.deliver(first);
    world.apply(second);
    const none = { inFlight: [], cut: [], lastDispatch: [], applyMs: 1 };
    const nack = { epoch, reason: "cannot dial hello-v2-1" };
    const ack = {
      app: world.committed?.record.app ?? ("" as never),
      applied: epoch,
      verified: 0,
      nack,
      ...none,
    };
    world.feed({ kind: "ack", proxy: second, ack });
    const waiting = world.machine.view(world.nowMs)?.rollout?.step?.waitingFor;
    expect(waiting).toMatchObject([
      { who: second, what: `to verify epoch ${epoch}: cannot dial hello-v2-1` },
    ]);
    world.feed({ kind: "ack", proxy: second, ack: { ...ack, verified: epoch, nack: null } });
    expect(world.committed?.record.rollout?.step?.kind).toBe("stop");
  });
});

describe("a stop step", () => {
  it("says when the host that shall stop the VM is not connected", () => {
    const world = cordoning();
    const host = world.committed?.record.vms.find((vm) => vm.vm === "hello-v1-1")?.host;
    world.say(vmName("hello-v1-1"), HEALTHY);
    if (host !== undefined) world.hosts.delete(host);
    world.membersChanged();
    ackAll(world);
    expect(world.machine.view(world.nowMs)?.rollout?.step).toMatchObject({
      kind: "stop",
      waitingFor: [{ who: "hello-v1-1", what: `to be gone on ${host} (its host ${host} is not connected)` }],
    });
  });
});

describe("what cannot be committed", () => {
  it("is said with the reason, until it can be", () => {
    const world = cordoning();
    world.isHoldingSwaps = true;
    ackAll(world);
    const reason = "cannot commit: no majority of the voters answers: host-2, host-3 missing";
    world.feed({ kind: "stalled", reason });
    expect(world.machine.view(world.nowMs)?.rollout?.stalled).toBe(reason);
    expect(world.machine.describe()).toContain(reason);
    if (world.held !== null) world.carryOut(world.held);
    expect(world.machine.view(world.nowMs)?.rollout).toMatchObject({ stalled: null, step: { kind: "stop" } });
  });
});

describe("the hostnames of an app", () => {
  it("are those of both releases while a deploy runs, then those of the new one", () => {
    const world = cordoning(["b.test"]);
    expect(world.committed?.record.hostnames).toEqual(["a.test", "b.test"]);
    world.cooperate();
    expect(world.committed?.record).toMatchObject({ hostnames: ["b.test"], rollout: { state: "succeeded" } });
  });

  it("are those of the old one again after a rollback", () => {
    const world = cordoning(["b.test"]);
    world.say(vmName("hello-v2-1"), { health: "unhealthy" });
    world.cooperate();
    expect(world.committed?.record).toMatchObject({
      hostnames: ["a.test"],
      rollout: { state: "rolled-back" },
    });
  });

  it("stay those of a new release that still serves because the old one could not come back", () => {
    const world = cordoning(["b.test"]);
    ackAll(world);
    expect(world.committed?.record.rollout?.step?.kind).toBe("stop");
    world.say(vmName("hello-v2-1"), { state: "exited", exit: { code: 1, signal: null } });
    for (let minute = 0; minute < 10; minute += 1) world.pass(60_000);
    const record = world.committed?.record;
    expect(record?.rollout?.state).toBe("failed");
    expect(record?.vms).toMatchObject([{ vm: "hello-v2-1", phase: "serving" }]);
    expect(record?.hostnames).toEqual(["a.test", "b.test"]);
  });
});
