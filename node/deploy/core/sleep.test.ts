import { describe, expect, test } from "vitest";
import { type AppRecord, appName, memberName, vmName } from "../../../mesh/index.ts";
import { asleep, awake, ENDED, HANDOFF, quiet, recordOf, wanted } from "../testing/sleeping.ts";
import { specOf } from "../testing/specs.ts";
import { HEALTHY } from "../testing/vm-states.ts";
import { World } from "../testing/world.ts";
import { heldByPerson, releasedByPerson } from "./person-hold.ts";
import { submitRestart, submitScale } from "./submit-scale.ts";

const app = appName("hello");

/** Somebody commits it beside the machine. */
function commit(world: World, next: AppRecord): void {
  world.carryOut({ kind: "swap", expectedEpoch: world.committed?.epoch ?? 0, next, why: "" });
}

function changed(change: ReturnType<typeof heldByPerson>): AppRecord {
  if (change.code !== "changed") throw new Error(change.message);
  return change.record;
}

describe("an app that nobody asks for", () => {
  test("stays awake while a proxy that is registered says nothing, and sleeps once that one is excluded", () => {
    const world = awake();
    quiet(world, ["proxy-1"]);
    expect(recordOf(world).rollout?.kind).toBe("deploy");
    world.exclude(memberName("proxy-2"), "exclude");
    quiet(world, ["proxy-1"]);
    expect(recordOf(world).rollout?.kind).toBe("sleep");
  });

  test("says what keeps it awake", () => {
    const fresh = new World({ hosts: 2, proxies: 2, isGated: true });
    fresh.submit(specOf("hello", { idle: { afterMs: 3_600_000 } }), "1");
    fresh.cooperate();
    expect(fresh.machine.view(fresh.nowMs)?.idle?.awake).toBe("its last rollout ended not long ago");
    const world = awake();
    const awakeBy = () => world.machine.view(world.nowMs)?.idle;
    quiet(world, ["proxy-1"]);
    expect(awakeBy()).toEqual({
      afterMs: 5_000,
      awake: "proxy-2 got requests for hello since, or cannot be heard",
    });
    world.say(vmName("hello-v1-1"), { health: "unhealthy" });
    expect(awakeBy()?.awake).toBe("hello-v1-1 is not well");
    world.say(vmName("hello-v1-1"), HEALTHY);
    quiet(world);
    world.cooperate();
    expect(awakeBy()).toEqual({ afterMs: 5_000, awake: null });
  });

  test("stays awake where no proxy is registered", () => {
    const world = awake();
    for (const proxy of world.proxies.values()) Object.assign(proxy, { registered: false });
    world.membersChanged();
    quiet(world);
    expect(recordOf(world).rollout?.kind).toBe("deploy");
  });

  test.each([
    ["its VM is not well", (world: World) => world.say(vmName("hello-v1-1"), { health: "unhealthy" })],
    ["its host is dead", (world: World) => world.hostDies(memberName("host-1"))],
    [
      "a person holds its requests",
      (world: World) => commit(world, changed(heldByPerson(recordOf(world), 1))),
    ],
  ])("stays awake while %s", (_why, happens) => {
    const world = awake();
    happens(world);
    quiet(world);
    expect(recordOf(world).rollout?.kind).toBe("deploy");
  });
});

