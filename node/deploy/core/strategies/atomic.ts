// Atomic: no request is sent to an old VM once one was sent to a new one. The app's requests are held while the old ones leave; once their
// gates have closed them, whoever sends, one commit lets the new ones serve and lifts the hold. The way back takes the same order.

import { nextRollingStep } from "./rolling.ts";
import { nextNames, type PlanInput, type PlannedStep, type PlannedVm, sidesOf, stepOf } from "./strategy.ts";

/** What `next` would have leave while the new ones serve, or come to, leaves by a hold. */
export function nextAtomicStep(
  input: PlanInput,
  next: (input: PlanInput) => PlannedStep | null,
): PlannedStep | null {
  const { atomic, target, vms } = input;
  if (atomic?.isHeld === true) return liftingStep(input);
  const step = next(input);
  if (atomic === undefined || (step?.kind !== "flip" && step?.kind !== "cordon")) return step;
  const serves = vms.some(
    ({ vm, phase, release }) => phase === "serving" && release !== target.release && step.vms.includes(vm),
  );
  return serves ? { kind: "hold", vms: step.vms, hold: "placed" } : step;
}

/** Before the old ones serve again all of them are up, and what serves instead is closed. What serves by weight beside them just leaves. */
export function nextAtomicStepBack(input: PlanInput): PlannedStep | null {
  const { atomic, target } = input;
  if (atomic?.isHeld === true) return liftingStep(input);
  const { wanted, others } = sidesOf(input);
  if (others.serving.length === 0 || wanted.serving.length > 0 || target.count === 0)
    return nextRollingStep(input);
  if (others.starting.length > 0) return stepOf("stop", others.starting);
  const up = wanted.cordoned.length + wanted.standby.length + wanted.starting.length;
  const missing = target.count - up;
  if (missing > 0) return { kind: "start", vms: nextNames(input, missing) };
  if (wanted.starting.length > 0) return stepOf("standby", wanted.starting);
  return { ...stepOf("hold", others.serving), hold: "placed" };
}

/** All of the target that are up serve, and all else stays closed. */
function liftingStep(input: PlanInput): PlannedStep {
  const { wanted, others } = sidesOf(input);
  const up = [...wanted.serving, ...wanted.standby, ...wanted.cordoned].slice(0, input.target.count);
  const closed = [...others.serving, ...others.cordoned];
  // Where nothing is left that could take over, what was closed serves on.
  return up.length === 0 ? lifted(closed, []) : lifted(up, closed);
}

/** One commit: `entering` serve, `leaving` do not, and requests are sent on. */
export function lifted(entering: readonly Named[], leaving: readonly Named[]): PlannedStep {
  const serves = entering.map(({ vm }) => vm);
  if (leaving.length === 0) return { kind: "serve", vms: serves, hold: "lifted" };
  return { kind: "flip", vms: leaving.map(({ vm }) => vm), serves, hold: "lifted" };
}

type Named = Pick<PlannedVm, "vm">;
