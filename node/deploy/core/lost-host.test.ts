import { beforeEach, describe, expect, it } from "vitest";
import { type MemberName, memberName, type VmName, vmName } from "../../../mesh/index.ts";
import { specOf } from "../testing/specs.ts";
import { HEALTHY } from "../testing/vm-states.ts";
import { World } from "../testing/world.ts";

const OLD = vmName("hello-v1-1");
const [PROXY, CUT] = [memberName("proxy-1"), memberName("proxy-2")];
/** Above `wait_timeout` and above the time after which a dead host's VMs are replaced. */
const LONG_MS = 61_000;

let world: World;

beforeEach(() => {
  world = new World({ hosts: 3, proxies: 2 });
  world.submit(specOf("hello"), "1");
  world.cooperate();
});

function answer(proxy = PROXY): void {
  world.apply(proxy);
  world.answer(proxy);
  world.deliver(proxy);
}

function phases(): Readonly<Record<VmName, string>> {
  return Object.fromEntries((world.committed?.record.vms ?? []).map(({ vm, phase }) => [vm, phase]));
}

function hostOfOld() {
  return world.committed?.record.vms.find(({ vm }) => vm === OLD)?.host ?? memberName("none");
}

/** The new VM serves, but one proxy never says so; the host of the old one is gone. */
function deployThatCannotEnd(): VmName {
  world.submit(specOf("hello", { command: ["node", "server.js", "healthy", "2"] }), "2");
  const fresh = vmName("hello-v2-1");
  world.hostDies(hostOfOld());
  world.say(fresh, HEALTHY);
  answer();
  return fresh;
}

describe("a rollout that goes back while the host of the old VMs is lost", () => {
  const other = vmName("hello-v1-2");

  it("has another one serve in its place before it takes the new one away", () => {
    const fresh = deployThatCannotEnd();
    world.pass(LONG_MS);
    expect(world.committed?.record.rollout?.direction).toBe("back");
    for (const proxy of [PROXY, CUT]) answer(proxy);
    expect(phases()).toEqual({ [OLD]: "serving", [fresh]: "serving", [other]: "starting" });
    world.say(other, HEALTHY);
    for (const proxy of [PROXY, CUT]) answer(proxy);
    expect(phases()).toEqual({ [OLD]: "cordoned", [fresh]: "cordoned", [other]: "serving" });
    for (const proxy of [PROXY, CUT]) answer(proxy);
    world.gone(fresh);
    expect(world.lines.join()).toContain("hello-v2 rolled-back");
  });

  it("leaves the new VM serving if that does not run: nothing else is known to", () => {
    const fresh = deployThatCannotEnd();
    world.pass(LONG_MS);
    for (const proxy of [PROXY, CUT]) answer(proxy);
    world.pass(LONG_MS);
    // What is lost is replaced then.
    expect(world.lines.join()).toContain("hello-v2 failed");
    expect(world.committed?.record.rollout?.kind).toBe("repair");
    expect(phases()).toMatchObject({ [OLD]: "serving", [fresh]: "serving" });
  });

  it("takes the new VM away once the old one is there again", () => {
    world.submit(specOf("hello"), "2");
    const fresh = vmName("hello-v2-1");
    world.say(fresh, HEALTHY);
    world.pass(LONG_MS / 2);
    world.hostDies(hostOfOld());
    answer();
    expect(world.abort().code).toBe("begin");
    for (const proxy of [PROXY, CUT]) answer(proxy);
    expect(phases()).toEqual({ [OLD]: "serving", [fresh]: "serving" });
    world.hostBack(hostOfOld(), { isNew: false });
    expect(phases()).toEqual({ [OLD]: "serving", [fresh]: "cordoned" });
  });
});

