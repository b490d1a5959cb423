import { describe, expect, test } from "vitest";
import { type AppRecord, appName, type DeploySpec, memberName, vmName } from "../../../mesh/index.ts";
import { specOf } from "../testing/specs.ts";
import { HEALTHY } from "../testing/vm-states.ts";
import { World } from "../testing/world.ts";
import { heldByPerson, releasedByPerson } from "./person-hold.ts";
import { submitRestart, submitScale } from "./submit-scale.ts";

const app = appName("hello");
const HANDOFF: DeploySpec = { strategy: "handoff", drainTimeoutMs: 30_000, waitTimeoutMs: 60_000 };

/** An app of one VM that has run for long enough. */
function awake(deploy?: DeploySpec): World {
  const world = new World({ hosts: 2, proxies: 2, isGated: true });
  const given = deploy === undefined ? {} : { deploy };
  world.submit(specOf("hello", { idle: { afterMs: 5_000 }, ...given }), "1");
  world.cooperate();
  world.pass(60_000);
  return world;
}

function asleep(deploy?: DeploySpec): World {
  const world = awake(deploy);
  quiet(world);
  world.cooperate();
  expect(recordOf(world)).toMatchObject({ vms: [], hold: { by: "idle" }, rollout: { kind: "sleep" } });
  return world;
}

function recordOf({ committed }: World): AppRecord {
  if (committed === null) throw new Error("nothing was committed");
  return committed.record;
}

function quiet(world: World, proxies: readonly string[] = ["proxy-1", "proxy-2"]): void {
  for (const proxy of proxies)
    world.feed({ kind: "demand", proxy: memberName(proxy), demand: { app, wanted: 0, quietMs: 9_000 } });
}

function wanted(world: World): void {
  const demand = { app, wanted: 1, quietMs: null };
  world.feed({ kind: "demand", proxy: memberName("proxy-1"), demand });
}

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
    expect(recordOf(world).vms).toMatchObject([{ vm: "hello-v1-2", host: "host-2", phase: "starting" }]);
  });

  test("is woken by a person who scales it, and then by a request with as many VMs", () => {
    const world = asleep();
    expect(submitRestart(world.committed, app, world.machine.context(world.nowMs))).toMatchObject({
      code: "invalid",
    });
    world.ask((at, context) => submitScale(at, { app, count: 2 }, context));
    world.cooperate();
    expect(recordOf(world).vms).toHaveLength(2);
    expect(recordOf(world).hold).toBeUndefined();
    world.pass(60_000);
    quiet(world);
    world.cooperate();
    wanted(world);
    expect(recordOf(world).vms.map(({ phase }) => phase)).toEqual(["starting", "starting"]);
  });

  test("and is destroyed leaves nothing", () => {
    const world = asleep();
    world.destroy();
    world.cooperate();
    expect(recordOf(world)).toMatchObject({ deleted: true, hostnames: [] });
    expect(recordOf(world).hold).toBeUndefined();
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
    expect(recordOf(world).vms).toMatchObject([{ vm: "hello-v1-2", phase: "starting" }]);
    world.say(vmName("hello-v1-2"), HEALTHY);
    expect(recordOf(world).hold).toBeUndefined();
  });
});
