import { beforeEach, describe, expect, it } from "vitest";
import { type AppSpec, MAY_RUN_HOSTS_MAX, memberName, vmName } from "../../../mesh/index.ts";
import { takeoverAfterMs } from "../../lease.ts";
import { specOf } from "../testing/specs.ts";
import { HEALTHY, PREPARED } from "../testing/vm-states.ts";
import { World } from "../testing/world.ts";

const OLD = vmName("hello-v1-1");
const LEASE_MS = 10_000;
const REPAIR_AFTER_MS = 60_000;
const deploy: AppSpec["deploy"] = { strategy: "handoff", drainTimeoutMs: 30_000, waitTimeoutMs: 60_000 };
const exclusive = { exclusive: true, deploy } as const;
const leased = { ...exclusive, fence: { leaseMs: LEASE_MS } } as const;

let world: World;
beforeEach(() => {
  world = new World({ hosts: 3, proxies: 1, isGated: true });
  world.confirming.confirm = true;
});

function begun(spec: Partial<AppSpec>): void {
  const { env: _env, ...rest } = spec;
  world.submit(specOf("hello", rest), "1");
  world.cooperate();
}

const record = () => world.committed?.record;
const vms = () => (record()?.vms ?? []).map(({ vm, phase }) => `${vm} ${phase}`);
const hostOf = (vm: string) => record()?.vms.find((one) => one.vm === vm)?.host ?? memberName("none");
const waits = () => world.machine.describe();

/** All that can be heard answer; the new VM is prepared. */
function answered(): void {
  const fresh = record()?.vms.find(({ phase }) => phase === "prepared");
  if (fresh !== undefined) world.say(fresh.vm, PREPARED);
  for (const name of world.proxies.keys()) {
    world.apply(name);
    world.answer(name);
    world.deliver(name);
  }
}

function lose(host = hostOf(OLD)): typeof host {
  world.hostDies(host);
  world.pass(REPAIR_AFTER_MS + 1);
  return host;
}