describe("a rollout that goes back while the host of one of two old VMs is lost, and no other host takes one", () => {
  const [lost, fresh] = [vmName("hello-v1-2"), vmName("hello-v2-1")];

  function dies(vm: VmName): void {
    world.hostDies(world.committed?.record.vms.find((one) => one.vm === vm)?.host ?? memberName("none"));
  }

  beforeEach(() => {
    world = new World({ hosts: 3, proxies: 2 });
    world.submit(specOf("hello", { count: 2 }), "1");
    world.cooperate();
    dies(lost);
    world.pass(LONG_MS / 2);
    world.submit(specOf("hello", { count: 2, command: ["node", "2"] }), "2");
    world.say(fresh, HEALTHY);
    for (const host of world.hosts) world.draining.add(host);
    world.membersChanged();
    world.pass(LONG_MS / 2);
  });

  it("takes the new one away for the one that is left, and leaves the lost one to a repair", () => {
    expect(world.abort().code).toBe("begin");
    for (let round = 0; round < 3; round += 1) for (const proxy of [PROXY, CUT]) answer(proxy);
    world.gone(fresh);
    expect(world.lines.join()).toContain("hello-v2 aborted");
    expect(phases()).toEqual({ [OLD]: "serving", [lost]: "serving" });
  });

  it("does so past proxies that are not connected", () => {
    for (const proxy of world.proxies.values()) proxy.connected = false;
    world.membersChanged();
    expect(world.abort().code).toBe("begin");
    expect(world.committed?.record.rollout?.state).toBe("aborted");
    expect(phases()).toEqual({ [OLD]: "serving", [lost]: "serving", [fresh]: "cordoned" });
  });

  it("leaves the new one serving while nothing else is known to, and says so", () => {
    for (const proxy of world.proxies.values()) proxy.connected = false;
    dies(OLD);
    expect(world.abort().code).toBe("begin");
    world.pass(LONG_MS);
    expect(world.lines.join()).toContain("hello-v2 failed");
    expect(phases()).toEqual({ [OLD]: "serving", [lost]: "serving", [fresh]: "serving" });
  });
});

describe("a rollout whose new VM was lost before the old one left", () => {
  it("leaves the old VM serving", () => {
    world.submit(specOf("hello", { command: ["node", "server.js", "healthy", "2"] }), "2");
    const fresh = vmName("hello-v2-1");
    world.say(fresh, HEALTHY);
    answer();
    world.hostDies(world.committed?.record.vms.find(({ vm }) => vm === fresh)?.host ?? memberName("none"));
    world.pass(LONG_MS - 2_000);
    world.pass(1_500);
    answer(CUT);
    expect(phases()[OLD]).toBe("serving");
  });
});

describe("a repair while a proxy cannot be heard", () => {
  it("goes on without it once it was waited for, and does not start one VM after the other", () => {
    world.hostDies(hostOfOld());
    const cut = world.proxies.get(CUT);
    if (cut !== undefined) cut.connected = false;
    world.membersChanged();
    world.pass(LONG_MS);
    expect(world.committed?.record.rollout?.kind).toBe("repair");
    const fresh = vmName("hello-v1-2");
    world.say(fresh, HEALTHY);
    answer();
    expect(phases()).toEqual({ [OLD]: "serving", [fresh]: "serving" });
    world.pass(LONG_MS);
    expect(phases()).toEqual({ [OLD]: "cordoned", [fresh]: "serving" });
    answer();
    for (let round = 0; round < 5; round += 1) world.pass(2 * LONG_MS);
    expect(world.committed?.record.rollout?.state).toBe("succeeded");
    expect(world.committed?.record.rollout?.except).toContain(CUT);
    expect(phases()).toEqual({ [OLD]: "cordoned", [fresh]: "serving" });
  });
});

describe("a deploy that takes over what an earlier one left on a host that is off", () => {
  /** Who lives does its part: gates close, proxies answer, VMs become healthy or go. */
  function settle(host: MemberName): void {
    for (let round = 0; round < 20; round += 1) {
      for (const living of world.hosts) world.closeGate(living);
      for (const proxy of [PROXY, CUT]) answer(proxy);
      const named = new Map(world.committed?.record.vms.map((vm) => [vm.vm, vm]));
      for (const vm of named.values()) if (vm.host !== host) world.say(vm.vm, HEALTHY);
      for (const [vm, { entry }] of world.entries) if (!named.has(vm) && entry.host !== host) world.gone(vm);
    }
  }

  it("names that host at its end, though what was left there served no more when it began", () => {
    world = new World({ hosts: 3, proxies: 2, isGated: true });
    world.submit(specOf("hello"), "1");
    world.cooperate();
    const host = hostOfOld();
    world.hostDies(host);
    world.submit(specOf("hello", { count: 2 }), "2");
    settle(host);
    expect(phases()[OLD]).toBe("cordoned");
    world.pass(LONG_MS);
    settle(host);
    expect(world.committed?.record.rollout).toMatchObject({ id: "hello-v2", state: "rolled-back" });
    expect(phases()).toEqual({ [OLD]: "cordoned", "hello-v1-2": "serving" });
    world.submit(specOf("hello", { count: 3 }), "3");
    world.fence(host);
    settle(host);
    expect(world.committed?.record.rollout).toMatchObject({ state: "succeeded", except: [host] });
  });
});
