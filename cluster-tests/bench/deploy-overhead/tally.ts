// Tally: where the time of one deploy went, in parts that add up to the whole. Pure.

import type { AppView } from "../../../node/deploy/app-view.ts";

/** A deploy that is over, in milliseconds. */
export interface DeployTimes {
  /** From the submission to the moment at which its end was known. */
  readonly totalMs: number;
  /** From the submission to the moment at which its first commit was known. */
  readonly submitMs: number;
  /** Of the record: each step, from the moment at which its commit was known to the driver until nothing was missing. */
  readonly steps: readonly { readonly kind: string; readonly waitedMs: number }[];
  /** From the start of the new VM's process until its host found it healthy, by the clock of that host. */
  readonly startMs: number;
  /** From the old VM's stop signal to its end, by its own clock. */
  readonly stopMs: number;
}

/** `own`: what the VMs themselves took, of the step of that name. The rest is what the deploy cost. */
interface Part {
  readonly name: string;
  readonly allMs: number;
  readonly ownMs: number;
}

export interface Tally {
  readonly overheadMs: number;
  readonly totalMs: number;
  /** In the order in which they come; commits after the first are one part, the last. */
  readonly parts: readonly Part[];
}

export function tally({ totalMs, submitMs, steps, startMs, stopMs }: DeployTimes): Tally {
  const own: Readonly<Record<string, number>> = { start: startMs, stop: stopMs };
  const waits = steps.map(({ kind, waitedMs }) => ({
    name: kind,
    allMs: waitedMs,
    // A step is no longer than it is: its own figures are of two clocks, whole milliseconds each.
    ownMs: Math.min(waitedMs, own[kind] ?? 0),
  }));
  const waitedMs = sumOf(waits.map(({ allMs }) => allMs));
  const parts = [
    { name: "submit", allMs: submitMs, ownMs: 0 },
    ...waits,
    { name: `${steps.length} more commits`, allMs: totalMs - submitMs - waitedMs, ownMs: 0 },
  ];
  return { totalMs, overheadMs: totalMs - sumOf(parts.map(({ ownMs }) => ownMs)), parts };
}

/** The steps of a rollout that ended well, and the names of the two VMs; throws what is not as it should be. */
export function endedWell({ rollout }: AppView): {
  readonly steps: DeployTimes["steps"];
  readonly started: string;
  readonly stopped: string;
} {
  if (rollout?.state !== "succeeded")
    throw new Error(`${rollout?.id} is ${rollout?.state}: ${rollout?.reason?.message}`);
  const vmOf = (kind: string): string => rollout.history.find((step) => step.kind === kind)?.vms[0] ?? "";
  return { steps: rollout.history, started: vmOf("start"), stopped: vmOf("stop") };
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
