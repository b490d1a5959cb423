import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type VmPhase, vmName } from "../../../../mesh/index.ts";
import { bluegreen, immediate } from "./all-at-once.ts";
import { applyPlanned, type PlanInput, type PlannedStep, type PlannedVm } from "./strategy.ts";

function input(vms: readonly PlannedVm[], count: number, overrides: Partial<PlanInput> = {}): PlanInput {
  const nameOf = (index: number) => vmName(`new-${index + 1}`);
  const pace = { surge: count, unavailable: 0 };
  const target = { release: 2, count };
  return { vms, retiring: [], target, nameOf, ...pace, needsApproval: false, kept: null, ...overrides };
}

function vm(name: string, release: number, phase: VmPhase = "serving"): PlannedVm {
  return { vm: vmName(name), release, phase };
}

function told(steps: readonly PlannedStep[]): readonly string[] {
  return steps.map(({ kind, vms, serves }) => {
    const entering = serves === undefined ? "" : ` for ${serves.join(" ")}`;
    return `${kind} ${vms.join(" ")}${entering}`;
  });
}

describe("immediate.plan()", () => {
  it("has all new VMs dialled by the proxies before one commit takes all old ones out", () => {
    expect(told(immediate.plan(input([vm("a", 1), vm("b", 1)], 2)))).toEqual([
      "start new-1 new-2",
      "standby new-1 new-2",
      "flip a b for new-1 new-2",
      "stop a b",
    ]);
  });
  it("launches an app without a detour", () => {
    expect(told(immediate.plan(input([], 2)))).toEqual(["start new-1 new-2", "serve new-1 new-2"]);
  });
  it("waits for no person, and keeps the old only where pages are pinned", () => {
    const kinds = (kept: number | null) =>
      immediate.plan(input([vm("a", 1)], 1, { needsApproval: true, kept })).map(({ kind }) => kind);
    expect(kinds(null)).toEqual(["start", "standby", "flip", "stop"]);
    expect(kinds(1)).toEqual(["start", "standby", "flip"]);
  });
});

describe("bluegreen.plan()", () => {
  it("waits for a person between the standby and the flip, if asked to", () => {
    const steps = bluegreen.plan(input([vm("a", 1)], 1, { needsApproval: true }));
    expect(told(steps)).toEqual([
      "start new-1",
      "standby new-1",
      "approve new-1",
      "flip a for new-1",
      "stop a",
    ]);
  });
  it("has a preview at the first launch too", () => {
    const steps = bluegreen.plan(input([], 1, { needsApproval: true }));
    expect(told(steps)).toEqual(["start new-1", "standby new-1", "approve new-1", "serve new-1"]);
  });
  it("leaves the old VMs cordoned when they are kept", () => {
    const steps = bluegreen.plan(input([vm("a", 1)], 1, { kept: 1 }));
    expect(told(steps)).toEqual(["start new-1", "standby new-1", "flip a for new-1"]);
  });
  it("retires what an earlier release kept before it starts anything", () => {
    const vms = [vm("kept", 0, "cordoned"), vm("a", 1)];
    expect(told(bluegreen.plan(input(vms, 1, { kept: 1 }))).slice(0, 3)).toEqual([
      "cordon kept",
      "stop kept",
      "start new-1",
    ]);
  });

  const anyVms = fc
    .array(
      fc.record({
        release: fc.constantFrom(0, 1),
        phase: fc.constantFrom<VmPhase>("starting", "standby", "serving", "cordoned"),
      }),
      { maxLength: 12 },
    )
    .map((list) => list.map(({ release, phase }, index) => vm(`vm-${index}`, release, phase)));

  it("leads from whatever ran before to the target, never with old and new serving at once", () => {
    fc.assert(
      fc.property(anyVms, fc.integer({ min: 1, max: 5 }), fc.boolean(), (vms, count, keeps) => {
        let now: readonly PlannedVm[] = vms;
        const kept = keeps ? 1 : null;
        for (const step of bluegreen.plan(input(vms, count, { kept }))) {
          const served = now.some((each) => each.phase === "serving");
          now = applyPlanned(now, step, 2);
          const serving = new Set(
            now.filter((each) => each.phase === "serving").map((each) => each.release === 2),
          );
          if (served) expect(serving.size).toBe(1);
        }
        expect(now.filter((each) => each.release === 2 && each.phase === "serving").length).toBe(count);
        const rest = now.filter((each) => each.release !== 2);
        expect(rest.every((each) => each.release === kept && each.phase === "cordoned")).toBe(true);
      }),
    );
  });
});
