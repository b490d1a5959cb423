// Canary: the new release gets a few percent of the requests, then more, each weight until what the proxies counted says that it is no
// worse; then the rest follows as in a rolling deploy. As many new VMs carry a weight as would carry it in the end, one at least.

import type { Weights } from "../../../../mesh/index.ts";
import { nextAtOnceStep } from "./all-at-once.ts";
import { nextRollingStep } from "./rolling.ts";
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

export const canary: Strategy = {
  plan: (input) => unrolled(input, nextStep),
};

function nextStep(input: PlanInput): PlannedStep | null {
  const { canary: plan, target } = input;
  const { wanted, others } = sidesOf(input);
  const present = plan?.present ?? null;
  const [weight] = plan?.left ?? [];
  // Nothing is left to be compared, or nothing to compare it with.
  if (weight === undefined || others.serving.length === 0) {
    // The split stands until all of the rest is up: then requests change over at once.
    if (input.atomic !== undefined) return nextAtOnceStep(input, "quick");
    return present === null ? nextRollingStep(input) : { kind: "weigh", vms: [], weights: null };
  }
  if (others.starting.length > 0) return stepOf("stop", others.starting);
  const entering = [...wanted.cordoned, ...wanted.starting, ...wanted.standby];
  if (entering.length > 0) {
    const first = present === null ? { weights: splitOf(input, others.serving, 0) } : {};
    return { ...stepOf("serve", entering), ...first };
  }
  const missing = Math.max(1, Math.ceil((target.count * weight) / 100)) - wanted.serving.length;
  if (missing > 0) return { kind: "start", vms: nextNames(input, missing) };
  if (present === weight) return stepOf("bake", wanted.serving);
  return { kind: "weigh", vms: [], weights: splitOf(input, others.serving, weight) };
}

/** What is left of 100 falls to the others by their VMs: most often that is one release. */
function splitOf({ target }: PlanInput, others: readonly PlannedVm[], weight: number): Weights {
  const releases = [...new Set(others.map((vm) => vm.release))].sort((left, right) => left - right);
  let rest = 100 - weight;
  const split = releases.map((release, index) => {
    const count = others.filter((vm) => vm.release === release).length;
    const isLast = index === releases.length - 1;
    const share = isLast ? rest : Math.floor(((100 - weight) * count) / others.length);
    rest -= share;
    return { release, weight: share };
  });
  return [...split, { release: target.release ?? 0, weight }];
}
