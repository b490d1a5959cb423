import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type VmPhase, vmName } from "../../../../mesh/index.ts";
import { canary } from "./canary.ts";
import { applyPlanned, type PlanInput, type PlannedStep, type PlannedVm } from "./strategy.ts";

function input(vms: readonly PlannedVm[], count: number, overrides: Partial<PlanInput> = {}): PlanInput {
  const nameOf = (index: number) => vmName(`new-${index + 1}`);
  const target = { release: 2, count };
  const rest = { surge: 1, unavailable: 0, needsApproval: false, kept: null };
  return {
    vms,
    retiring: [],
    target,
    nameOf,
    ...rest,
    canary: { left: [5, 50], present: null },
    ...overrides,
  };
}

function vm(name: string, release: number, phase: VmPhase = "serving"): PlannedVm {
  return { vm: vmName(name), release, phase };
}

function told(steps: readonly PlannedStep[]): readonly string[] {
  return steps.map(({ kind, vms, weights }) => {
    const split = weights?.map(({ release, weight }) => `v${release}=${weight}`).join(" ");
    return `${kind} ${vms.join(" ")}${weights === undefined ? "" : ` (${split ?? "alike"})`}`;
  });
}

describe("canary.plan()", () => {
  it("serves one new VM at weight 0, bakes each weight, and goes on as a rolling deploy", () => {
    expect(told(canary.plan(input([vm("old", 1)], 1)))).toEqual([
      "start new-1",
      "serve new-1 (v1=100 v2=0)",
      "weigh  (v1=95 v2=5)",
      "bake new-1",
      "weigh  (v1=50 v2=50)",
      "bake new-1",
      "weigh  (alike)",
      "cordon old",
      "stop old",
    ]);
  });

  it("has as many new VMs carry a weight as would carry it in the end", () => {
    const old = ["a", "b", "c", "d"].map((name) => vm(name, 1));
    expect(told(canary.plan(input(old, 4))).slice(0, 8)).toEqual([
      "start new-1",
      "serve new-1 (v1=100 v2=0)",
      "weigh  (v1=95 v2=5)",
      "bake new-1",
      "start new-2",
      "serve new-2",
      "weigh  (v1=50 v2=50)",
      "bake new-1 new-2",
    ]);
  });

  it("goes on where it was", () => {
    const vms = [vm("old", 1), vm("new-1", 2)];
    const steps = canary.plan(input(vms, 1, { canary: { left: [50], present: 5 } }));
    expect(told(steps).slice(0, 2)).toEqual(["weigh  (v1=50 v2=50)", "bake new-1"]);
  });

  it("launches without a canary where nothing serves, and takes over without one that is skipped", () => {
    expect(told(canary.plan(input([], 2)))).toEqual(["start new-1 new-2", "serve new-1 new-2"]);
    const { canary: _skipped, ...skipped } = input([vm("old", 1)], 1);
    expect(told(canary.plan(skipped))).toEqual(["start new-1", "serve new-1", "cordon old", "stop old"]);
  });

  it("splits what the new release does not get by the VMs of the others", () => {
    const vms = [vm("a", 0), vm("b", 1), vm("c", 1)];
    expect(told(canary.plan(input(vms, 2)))[1]).toBe("serve new-1 (v0=33 v1=67 v2=0)");
  });

  const anyVms = fc
    .array(
      fc.record({
        release: fc.constantFrom(1, 2),
        phase: fc.constantFrom<VmPhase>("starting", "standby", "serving", "cordoned"),
      }),
      { maxLength: 10 },
    )
    .map((list) => list.map(({ release, phase }, index) => vm(`vm-${index}`, release, phase)));

  it("leads from whatever ran before to the target, and takes no old VM away before the last bake", () => {
    fc.assert(
      fc.property(anyVms, fc.integer({ min: 1, max: 5 }), (vms, count) => {
        let now: readonly PlannedVm[] = vms;
        const steps = canary.plan(input(vms, count));
        const lastBake = steps.findLastIndex(({ kind }) => kind === "bake");
        const serving = (release: number) =>
          now.filter((each) => each.release === release && each.phase === "serving").length;
        const before = serving(1);
        for (const [index, step] of steps.entries()) {
          now = applyPlanned(now, step, 2);
          if (index <= lastBake) expect(serving(1)).toBe(before);
        }
        expect(now.filter((each) => each.phase === "serving" && each.release === 2)).toHaveLength(count);
        expect(now).toHaveLength(count);
      }),
    );
  });
});