describe("a host that is lost with a VM of an app that never runs twice", () => {
  it("keeps its VM in the record without a lease, until a person says that it is off", () => {
    begun(exclusive);
    const host = lose();
    world.pass(3_600_000);
    expect(vms()).toEqual([`${OLD} serving`]);
    world.fence(host);
    for (let round = 0; round < 4; round += 1) answered();
    expect(vms()).toEqual(["hello-v1-2 opening"]);
  });

  it("says what it waits for: a person's word, or a lease, or a host that could run another one", () => {
    const reasonOf = () => world.machine.view(world.nowMs)?.vms[0]?.reason;
    begun(leased);
    const host = hostOf(OLD);
    world.hostDies(host);
    expect(reasonOf()).toMatch(/another one is started once the lease of this one is over$/);
    for (const other of world.hosts) if (other !== host) world.draining.add(other);
    world.membersChanged();
    expect(reasonOf()).toMatch(/but no host can run a VM: host-1 is not connected; host-2 is cordoned/);
    world.fence(host);
    expect(reasonOf()).toMatch(/but no host can run a VM: host-1 is not connected; host-2 is cordoned/);
  });

  it("has another one started a lease and the drift bound after its VM left the record, and not before", () => {
    begun(leased);
    const host = lose();
    answered();
    answered();
    expect(vms()).toEqual(["hello-v1-2 prepared"]);
    expect(record()?.mayRun).toEqual([
      { host, epoch: world.committed?.epoch, vms: [OLD], leaseMs: LEASE_MS },
    ]);
    expect(waits()).toMatch(
      /hello-v1-1 to be gone on host-\d .*lease is over within 11s.*grapevine host fence/,
    );
    world.pass(takeoverAfterMs(LEASE_MS) - 1);
    expect(vms()).toEqual(["hello-v1-2 prepared"]);
    // Its watchdog has, though nobody hears of that.
    world.confirming.ended.add(OLD);
    world.pass(1);
    expect(vms()).toEqual(["hello-v1-2 opening"]);
    world.say(vmName("hello-v1-2"), HEALTHY);
    answered();
    expect(vms()).toEqual(["hello-v1-2 serving"]);
    expect(record()?.rollout?.state).toBe("succeeded");
  });

  it("is waited for for a whole lease by a driver that starts anew: it does not know when the VM left", () => {
    begun(leased);
    lose();
    answered();
    answered();
    world.pass(takeoverAfterMs(LEASE_MS) / 2);
    world.restart();
    world.pass(takeoverAfterMs(LEASE_MS) - 1);
    expect(vms()).toEqual(["hello-v1-2 prepared"]);
    // Its watchdog has, though nobody hears of that.
    world.confirming.ended.add(OLD);
    world.pass(1);
    expect(vms()).toEqual(["hello-v1-2 opening"]);
  });

  it("is believed that nothing runs there only by a word that is of the commit by which the VM left, or later", () => {
    begun(exclusive);
    const host = hostOf(OLD);
    world.confirming.silent.add(host);
    world.draining.add(host);
    world.membersChanged();
    world.destroy();
    answered();
    world.closeGate(host);
    answered();
    world.gone(OLD);
    expect(record()?.mayRun).toMatchObject([{ host, vms: [OLD] }]);
    expect(record()?.rollout?.state).toBe("running");
    expect(waits()).toMatch(/hello-v1-1 to be gone on host-\d/);
    world.confirming.silent.delete(host);
    world.membersChanged();
    expect(record()?.rollout?.state).toBe("succeeded");
    expect(record()?.mayRun).toBeUndefined();
  });

  it("is remembered over the app's end: a later deploy starts nothing beside it once its host is no longer fenced", () => {
    begun(exclusive);
    const host = hostOf(OLD);
    world.confirming.silent.add(host);
    world.hostDies(host);
    world.fence(host);
    world.destroy();
    for (let round = 0; round < 4; round += 1) answered();
    expect(record()).toMatchObject({ deleted: true, mayRun: [{ host, vms: [OLD] }] });
    world.hostBack(host, { isNew: true });
    const { env: _env, ...rest } = exclusive as Partial<AppSpec>;
    world.submit(specOf("hello", rest), "2");
    for (let round = 0; round < 4; round += 1) answered();
    expect(vms()).not.toContain("hello-v2-1 starting");
    expect(waits()).toMatch(/hello-v1-1 to be gone on host-\d/);
    world.gone(OLD);
    world.confirming.silent.delete(host);
    world.membersChanged();
    for (let round = 0; round < 4; round += 1) answered();
    expect(vms()).toEqual(["hello-v2-1 starting"]);
  });
});

it("more hosts that never come back than a record holds end no driver: the oldest is forgotten", () => {
  world = new World({ hosts: MAY_RUN_HOSTS_MAX + 6, proxies: 1, isGated: true });
  world.confirming.confirm = true;
  begun(leased);
  const lost = new Set<string>();
  for (let losses = 0; losses < MAY_RUN_HOSTS_MAX + 2; losses += 1) {
    const old = hostOf(record()?.vms[0]?.vm ?? "none");
    for (const { vm } of record()?.vms ?? []) world.confirming.ended.add(vm);
    lost.add(lose(old));
    for (let second = 0; second < 40; second += 1) {
      for (const { vm, host, phase } of record()?.vms ?? [])
        if (!lost.has(host)) world.say(vm, phase === "prepared" ? PREPARED : HEALTHY);
      for (const host of world.hosts) world.closeGate(host);
      answered();
      world.membersChanged();
      world.pass(1_000);
    }
  }
  expect(record()?.mayRun).toHaveLength(MAY_RUN_HOSTS_MAX);
  expect(record()?.mayRun?.map(({ host }) => host)).not.toContain([...lost][0]);
});
