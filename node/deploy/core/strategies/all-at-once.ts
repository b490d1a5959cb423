// All at once: every new VM is up and dialled by every proxy, and reached by nobody; then one commit routes to them and to no old
// one. Immediate goes straight on; bluegreen is reached by its preview name meanwhile, may wait for a person, and may keep the old.
// The way back is rolling's.

import { nextAtomicStep } from "./atomic.ts";
import {
  nextNames,
  type PlanInput,
  type PlannedStep,
  type PlannedVm,
  type Strategy,
  sidesOf,
  stepOf,
  unrolled,
} from "./strategy.ts";

export const immediate: Strategy = {
  plan: (input) => unrolled({ ...input, needsApproval: false }, (now) => nextAtOnceStep(now, "quick")),
};

export const bluegreen: Strategy = {
  plan: (input) => unrolled(input, (now) => nextAtOnceStep(now, "previewed")),
};

export function nextAtOnceStep(input: PlanInput, way: "quick" | "previewed"): PlannedStep | null {
  return nextAtomicStep(input, (now) => nextStep(now, way));
}

function nextStep(input: PlanInput, way: "quick" | "previewed"): PlannedStep | null {
  const { count } = input.target;
  const { wanted, others } = sidesOf(input);
  if (others.starting.length > 0) return stepOf("stop", others.starting);
  const leaving = [...others.cordoned, ...others.standby, ...wanted.cordoned];
  const left = leaving.filter((vm) => !isKept(vm, input));
  const retired = left.filter((vm) => vm.phase === "cordoned" && input.retiring.includes(vm.vm));
  if (retired.length > 0) return stepOf("stop", retired);
  const here = wanted.starting.length + wanted.standby.length + wanted.serving.length;
  // What an earlier rollout left or kept goes first: three releases at once need three times the room.
  if (here === 0 && leaving.length > 0) return stepOf("cordon", leaving);
  if (here < count) return { kind: "start", vms: nextNames(input, count - here) };
  if (wanted.starting.length > 0) {
    const isFirst = others.serving.length === 0 && way === "quick";
    return stepOf(isFirst ? "serve" : "standby", wanted.starting);
  }
  if (wanted.standby.length > 0) return takeOver(input, wanted.standby, others.serving);
  // By weight both serve: it takes over once somebody said so.
  if (input.needsApproval && others.serving.length > 0) return stepOf("approve", wanted.serving);
  const rest = [...others.serving, ...left];
  return rest.length > 0 ? stepOf("cordon", rest) : null;
}

function takeOver(input: PlanInput, standby: readonly PlannedVm[], old: readonly PlannedVm[]): PlannedStep {
  if (input.needsApproval) return stepOf("approve", standby);
  if (old.length === 0) return stepOf("serve", standby);
  return { ...stepOf("flip", old), serves: standby.map((vm) => vm.vm) };
}

/** Only once the new ones took over: what is there before is of an earlier rollout. */
function isKept(vm: PlannedVm, { kept, target, vms }: PlanInput): boolean {
  const hasTakenOver = vms.some((other) => other.release === target.release && other.phase === "serving");
  return vm.release === kept && vm.phase === "cordoned" && hasTakenOver;
}
