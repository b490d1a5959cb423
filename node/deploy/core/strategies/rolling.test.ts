import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type VmPhase, vmName } from "../../../../mesh/index.ts";
import { paceOf } from "./pace.ts";
import { rolling } from "./rolling.ts";
import { applyPlanned, type PlanInput, type PlannedStep, type PlannedVm } from "./strategy.ts";

function input(vms: readonly PlannedVm[], count: number, overrides: Partial<PlanInput> = {}): PlanInput {
  const nameOf = (index: number) => vmName(`new-${index + 1}`);
  const pace = { surge: 1, unavailable: 0 };
  const target = { release: 2, count };
  return { vms, retiring: [], target, nameOf, ...pace, needsApproval: false, kept: null, ...overrides };
}

function vm(name: string, release: number, phase: VmPhase = "serving"): PlannedVm {
  return { vm: vmName(name), release, phase };
}

function told(steps: readonly PlannedStep[]): readonly string[] {
  return steps.map((step) => `${step.kind} ${step.vms.join(" ")}`);
}

describe("rolling.plan()", () => {
  it("replaces one VM without a gap", () => {
    expect(told(rolling.plan(input([vm("old", 1)], 1)))).toEqual([
      "start new-1",
      "serve new-1",
      "cordon old",
      "stop old",
    ]);
  });
  it("launches all at once when nothing serves", () => {
    expect(told(rolling.plan(input([], 2)))).toEqual(["start new-1 new-2", "serve new-1 new-2"]);
  });
  it("has nothing to do when the target is reached", () => {
    expect(rolling.plan(input([vm("a", 2), vm("b", 2)], 2))).toEqual([]);
  });
  it("drops at once what was never routed", () => {
    expect(told(rolling.plan(input([vm("a", 2), vm("b", 1, "starting")], 1)))).toEqual(["stop b"]);
  });
  it("puts back what still runs before it starts anything, and only as many as are wanted", () => {
    const vms = [vm("a", 2, "cordoned"), vm("b", 2, "cordoned"), vm("x", 1)];
    expect(told(rolling.plan(input(vms, 1)))).toEqual(["serve a", "cordon x b", "stop x b"]);
  });
  it("takes out more than are wanted, of the new as well", () => {
    expect(told(rolling.plan(input([vm("a", 2), vm("b", 2)], 1)))).toEqual(["cordon b", "stop b"]);
  });
  it("takes leftovers of an earlier rollout out with the old", () => {
    const vms = [vm("left", 9, "cordoned"), vm("old", 1)];
    expect(told(rolling.plan(input(vms, 1))).slice(2)).toEqual(["cordon old left", "stop left old"]);
  });
  it("stops only what the last cordon was about", () => {
    const vms = [vm("a", 2), vm("old", 1, "cordoned")];
    expect(told(rolling.plan(input(vms, 1)))).toEqual(["cordon old", "stop old"]);
    expect(told(rolling.plan(input(vms, 1, { retiring: [vmName("old")] })))).toEqual(["stop old"]);
  });

  it("starts and takes out as many at once as the pace allows", () => {
    const old = ["a", "b", "c", "d"].map((name) => vm(name, 1));
    expect(told(rolling.plan(input(old, 4, { surge: 2 })))).toEqual([
      "start new-1 new-2",
      "serve new-1 new-2",
      "cordon a b",
      "stop a b",
      "start new-3 new-4",
      "serve new-3 new-4",
      "cordon c d",
      "stop c d",
    ]);
    expect(told(rolling.plan(input(old, 4, { surge: 0, unavailable: 2 }))).slice(0, 4)).toEqual([
      "cordon a b",
      "stop a b",
      "start new-1 new-2",
      "serve new-1 new-2",
    ]);
  });

  const anyVms = fc
    .array(
      fc.record({
        release: fc.integer({ min: 1, max: 3 }),
        phase: fc.constantFrom<VmPhase>("starting", "standby", "serving", "cordoned"),
      }),
      {
        maxLength: 12,
      },
    )
    .map((list) => list.map(({ release, phase }, index) => vm(`vm-${index}`, release, phase)));

  it("leads from anywhere to the target, one serving VM at least on the way, never more than surge allows", () => {
    fc.assert(
      fc.property(
        anyVms,
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 0, max: 3 }),
        fc.integer({ min: 0, max: 3 }),
        (vms, count, maxSurge, maxUnavailable) => {
          const { surge, unavailable } = paceOf({ strategy: "rolling", maxSurge, maxUnavailable }, count);
          let now: readonly PlannedVm[] = vms;
          const serving = () => now.filter((each) => each.phase === "serving").length;
          const notServing = vms.length - serving();
          const vmsMax = Math.max(vms.length + 1, count + surge + notServing);
          for (const step of rolling.plan(input(vms, count, { surge, unavailable }))) {
            const before = serving();
            now = applyPlanned(now, step, 2);
            expect(serving()).toBeGreaterThanOrEqual(Math.min(before, count - unavailable));
            expect(now.length).toBeLessThanOrEqual(vmsMax);
          }
          expect(now.length).toBe(count);
          expect(now.every((each) => each.release === 2 && each.phase === "serving")).toBe(true);
        },
      ),
    );
  });
});
