import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  LEASE_KILL_MS,
  LEASE_MS_MAX,
  LEASE_MS_MIN,
  LEASE_RATE_BOUND,
  leaseUntilMs,
  takeoverAfterMs,
} from "./lease.ts";

/** A clock of a machine: its rate is within the bound, what it shows says nothing. */
const anyClock = fc.record({
  rate: fc.double({ min: 1 - LEASE_RATE_BOUND, max: 1 + LEASE_RATE_BOUND, noNaN: true }),
  zeroMs: fc.integer({ min: 0, max: 10 ** 10 }),
});
type Clock = { readonly rate: number; readonly zeroMs: number };

/** What the clock shows at a true time, and the true time at which it shows that. */
const shown = ({ rate, zeroMs }: Clock, trueMs: number) => zeroMs + trueMs * rate;
const trueOf = ({ rate, zeroMs }: Clock, ms: number) => (ms - zeroMs) / rate;

describe("a lease", () => {
  it("is over at its holder, and the VM killed, before anybody takes over, however their clocks run", () => {
    const seed = Date.now() % 2 ** 31;
    process.stdout.write(`leases of seed ${seed}\n`);
    const leaseMs = fc.integer({ min: LEASE_MS_MIN, max: LEASE_MS_MAX });
    const ms = fc.integer({ min: 0, max: 10 ** 7 });
    const property = fc.property(
      anyClock,
      anyClock,
      leaseMs,
      ms,
      ms,
      (holder, driver, lease, sent, later) => {
        // The last question that was answered with yes was sent before the commit, and the driver knew of that after it.
        const knownMs = sent + later;
        const endMs = trueOf(holder, leaseUntilMs(shown(holder, sent), lease));
        const takeoverMs = trueOf(driver, shown(driver, knownMs) + takeoverAfterMs(lease));
        const killedMs = endMs + LEASE_KILL_MS / (1 + LEASE_RATE_BOUND) - 1;
        expect(takeoverMs).toBeGreaterThanOrEqual(killedMs);
      },
    );
    fc.assert(property, { seed, numRuns: 2_000 });
  });

  it("of ten seconds is waited for for ten and three quarters", () => {
    expect(takeoverAfterMs(10_000)).toBe(10_704);
  });
});
