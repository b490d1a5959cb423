// What a deploy keeps for pages that are open, and what sticky clients are told of going back.

import { describe, expect, it } from "vitest";
import { type DeploySpec, isPinned, type Weights } from "../../../mesh/index.ts";
import { specOf } from "../testing/specs.ts";
import { World } from "../testing/world.ts";

const TIMES = { drainTimeoutMs: 30_000, waitTimeoutMs: 60_000 };
const PINNED: DeploySpec = { ...TIMES, strategy: "immediate", cutover: "pinned", pinMaxAgeMs: 600_000 };
const BY_HAND: DeploySpec = { ...TIMES, strategy: "bluegreen", approval: "manual", cutover: "sticky" };

function deployed(deploys: readonly DeploySpec[], isGated = true): World {
  const world = new World({ hosts: 3, proxies: 2, isGated });
  for (const [index, deploy] of deploys.entries()) {
    world.submit(specOf("hello", { count: 2, deploy }), `hash-${index}`);
    world.cooperate();
  }
  return world;
}

function pinnedVms({ committed }: World): readonly string[] {
  const record = committed?.record;
  return (record?.vms ?? []).flatMap((vm) => (record !== undefined && isPinned(vm, record) ? [vm.vm] : []));
}

function kinds({ committed }: World): readonly string[] {
  return committed?.record.rollout?.history.map(({ kind }) => kind) ?? [];
}

function phases({ committed }: World): Readonly<Record<string, string>> {
  return Object.fromEntries((committed?.record.vms ?? []).map(({ vm, phase }) => [vm, phase]));
}

describe("a pinned deploy", () => {
  it.each([true, false])(
    "keeps all old VMs for pages, and closes them before it retires them (gates: %s)",
    (isGated) => {
      const world = deployed([PINNED, PINNED], isGated);
      expect(kinds(world)).toEqual(["start", "standby", "flip"]);
      expect(pinnedVms(world)).toEqual(["hello-v1-1", "hello-v1-2"]);
      world.request("proxy-1" as Parameters<World["request"]>[0], 0);
      world.pass(599_000);
      world.cooperate();
      expect(pinnedVms(world)).toEqual(["hello-v1-1", "hello-v1-2"]);
      world.pass(1_000);
      // Nobody has closed them yet.
      expect(pinnedVms(world)).toEqual([]);
      expect(phases(world)).toMatchObject({ "hello-v1-1": "cordoned", "hello-v1-2": "cordoned" });
      world.cooperate();
      expect(phases(world)).toEqual({ "hello-v2-1": "serving", "hello-v2-2": "serving" });
    },
  );

  it("gives up the pages of the release before the last when the next one begins", () => {
    const world = deployed([PINNED, PINNED]);
    world.submit(specOf("hello", { count: 2, deploy: PINNED }), "hash-3");
    expect(pinnedVms(world)).toEqual([]);
    expect(world.committed?.record.rollout?.step).toMatchObject({
      kind: "cordon",
      vms: ["hello-v1-1", "hello-v1-2"],
    });
    world.cooperate();
    expect(pinnedVms(world)).toEqual(["hello-v2-1", "hello-v2-2"]);
  });

  it("is taken back within that time by one step, and keeps the pages of the new release then", () => {
    const world = deployed([PINNED, PINNED]);
    world.rollback(null);
    world.cooperate();
    expect(kinds(world)).toEqual(["weigh"]);
    expect(pinnedVms(world)).toEqual(["hello-v2-1", "hello-v2-2"]);
  });

  it("closes a kept VM that a person stops before it stops it", () => {
    const world = deployed([PINNED, PINNED]);
    const vm = world.committed?.record.vms.find((one) => one.vm === "hello-v1-1");
    if (vm === undefined) throw new Error("it is kept");
    world.stopVm(vm.vm);
    expect(pinnedVms(world)).toEqual(["hello-v1-2"]);
    world.cooperate();
    expect(kinds(world)).toEqual(["cordon", "stop"]);
    expect(pinnedVms(world)).toEqual(["hello-v1-2"]);
  });

  it("keeps nothing for pages once the app is to go", () => {
    const world = deployed([PINNED, PINNED]);
    world.destroy();
    expect(pinnedVms(world)).toEqual([]);
    world.cooperate();
    expect(world.committed?.record).toMatchObject({ deleted: true, vms: [] });
  });
});

describe("the plan of a sticky deploy", () => {
  it("says that a client is told an error rather than sent back", () => {
    const world = deployed([BY_HAND]);
    const plan = (deploy: DeploySpec) => {
      const { costs } = world.plan(specOf("hello", { deploy }), "hash-2");
      return costs.find(({ code }) => code === "unhealthy-release")?.what;
    };
    expect(plan(BY_HAND)).toContain("who has seen v2 is told 502 or 503 while no VM of it");
    expect(plan({ ...BY_HAND, cutover: "fast" })).not.toContain("who has seen");
  });
});

describe("of a sticky app a record", () => {
  const split = (next: number): Weights => [
    { release: 1, weight: 100 - next },
    { release: 2, weight: next },
  ];
  const waiting = () => {
    const world = deployed([BY_HAND]);
    world.submit(specOf("hello", { count: 1, deploy: BY_HAND }), "hash-2");
    for (let round = 0; world.committed?.record.rollout?.step?.kind !== "approve"; round += 1) {
      if (round > 20) throw new Error(world.machine.describe());
      world.heal();
    }
    return world;
  };

  it("counts each time that a person gave the new release less, and no other commit", () => {
    const world = waiting();
    const backs = [10, 50, 50, 20, 100, 0].map((next) => {
      world.traffic(split(next));
      const counted = world.committed?.record.backs ?? 0;
      while (world.committed?.record.rollout?.step?.kind !== "approve") world.heal();
      return counted;
    });
    expect(backs).toEqual([0, 0, 0, 1, 1, 2]);
    world.cooperate();
    expect(world.committed?.record).toMatchObject({ current: 2, backs: 2 });
    world.submit(specOf("hello", { count: 3, deploy: BY_HAND }), "hash-3");
    world.cooperate();
    expect(world.committed?.record).toMatchObject({ current: 3, backs: 2 });
  });
});
