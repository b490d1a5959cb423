// Histogram: how many of each size, in buckets that were chosen beforehand, so that it never grows.

export interface HistogramView {
  /** Upper ends of the buckets, ascending; a last bucket without an end follows. */
  readonly bounds: readonly number[];
  /** One more than bounds. Not cumulative. */
  readonly counts: readonly number[];
  readonly sum: number;
}

export class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  /** `bounds`: ascending. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  add(value: number): void {
    const found = this.#bounds.findIndex((bound) => value <= bound);
    const bucket = found === -1 ? this.#bounds.length : found;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += value;
  }

  view(): HistogramView {
    return { bounds: this.#bounds, counts: [...this.#counts], sum: this.#sum };
  }
}
