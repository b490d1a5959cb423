// Quantiles: what is said of many times in a few.

/** Milliseconds; null: nothing was measured, or something never came. */
export interface Quantiles {
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly maxMs: number | null;
}

/** Nearest rank: a figure that was measured, never one in between. `sorted` ascending, not empty; `share` in (0, 1]. */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export function quantilesOf(values: readonly number[]): Quantiles {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (share: number): number | null => {
    const value = percentile(sorted, share);
    return Number.isFinite(value) ? Math.round(value * 10) / 10 : null;
  };
  return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}
