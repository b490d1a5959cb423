import { describe, expect, test } from "vitest";
import { appName, type DesiredVm, memberName, vmName } from "../../../mesh/index.ts";
import { answerAll } from "../testing/answer-all.ts";
import { asleep, awake, ENDED, HANDOFF, quiet, recordOf, wanted } from "../testing/sleeping.ts";
import { specOf } from "../testing/specs.ts";
import { HEALTHY, PREPARED } from "../testing/vm-states.ts";
import { World } from "../testing/world.ts";
import { withHoldAtEnd } from "./idle-hold.ts";
import { submitMove } from "./move.ts";
import { submitScale } from "./submit-scale.ts";

describe("an app of three VMs that is woken", () => {
  /** Its VMs ran on three hosts. */
  function woken(): World {
    const world = new World({ hosts: 3, proxies: 2, isGated: true });
    world.submit(specOf("hello", { count: 3, idle: { afterMs: 90_000 } }), "1");
    world.cooperate();
    world.pass(120_000);
    quietFor(world, 100_000);
    world.cooperate();
    expect(recordOf(world)).toMatchObject({ vms: [], hold: { by: "idle" } });
    wanted(world);
    expect(recordOf(world).vms.map(({ phase }) => phase)).toEqual(["opening", "opening", "opening"]);
    return world;
  }

  function quietFor(world: World, quietMs: number): void {
    for (const proxy of ["proxy-1", "proxy-2"]) world.demand(memberName(proxy), { wanted: 0, quietMs });
  }

  function nameOn(world: World, host: string): DesiredVm["vm"] {
    const placed = recordOf(world).vms.find((vm) => vm.host === host && vm.phase === "opening");
    if (placed === undefined) throw new Error(`nothing starts on ${host}`);
    return placed.vm;
  }

  /** The one on host-3 cannot be started, before the others run. */
  function partOf(world: World): void {
    world.say(nameOn(world, "host-3"), ENDED);
    expect(recordOf(world).rollout?.state).toBe("running");
    world.say(nameOn(world, "host-1"), HEALTHY);
    world.say(nameOn(world, "host-2"), HEALTHY);
  }

  test("serves by those that came to run, and starts the rest a while later, as often as it takes", () => {
    const world = woken();
    partOf(world);
    const part = { vms: [{ phase: "serving" }, { phase: "serving" }] };
    expect(recordOf(world)).toMatchObject({ ...part, rollout: { kind: "wake", state: "failed" } });
    expect(recordOf(world).hold).toBeUndefined();
    world.pass(59_000);
    expect(recordOf(world)).toMatchObject(part);
    world.pass(1_000);
    world.say(nameOn(world, "host-3"), ENDED);
    expect(recordOf(world)).toMatchObject({ ...part, rollout: { kind: "wake", state: "failed" } });
    world.pass(60_000);
    world.cooperate();
    expect(recordOf(world).vms.map(({ phase }) => phase)).toEqual(["serving", "serving", "serving"]);
    expect(recordOf(world).rollout).toMatchObject({ kind: "wake", state: "succeeded" });
  });

  test("and of which a part serves falls asleep as any other, and is woken with three again", () => {
    const world = woken();
    partOf(world);
    quietFor(world, 100_000);
    world.cooperate();
    expect(recordOf(world)).toMatchObject({ vms: [], rollout: { kind: "sleep", state: "succeeded" } });
    wanted(world);
    expect(recordOf(world).vms).toHaveLength(3);
  });

  test("serves by those that run once the wait is over, if another one never says anything", () => {
    const world = woken();
    world.say(nameOn(world, "host-1"), HEALTHY);
    for (let passed = 0; recordOf(world).hold !== undefined; passed += 1) {
      expect(passed).toBeLessThan(10);
      world.pass(60_000);
    }
    const phases = () => recordOf(world).vms.map(({ host, phase }) => `${host} ${phase}`);
    // A proxy may have heard that they are well.
    expect(phases()).toEqual(["host-1 serving", "host-2 cordoned", "host-3 cordoned"]);
    world.cooperate();
    expect(phases()).toEqual(["host-1 serving"]);
  });

  test("does not wait for a host that dies: its VM is started elsewhere", () => {
    const world = woken();
    for (const host of ["host-1", "host-2", "host-3"])
      if (host !== "host-2") world.say(nameOn(world, host), HEALTHY);
    world.hostDies(memberName("host-2"));
    // A proxy may hear that host, and that its VM is well.
    expect(recordOf(world).vms.map(({ phase }) => phase)).toEqual(["serving", "cordoned", "serving"]);
    world.pass(60_000);
    world.cooperate();
    expect(recordOf(world).vms.map(({ host, phase }) => [host, phase])).toEqual([
      ["host-1", "serving"],
      ["host-3", "serving"],
      ["host-1", "serving"],
    ]);
  });

  test("starts as many as there is room for, and the rest when there is more", () => {
    const world = woken();
    partOf(world);
    quietFor(world, 100_000);
    world.cooperate();
    const room = new Map([
      ["host-1", 1],
      ["host-2", 1],
    ]);
    const roomFor = (more: ReadonlyMap<string, number>) =>
      world.feed({
        kind: "hosts",
        hosts: [...more].map(([host, capacity]) => {
          const vms = recordOf(world).vms.filter((vm) => vm.host === host).length;
          return { host: memberName(host), open: true, hasGate: true, vms, capacity };
        }),
      });
    roomFor(room);
    wanted(world);
    expect(recordOf(world).vms).toMatchObject([{ host: "host-1" }, { host: "host-2" }]);
    for (const { vm } of recordOf(world).vms) world.say(vm, HEALTHY);
    roomFor(room);
    answerAll(world);
    expect(recordOf(world)).toMatchObject({
      vms: [{ phase: "serving" }, { phase: "serving" }],
      rollout: { kind: "wake", state: "failed", reason: { code: "no-host" } },
    });
    world.pass(120_000);
    expect(recordOf(world).vms).toHaveLength(2);
    roomFor(new Map([...room, ["host-3", 1]]));
    expect(recordOf(world).vms).toHaveLength(3);
  });
});

