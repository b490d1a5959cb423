// Handoff: of an app that never runs twice. All that the new VM's start needs is at hand before anything else; then requests are held while
// the old one is closed, drained and ended; only then the new one is started, and gets what was held. The way back takes the same order, and
// so does whatever else puts one VM of such an app in the place of another.

import {
  nextNames,
  type Phases,
  type PlanInput,
  type PlannedStep,
  type PlannedVm,
  type Strategy,
  sidesOf,
  stepOf,
  unrolled,
} from "./strategy.ts";

export const handoff: Strategy = {
  plan: (input) => unrolled(input, nextHandoffStep),
};

function nextHandoffStep(input: PlanInput): PlannedStep | null {
  const { target, retiring } = input;
  const { wanted, others } = sidesOf(input);
  const up = running(wanted);
  if (running(others).length > 0) return clearingStep(input, wanted, others);
  const surplus = up.slice(target.count);
  if (surplus.length > 0) return leavingStep(surplus, retiring);
  if (up.length < target.count) return { kind: "start", vms: names(input, wanted, target.count - up.length) };
  const entering = up.filter(({ phase }) => phase !== "serving");
  if (entering.length > 0) return { ...stepOf("serve", entering), hold: "lifted" };
  const unused = [...others.prepared, ...wanted.prepared];
  return unused.length > 0 ? stepOf("stop", unused) : null;
}

/** What runs beside the target goes first, until none of it does: nothing is started before, unless by the step that ends the last. */
function clearingStep(input: PlanInput, wanted: Phases, others: Phases): PlannedStep {
  const { retiring, target, handoff } = input;
  const missing = Math.max(0, target.count - running(wanted).length);
  const isNext = missing > 0;
  if (others.serving.length > 0 && wanted.prepared.length < missing) {
    return { kind: "prepare", vms: nextNames(input, missing - wanted.prepared.length) };
  }
  const open = [...others.serving, ...others.opening, ...others.standby, ...others.cordoned];
  const areClosed = open.every(({ vm, phase }) => phase === "cordoned" && retiring.includes(vm));
  if (!areClosed && !isNext) return stepOf("cordon", open);
  if (!areClosed) return { ...stepOf("hold", open), hold: "placed" };
  const old = running(others);
  if (!isNext || handoff?.together !== true) return stepOf("stop", old);
  return { ...stepOf("handover", old), serves: names(input, wanted, missing) };
}

/** What was never routed, or is closed, is stopped; the rest is closed first. */
function leavingStep(surplus: readonly PlannedVm[], retiring: PlanInput["retiring"]): PlannedStep {
  const isFree = ({ vm, phase }: PlannedVm) =>
    phase === "starting" || (phase === "cordoned" && retiring.includes(vm));
  const free = surplus.filter(isFree);
  return free.length > 0 ? stepOf("stop", free) : stepOf("cordon", surplus);
}

/** Of those that are to run: the ones that are prepared, then new ones. */
function names(input: PlanInput, { prepared }: Phases, count: number): PlannedStep["vms"] {
  const ready = prepared.slice(0, count).map(({ vm }) => vm);
  return [...ready, ...nextNames(input, count - ready.length)];
}

/** Of all these a process may run; those that serve come first. */
function running({ serving, opening, standby, cordoned, starting }: Phases): readonly PlannedVm[] {
  return [...serving, ...opening, ...standby, ...cordoned, ...starting];
}
