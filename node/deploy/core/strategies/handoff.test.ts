import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type VmPhase, vmName } from "../../../../mesh/index.ts";
import { told, plannedVm as vm } from "../../testing/planned-steps.ts";
import { handoff } from "./handoff.ts";
import { applyPlanned, type PlanInput, type PlannedVm } from "./strategy.ts";

/** As a deploy of release 2 over release 1 sees it; on the way back `target` is 1. */
function input(vms: readonly PlannedVm[], overrides: Partial<PlanInput> = {}): PlanInput {
  const target = overrides.target ?? { release: 2, count: 1 };
  const nameOf = (index: number) => vmName(`v${target.release}-${index + 1}`);
  const pace = { surge: 0, unavailable: 0, needsApproval: false, kept: null };
  return { vms, retiring: [], target, nameOf, ...pace, handoff: { together: true }, ...overrides };
}

const BACK = { target: { release: 1, count: 1 } };

describe("a handoff", () => {
  it("prepares the new VM, holds requests while the old one is closed, and has its host end it before the new one is started", () => {
    expect(told(handoff.plan(input([vm("a", 1)])))).toEqual([
      "prepare v2-1",
      "hold a (placed)",
      "handover a for v2-1",
      "serve v2-1 (lifted)",
    ]);
  });

  it("starts the new VM on another host only when the old one is gone", () => {
    expect(told(handoff.plan(input([vm("a", 1)], { handoff: { together: false } })))).toEqual([
      "prepare v2-1",
      "hold a (placed)",
      "stop a",
      "start v2-1",
      "serve v2-1 (lifted)",
    ]);
  });

  it("just starts where nothing ran", () => {
    expect(told(handoff.plan(input([])))).toEqual(["start v2-1", "serve v2-1 (lifted)"]);
  });

  it("closes what is kept of an earlier release too, and ends all of it", () => {
    const vms = [vm("kept", 0, "cordoned"), vm("a", 1), vm("b", 1)];
    expect(told(handoff.plan(input(vms, { handoff: { together: false } })))).toEqual([
      "prepare v2-1",
      "hold a b kept (placed)",
      "stop kept a b",
      "start v2-1",
      "serve v2-1 (lifted)",
    ]);
  });

  it("ends one VM before several of a release that may run side by side", () => {
    const target = { release: 2, count: 2 };
    expect(told(handoff.plan(input([vm("a", 1)], { target, handoff: { together: false } })))).toEqual([
      "prepare v2-1 v2-2",
      "hold a (placed)",
      "stop a",
      "start v2-1 v2-2",
      "serve v2-1 v2-2 (lifted)",
    ]);
  });

  it("of a first deploy that fails goes back to nothing", () => {
    const target = { release: null, count: 0 };
    expect(told(handoff.plan(input([vm("v2-1", 2, "starting")], { target })))).toEqual(["stop v2-1"]);
  });
});

describe("the way back of a handoff", () => {
  it("drops what is prepared, and touches nothing that serves", () => {
    expect(told(handoff.plan(input([vm("a", 1), vm("v2-1", 2, "prepared")], BACK)))).toEqual(["stop v2-1"]);
  });

  it("lets the old VM serve first, if it was closed and not ended yet", () => {
    const vms = [vm("a", 1, "cordoned"), vm("v2-1", 2, "prepared")];
    expect(told(handoff.plan(input(vms, BACK)))).toEqual(["serve a (lifted)", "stop v2-1"]);
  });

  it("ends the new VM before the old release is started again, and lifts the hold by the commit that lets it serve", () => {
    expect(told(handoff.plan(input([vm("v2-1", 2, "starting")], BACK)))).toEqual([
      "handover v2-1 for v1-1",
      "serve v1-1 (lifted)",
    ]);
  });

  it("takes the way of a deploy from a new VM that serves already", () => {
    expect(told(handoff.plan(input([vm("v2-1", 2)], BACK)))).toEqual([
      "prepare v1-1",
      "hold v2-1 (placed)",
      "handover v2-1 for v1-1",
      "serve v1-1 (lifted)",
    ]);
  });
});

const anyVms = (releases: readonly number[]) =>
  fc
    .array(
      fc.record({
        release: fc.constantFrom(...releases),
        phase: fc.constantFrom<VmPhase>("prepared", "starting", "opening", "standby", "serving", "cordoned"),
      }),
      { maxLength: 6 },
    )
    .map((list) => list.map(({ release, phase }, index) => vm(`vm-${index}`, release, phase)));

const runs = ({ phase }: PlannedVm) => phase !== "prepared";

it("leads from whatever ran to one VM, starts none beside another, and leaves nothing held", () => {
  fc.assert(
    fc.property(anyVms([0, 1, 2]), fc.boolean(), fc.boolean(), (vms, together, isBack) => {
      const target = { release: isBack ? 1 : 2, count: 1 };
      const steps = handoff.plan(input(vms, { target, handoff: { together } }));
      let now: readonly PlannedVm[] = vms;
      let isHeld = false;
      let closed: readonly string[] = [];
      for (const step of steps) {
        const before = new Set(now.filter(runs).map((one) => one.vm));
        // Closed by the very step before it, or never routed.
        const free = (name: string) => {
          const phase = now.find((one) => one.vm === name)?.phase;
          return phase === "prepared" || phase === "starting" || closed.includes(name);
        };
        if (step.kind === "stop" || step.kind === "handover") expect(step.vms.every(free)).toBe(true);
        now = applyPlanned(now, step, target.release);
        const isStarted = (one: PlannedVm) => runs(one) && !before.has(one.vm);
        if (now.some(isStarted)) expect(now.filter(runs)).toHaveLength(1);
        closed = step.kind === "hold" || step.kind === "cordon" ? step.vms : [];
        if (step.hold !== undefined) isHeld = step.hold === "placed";
      }
      expect(isHeld).toBe(false);
      expect(now.map(({ release, phase }) => [release, phase])).toEqual([[target.release, "serving"]]);
    }),
  );
});
