// Rolling: new VMs serve, verified by every proxy, before as many old ones leave. With one VM and surge 1 there is no gap.
// The same function leads every rollout back: then the target is the release that served before.

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

export const rolling: Strategy = {
  plan: (input) => unrolled(input, nextRollingStep),
};

export function nextRollingStep(input: PlanInput): PlannedStep | null {
  const { count } = input.target;
  const { wanted, others } = sidesOf(input);
  // Put back what still runs before anything is started anew.
  const putBack = wanted.cordoned.slice(0, Math.max(0, count - wanted.serving.length));
  const room = Math.max(0, count - wanted.serving.length - putBack.length);
  // Never routed: nobody has to be asked.
  const unused = [...others.prepared, ...wanted.prepared];
  const dropped = [...unused, ...others.starting, ...wanted.starting.slice(room)];
  if (dropped.length > 0) return stepOf("stop", dropped);
  if (putBack.length > 0) return stepOf("serve", putBack);
  const entering = [...wanted.starting, ...wanted.opening, ...wanted.standby];
  if (entering.length > 0) return stepOf("serve", entering);
  const cordoned = [...others.cordoned, ...wanted.cordoned];
  const retired = cordoned.filter((vm) => input.retiring.includes(vm.vm));
  if (retired.length > 0) return stepOf("stop", retired);
  const leaving = [...cordoned, ...others.standby, ...others.opening];
  return startMore(input, wanted, others) ?? cordonMore(input, { wanted, others, leaving });
}

/** Start while there is room. Without leave to do with fewer, always when nothing new serves yet: no old one leaves before. */
function startMore(input: PlanInput, wanted: Phases, others: Phases): PlannedStep | null {
  const { count } = input.target;
  const missing = count - wanted.serving.length;
  const serving = wanted.serving.length + others.serving.length;
  if (missing <= 0) return null;
  const mustStart = wanted.serving.length === 0 && input.surge > 0 ? 1 : 0;
  const room = others.serving.length === 0 ? missing : Math.max(mustStart, count + input.surge - serving);
  if (room <= 0) return null;
  return { kind: "start", vms: nextNames(input, Math.min(missing, room)) };
}

/** As many old ones as may be missing; all of them once the new are complete. Leftovers of before go with them. */
function cordonMore(
  input: PlanInput,
  { wanted, others, leaving }: { wanted: Phases; others: Phases; leaving: readonly PlannedVm[] },
): PlannedStep | null {
  const { count } = input.target;
  const serving = wanted.serving.length + others.serving.length;
  const excess = serving - count + input.unavailable;
  const isComplete = wanted.serving.length >= count;
  const old = isComplete ? others.serving : others.serving.slice(0, Math.max(0, excess));
  const surplus = wanted.serving.slice(count);
  const cordoned = [...old, ...surplus, ...leaving];
  return cordoned.length > 0 ? stepOf("cordon", cordoned) : null;
}
