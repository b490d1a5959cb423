// Aged: what a view says of waits, as much later as it came before.

import type { StepView, Waiting } from "../deploy/app-view.ts";

export function agedStep(step: StepView, ageMs: number): StepView {
  const waitingFor = step.waitingFor.map((waiting) => agedWaiting(waiting, ageMs));
  return { ...step, forMs: step.forMs + ageMs, waitingFor };
}

export function agedWaiting(waiting: Waiting, ageMs: number): Waiting {
  const silence = waiting.silentMs === undefined ? {} : { silentMs: waiting.silentMs + ageMs };
  return { ...waiting, forMs: waiting.forMs + ageMs, ...silence };
}
