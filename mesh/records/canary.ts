// Canary: what is counted of a release while a canary bakes, in buckets that every proxy and every driver know alike.

/** Two buckets up is this factor: what "so many times slower" is measured with, without a bucket's width of doubt. */
export const WAIT_FACTOR = 1.5;
export const WAIT_FACTOR_BUCKETS = 2;
/** From a quarter of a millisecond, which only a loopback is faster than, to 88 s. */
const WAIT_FIRST_MS = 0.25;
const WAIT_BUCKETS = 64;
/** Upper ends of the buckets of `waits`, milliseconds; a last one without an end follows. */
export const WAIT_BOUNDS_MS: readonly number[] = Array.from(
  { length: WAIT_BUCKETS },
  (_, index) => WAIT_FIRST_MS * WAIT_FACTOR ** (index / WAIT_FACTOR_BUCKETS),
);

/** The index in `waits`. */
export function waitBucket(ms: number): number {
  const steps = (Math.log(ms / WAIT_FIRST_MS) * WAIT_FACTOR_BUCKETS) / Math.log(WAIT_FACTOR);
  return Math.min(WAIT_BUCKETS, Math.max(0, Math.ceil(steps)));
}

export function noWaits(): number[] {
  return Array.from({ length: WAIT_BUCKETS + 1 }, () => 0);
}

/** Of one release, since the step's table came into force. Each number only grows while the proxy runs. */
export interface ReleaseCounts {
  readonly release: number;
  /** Tries that were sent to a VM of it and ended; not those whose client left. */
  readonly requests: number;
  /** Of `requests`: answered with 5xx, not answered, or broken off. */
  readonly errors: number;
  /**
   * By bucket of `WAIT_BOUNDS_MS`: from the sending to the head of the answer, or to the end without one: also of those whose client
   * left before it, which waited at least so long.
   */
  readonly waits: readonly number[];
}
