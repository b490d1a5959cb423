// Rolling: a new VM serves, verified by every proxy, before an old one leaves. With one VM and surge 1 there is no gap.
// The same function leads back: then the target is the release that served before.

import { applyPlanned, type PlanInput, type PlannedStep, type PlannedVm, type Strategy } from "./strategy.ts";

export const rolling: Strategy = {
  plan(input) {
    const steps: PlannedStep[] = [];
    let { vms, retiring } = input;
    let started = 0;
    // Each VM is started, served, cordoned and stopped at most once on the way, a few more are dropped or put back.
    const stepsMax = 5 * (vms.length + input.target.count) + 5;
    for (;;) {
      const nameOf = (index: number) => input.nameOf(started + index);
      const step = nextStep({ ...input, vms, retiring, nameOf });
      if (step === null) return steps;
      steps.push(step);
      if (steps.length > stepsMax) throw new Error(`rolling: no end after ${stepsMax} steps`);
      if (step.kind === "start") started += step.vms.length;
      vms = applyPlanned(vms, step, input.target.release);
      retiring = step.kind === "cordon" ? step.vms : [];
    }
  },
};

/** The VMs sorted by what the target means for them. */
interface Sides {
  readonly serving: readonly PlannedVm[];
  readonly starting: readonly PlannedVm[];
  readonly cordoned: readonly PlannedVm[];
}

function sides(vms: readonly PlannedVm[]): Sides {
  return {
    serving: vms.filter((vm) => vm.phase === "serving"),
    starting: vms.filter((vm) => vm.phase === "starting"),
    cordoned: vms.filter((vm) => vm.phase === "cordoned"),
  };
}

function nextStep(input: PlanInput): PlannedStep | null {
  const { release, count } = input.target;
  const wanted = sides(input.vms.filter((vm) => vm.release === release));
  const others = sides(input.vms.filter((vm) => vm.release !== release));
  // Put back what still runs before anything is started anew.
  const putBack = wanted.cordoned.slice(0, Math.max(0, count - wanted.serving.length));
  const room = Math.max(0, count - wanted.serving.length - putBack.length);
  // Never routed: nobody has to be asked.
  const dropped = [...others.starting, ...wanted.starting.slice(room)];
  if (dropped.length > 0) return step("stop", dropped);
  if (putBack.length > 0) return step("serve", putBack);
  if (wanted.starting.length > 0) return step("serve", wanted.starting);
  const leaving = [...others.cordoned, ...wanted.cordoned];
  const retired = leaving.filter((vm) => input.retiring.includes(vm.vm));
  if (retired.length > 0) return step("stop", retired);
  return startMore(input, wanted, others) ?? cordonMore(input, { wanted, others, leaving });
}

/** Start while there is room; always when nothing new serves yet, since no old one leaves before. */
function startMore(input: PlanInput, wanted: Sides, others: Sides): PlannedStep | null {
  const { count } = input.target;
  const missing = count - wanted.serving.length;
  const serving = wanted.serving.length + others.serving.length;
  if (missing <= 0) return null;
  if (others.serving.length > 0 && wanted.serving.length > 0 && serving > count) return null;
  const room = others.serving.length === 0 ? missing : Math.max(1, count + input.surge - serving);
  const names = Array.from({ length: Math.min(missing, room) }, (_, index) => input.nameOf(index));
  return { kind: "start", vms: names };
}

/** As many old ones as there are too many; all of them once the new are complete. Leftovers of before go with them. */
function cordonMore(
  input: PlanInput,
  { wanted, others, leaving }: { wanted: Sides; others: Sides; leaving: readonly PlannedVm[] },
): PlannedStep | null {
  const { count } = input.target;
  const excess = wanted.serving.length + others.serving.length - count;
  const isComplete = wanted.serving.length >= count;
  const old = isComplete ? others.serving : others.serving.slice(0, Math.max(0, excess));
  const surplus = wanted.serving.slice(count);
  const cordoned = [...old, ...surplus, ...leaving];
  return cordoned.length > 0 ? step("cordon", cordoned) : null;
}

function step(kind: PlannedStep["kind"], vms: readonly PlannedVm[]): PlannedStep {
  return { kind, vms: vms.map((vm) => vm.vm) };
}
