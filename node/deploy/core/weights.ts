// Weights: what a record may say of the split of requests, given which of its releases serve.

import { type AppRecord, WEIGHTS_SUM, type Weights } from "../../../mesh/index.ts";

/**
 * The record with `weights`, or without any where they say nothing: they name releases that have serving VMs alone, and what another
 * one had falls to those by their shares.
 */
export function withWeights(
  { weights: _before, ...record }: AppRecord,
  weights: Weights | undefined,
): AppRecord {
  const serving = new Set(record.vms.filter(({ phase }) => phase === "serving").map((vm) => vm.release));
  const left = (weights ?? []).filter(({ release }) => serving.has(release));
  const sum = left.reduce((total, { weight }) => total + weight, 0);
  if (sum === 0 || serving.size < 2) return record;
  return { ...record, weights: sum === WEIGHTS_SUM ? left : scaled(left, sum) };
}

/** `release` gets nothing from now on; what it had falls to the others. As before where they have nothing, or no split is in force. */
export function withoutShareOf(release: number | null, record: AppRecord): AppRecord {
  const others = (record.weights ?? []).filter((one) => one.release !== release);
  const sum = others.reduce((total, { weight }) => total + weight, 0);
  if (release === null || sum === 0) return record;
  return { ...record, weights: [...scaled(others, sum), { release, weight: 0 }] };
}

/** To the whole, in whole percents: what rounding leaves goes to the one with the most. */
function scaled(weights: Weights, sum: number): Weights {
  const whole = weights.map(({ release, weight }) => ({
    release,
    weight: Math.floor((WEIGHTS_SUM * weight) / sum),
  }));
  const rest = WEIGHTS_SUM - whole.reduce((total, { weight }) => total + weight, 0);
  const most = Math.max(...whole.map(({ weight }) => weight));
  const first = whole.findIndex(({ weight }) => weight === most);
  return whole.map((one, index) => (index === first ? { ...one, weight: one.weight + rest } : one));
}