describe("an app that sleeps", () => {
  test("is not woken while a person holds its requests, and sleeps on when they are released", () => {
    const world = asleep();
    commit(world, changed(heldByPerson(recordOf(world), 1)));
    wanted(world);
    expect(recordOf(world).vms).toEqual([]);
    world.pass(5_000);
    commit(world, changed(releasedByPerson(recordOf(world))));
    expect(recordOf(world)).toMatchObject({ hold: { by: "idle" }, vms: [] });
    expect(releasedByPerson(recordOf(world))).toMatchObject({
      message: "hello sleeps: a request wakes it, and is sent on then",
    });
    wanted(world);
    expect(recordOf(world).rollout?.kind).toBe("wake");
  });

  test("that no host can run says so, and wakes as soon as one can", () => {
    const world = asleep();
    for (const host of [...world.hosts]) world.hostDies(host);
    wanted(world);
    expect(world.machine.view(world.nowMs)?.rollout?.stalled).toContain("to be placed: no host");
    world.hostBack(memberName("host-2"), { isNew: false });
    expect(recordOf(world).vms).toMatchObject([{ vm: "hello-v1-2", host: "host-2", phase: "opening" }]);
  });

  test("is woken by a person who scales it, and then by a request with as many VMs", () => {
    const world = asleep();
    world.ask((at, context) => submitScale(at, { app, count: 2 }, context));
    world.cooperate();
    expect(recordOf(world).vms).toHaveLength(2);
    expect(recordOf(world).hold).toBeUndefined();
    world.pass(60_000);
    quiet(world);
    world.cooperate();
    wanted(world);
    expect(recordOf(world).vms.map(({ phase }) => phase)).toEqual(["opening", "opening"]);
  });

  test("is woken where it ran, though another host has less to do, and elsewhere if that one is gone", () => {
    for (const isGone of [false, true]) {
      const world = awake();
      const ran = recordOf(world).vms[0]?.host ?? memberName("none");
      world.hosts.add(memberName("host-0"));
      world.membersChanged();
      quiet(world);
      world.cooperate();
      expect(recordOf(world).hold).toMatchObject({ ranOn: [ran] });
      if (isGone) world.hostDies(ran);
      wanted(world);
      expect(recordOf(world).vms).toMatchObject([{ host: isGone ? "host-0" : ran }]);
    }
  });

  test("has nothing to restart, and no share to give, and says so; it goes back to the release before as any other", () => {
    const world = awake();
    world.submit(specOf("hello", { idle: { afterMs: 5_000 } }), "2");
    world.cooperate();
    world.pass(60_000);
    quiet(world);
    world.cooperate();
    expect(submitRestart(world.committed, app, world.machine.context(world.nowMs))).toEqual({
      code: "unchanged",
      message: "hello sleeps: what a request wakes is a new VM",
    });
    expect(world.traffic([{ release: 2, weight: 100 }])).toEqual({
      code: "invalid",
      message: 'hello sleeps, no VM of it runs: "grapevine scale hello 1" wakes it',
    });
    world.rollback(null);
    world.cooperate();
    expect(recordOf(world)).toMatchObject({ current: 1, vms: [{ release: 1, phase: "serving" }] });
    expect(recordOf(world).hold).toBeUndefined();
  });

  test("is woken elsewhere while its host is drained", () => {
    const world = asleep();
    const [ran] = recordOf(world).hold?.ranOn ?? [];
    world.draining.add(ran ?? memberName("none"));
    world.membersChanged();
    wanted(world);
    expect(recordOf(world).vms).toHaveLength(1);
    expect(recordOf(world).vms[0]?.host).not.toBe(ran);
  });

  test("makes room for a deploy while it wakes in vain", () => {
    const world = asleep();
    wanted(world);
    expect(recordOf(world).rollout).toMatchObject({ kind: "wake", state: "running" });
    expect(world.submit(specOf("hello", { idle: { afterMs: 5_000 } }), "2").code).toBe("begin");
    world.cooperate();
    expect(recordOf(world)).toMatchObject({ current: 2, vms: [{ release: 2, phase: "serving" }] });
  });

  test("and is destroyed leaves nothing", () => {
    const world = asleep();
    world.destroy();
    world.cooperate();
    expect(recordOf(world)).toMatchObject({ deleted: true, hostnames: [] });
    expect(recordOf(world).hold).toBeUndefined();
  });
});

describe("a new release of an app that sleeps, which fails while it comes to serve", () => {
  /** Its VM is closed, and its host, which would say so, is dead. */
  function closing(): World {
    const world = asleep();
    world.submit(specOf("hello", { idle: { afterMs: 5_000 } }), "2");
    world.say(vmName("hello-v2-1"), HEALTHY);
    expect(recordOf(world).rollout?.step?.kind).toBe("serve");
    world.say(vmName("hello-v2-1"), ENDED);
    world.hostDies(recordOf(world).vms[0]?.host ?? memberName("none"));
    return world;
  }

  test("leaves its requests to the release before it, from the commit on that closes it", () => {
    const world = closing();
    expect(recordOf(world).vms).toMatchObject([{ phase: "cordoned" }]);
    expect(recordOf(world).hold).toMatchObject({ by: "idle" });
    world.cooperate();
    wanted(world);
    expect(recordOf(world)).toMatchObject({ rollout: { kind: "wake" }, vms: [{ vm: "hello-v1-2" }] });
  });

  test("is not forgotten by a wake that fails as well, as long as nobody said that it is closed", () => {
    const world = closing();
    for (let passed = 0; recordOf(world).rollout?.state === "running"; passed += 1) {
      expect(passed).toBeLessThan(10);
      world.pass(60_000);
    }
    wanted(world);
    expect(recordOf(world).vms).toMatchObject([
      { vm: "hello-v2-1", phase: "cordoned" },
      { vm: "hello-v1-2", phase: "opening" },
    ]);
    world.say(vmName("hello-v1-2"), ENDED);
    expect(recordOf(world)).toMatchObject({
      rollout: { kind: "wake", state: "failed" },
      hold: { by: "idle" },
      vms: [{ vm: "hello-v2-1", phase: "cordoned" }],
    });
    world.pass(10_000);
    wanted(world);
    world.cooperate();
    expect(recordOf(world).vms).toMatchObject([{ release: 1, phase: "serving" }]);
  });
});

describe("an app that never runs twice", () => {
  test("is started again only once the VM that falls asleep is gone", () => {
    const world = awake(HANDOFF);
    quiet(world);
    for (const host of world.hosts) world.closeGate(host);
    expect(recordOf(world).rollout?.step?.kind).toBe("stop");
    wanted(world);
    expect(recordOf(world).rollout).toMatchObject({ kind: "sleep", state: "running" });
    world.gone(vmName("hello-v1-1"));
    wanted(world);
    expect(recordOf(world).vms).toMatchObject([{ vm: "hello-v1-2", phase: "opening" }]);
    world.say(vmName("hello-v1-2"), HEALTHY);
    expect(recordOf(world).hold).toBeUndefined();
  });
});