describe("an app whose VM starts on a host that dies", () => {
  test("is woken elsewhere at once", () => {
    const world = asleep();
    wanted(world);
    const [started] = recordOf(world).vms;
    world.hostDies(started?.host ?? memberName("none"));
    expect(recordOf(world)).toMatchObject({
      vms: [{ phase: "cordoned" }],
      hold: { by: "idle" },
      rollout: { state: "failed" },
    });
    world.pass(500);
    wanted(world);
    expect(recordOf(world).vms).toMatchObject([{ phase: "cordoned" }, { phase: "opening" }]);
    expect(recordOf(world).vms[1]?.host).not.toBe(started?.host);
  });

  test("is not, if it never runs twice, until a person says that this host is off", () => {
    const world = asleep(HANDOFF);
    world.confirming.confirm = true;
    world.membersChanged();
    wanted(world);
    const host = recordOf(world).vms[0]?.host ?? memberName("none");
    world.hostDies(host);
    world.pass(500);
    wanted(world);
    const elsewhere = () => recordOf(world).vms.filter((vm) => vm.host !== host);
    expect(recordOf(world)).toMatchObject({
      vms: [{ host, phase: "cordoned" }],
      rollout: { state: "running" },
    });
    world.pass(60_000);
    wanted(world);
    expect(elsewhere()).toEqual([]);
    world.fence(host);
    world.pass(60_000);
    wanted(world);
    expect(elsewhere()).toMatchObject([{ phase: "opening" }]);
  });

  test("with a lease is started elsewhere once that is over, though its gate never said that it closed what turned unhealthy", () => {
    const world = new World({ hosts: 2, proxies: 2, isGated: true });
    world.confirming.confirm = true;
    world.membersChanged();
    const idle = { afterMs: 5_000 };
    world.submit(specOf("hello", { deploy: HANDOFF, idle, fence: { leaseMs: 10_000 } }), "1");
    world.cooperate();
    world.pass(60_000);
    quiet(world);
    world.cooperate();
    wanted(world);
    const [started] = recordOf(world).vms;
    if (started === undefined) throw new Error("nothing was started");
    world.say(started.vm, { state: "running", health: "unhealthy" });
    expect(recordOf(world).vms).toMatchObject([{ phase: "cordoned" }]);
    world.hostDies(started.host);
    for (let tries = 0; recordOf(world).vms.length > 0; tries += 1) {
      expect(tries).toBeLessThan(10);
      world.pass(30_000);
      wanted(world);
    }
    // Its watchdog has, though nobody hears of that.
    world.confirming.ended.add(started.vm);
    for (let tries = 0; recordOf(world).vms.length === 0; tries += 1) {
      expect(tries).toBeLessThan(10);
      world.pass(30_000);
      wanted(world);
    }
    expect(recordOf(world).vms).toMatchObject([{ phase: "opening" }]);
    expect(recordOf(world).vms[0]?.host).not.toBe(started.host);
  });
});

test("a scale of an app that never runs twice, said while its one VM is woken or moved, joins that: its requests wait until the VM is well", () => {
  const scaled = (world: World) =>
    world.ask((at, context) => submitScale(at, { app: appName("hello"), count: 1 }, context));
  const woken = asleep(HANDOFF);
  wanted(woken);
  expect(recordOf(woken)).toMatchObject({ vms: [{ phase: "opening" }], hold: { by: "idle" } });
  expect(scaled(woken)).toMatchObject({ code: "joined", rollout: { kind: "wake" } });
  expect(recordOf(woken)).toMatchObject({ vms: [{ phase: "opening" }], hold: { by: "idle" } });
  woken.cooperate();
  expect(recordOf(woken)).toMatchObject({ vms: [{ phase: "serving" }], rollout: { kind: "wake" } });

  const moved = awake(HANDOFF);
  const [before] = recordOf(moved).vms;
  const host = before?.host ?? memberName("none");
  moved.draining.add(host);
  moved.membersChanged();
  moved.ask((at, context) => submitMove(at, { app: appName("hello"), host }, context));
  moved.say(vmName("hello-v1-2"), PREPARED);
  answerAll(moved);
  moved.gone(vmName("hello-v1-1"));
  expect(recordOf(moved)).toMatchObject({ vms: [{ phase: "opening" }], hold: { by: "rollout" } });
  expect(scaled(moved)).toMatchObject({ code: "joined", rollout: { kind: "move" } });
  moved.cooperate();
  expect(recordOf(moved).vms).toMatchObject([{ phase: "serving" }]);
  expect(recordOf(moved).vms[0]?.host).not.toBe(host);
});

describe("an app that may sleep, and of which nothing serves", () => {
  test.each([
    ["restart", true],
    ["move", true],
    ["repair", true],
    ["stop", false],
    ["destroy", false],
  ] as const)("after a %s sleeps: %s", (kind, sleeps) => {
    const record = recordOf(awake());
    const rollout = record.rollout === null ? null : { ...record.rollout, kind };
    expect(withHoldAtEnd({ ...record, vms: [], rollout }, 1).hold).toEqual(
      sleeps ? { by: "idle", atMs: 1 } : undefined,
    );
  });
});
