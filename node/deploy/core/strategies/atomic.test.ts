import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type VmPhase, vmName } from "../../../../mesh/index.ts";
import { told, plannedVm as vm } from "../../testing/planned-steps.ts";
import { bluegreen, immediate } from "./all-at-once.ts";
import { nextAtomicStepBack } from "./atomic.ts";
import { canary } from "./canary.ts";
import { applyPlanned, type PlanInput, type PlannedStep, type PlannedVm, unrolled } from "./strategy.ts";

/** As a deploy of release 2 over release 1 sees it; on the way back `target` is 1. */
function input(vms: readonly PlannedVm[], count: number, overrides: Partial<PlanInput> = {}): PlanInput {
  const target = overrides.target ?? { release: 2, count };
  const nameOf = (index: number) => vmName(`v${target.release}-${index + 1}`);
  const pace = { surge: count, unavailable: 0, needsApproval: false, kept: null };
  return { vms, retiring: [], target, nameOf, ...pace, atomic: { isHeld: false }, ...overrides };
}

describe("an atomic cutover", () => {
  it("closes the old VMs while requests are held, before one commit lets the new ones serve", () => {
    expect(told(immediate.plan(input([vm("a", 1), vm("b", 1)], 2)))).toEqual([
      "start v2-1 v2-2",
      "standby v2-1 v2-2",
      "hold a b (placed)",
      "flip a b for v2-1 v2-2 (lifted)",
      "stop a b",
    ]);
  });

  it("holds nothing where nothing served", () => {
    expect(told(immediate.plan(input([], 2)))).toEqual(["start v2-1 v2-2", "serve v2-1 v2-2"]);
  });

  it("holds nothing before a person approved, and leaves what is kept closed", () => {
    const steps = bluegreen.plan(input([vm("a", 1)], 1, { needsApproval: true, kept: 1 }));
    expect(told(steps).slice(2)).toEqual(["approve v2-1", "hold a (placed)", "flip a for v2-1 (lifted)"]);
  });

  it("begins where requests were split by hand with both serving, and leaves the new ones alone", () => {
    const vms = [vm("a", 1), vm("v2-1", 2)];
    expect(told(bluegreen.plan(input(vms, 1)))).toEqual([
      "hold a (placed)",
      "flip a for v2-1 (lifted)",
      "stop a",
    ]);
  });

  it("lifts the hold first, whatever else there is to do", () => {
    const vms = [vm("left", 0, "cordoned"), vm("a", 1, "cordoned"), vm("v2-1", 2, "standby")];
    const held = input(vms, 1, { atomic: { isHeld: true }, needsApproval: true });
    expect(told(bluegreen.plan(held))[0]).toBe("flip left a for v2-1 (lifted)");
  });

  it("of a canary is its promotion: the rest is up before the old ones are closed", () => {
    const plan = input([vm("a", 1), vm("b", 1)], 2, { canary: { left: [50], present: null } });
    expect(told(canary.plan(plan))).toEqual([
      "start v2-1",
      "serve v2-1",
      "weigh ",
      "bake v2-1",
      "start v2-2",
      "standby v2-2",
      "hold a b (placed)",
      "flip a b for v2-1 v2-2 (lifted)",
      "stop a b",
    ]);
  });
});

describe("the way back of an atomic cutover", () => {
  const back = (vms: readonly PlannedVm[], count: number) =>
    unrolled(input(vms, count, { target: { release: 1, count } }), nextAtomicStepBack);

  it("closes the new VMs before an old one serves again", () => {
    const vms = [vm("a", 1, "cordoned"), vm("v2-1", 2)];
    expect(told(back(vms, 1))).toEqual(["hold v2-1 (placed)", "flip v2-1 for a (lifted)", "stop v2-1"]);
  });

  it("has what is gone up again on standby before that", () => {
    expect(told(back([vm("a", 1, "cordoned"), vm("v2-1", 2)], 2)).slice(0, 3)).toEqual([
      "start v1-1",
      "standby v1-1",
      "hold v2-1 (placed)",
    ]);
  });

  it("holds nothing while the old ones serve", () => {
    const vms = [vm("a", 1), vm("v2-1", 2, "standby")];
    expect(told(back(vms, 1))).toEqual(["cordon v2-1", "stop v2-1"]);
  });
});

const anyVms = (releases: readonly number[]) =>
  fc
    .array(
      fc.record({
        release: fc.constantFrom(...releases),
        phase: fc.constantFrom<VmPhase>("starting", "standby", "serving", "cordoned"),
      }),
      { maxLength: 10 },
    )
    .map((list) => list.map(({ release, phase }, index) => vm(`vm-${index}`, release, phase)));

/** What it holds it lifts by the next step, and where one side serves the other one does not begin to. */
function judge(vms: readonly PlannedVm[], steps: readonly PlannedStep[], target: PlanInput["target"]): void {
  const sides = (list: readonly PlannedVm[]) =>
    new Set(list.filter(({ phase }) => phase === "serving").map(({ release }) => release === target.release));
  let now = vms;
  for (const [index, step] of steps.entries()) {
    const before = sides(now);
    now = applyPlanned(now, step, target.release);
    if (before.size < 2) expect(sides(now).size).toBeLessThan(2);
    if (step.hold === "placed") expect(steps[index + 1]?.hold).toBe("lifted");
  }
  expect(now.filter(({ phase, release }) => phase === "serving" && release === target.release)).toHaveLength(
    target.count,
  );
  expect(now).toHaveLength(target.count);
}

it("leads forward from whatever ran before, with one side serving at most", () => {
  fc.assert(
    fc.property(anyVms([0, 1]), fc.integer({ min: 1, max: 4 }), (vms, count) => {
      judge(vms, immediate.plan(input(vms, count)), { release: 2, count });
    }),
  );
});

it("leads back from wherever it was, with one side serving at most", () => {
  fc.assert(
    fc.property(anyVms([1, 2]), fc.integer({ min: 1, max: 4 }), (vms, count) => {
      const target = { release: 1, count };
      judge(vms, unrolled(input(vms, count, { target }), nextAtomicStepBack), target);
    }),
  );
});
