// Lease: the arithmetic of leases, for who holds one and for who waits for its end. Pure.
//
// The holder counts from the moment when it sent the question that a majority answered. Who takes over counts from the moment when it knew of
// the commit that takes the holder's VM out of the record: no question that was sent later is answered with yes. Both clocks run at their own
// rates; as long as each is within `LEASE_RATE_BOUND` of the true one, the holder's end comes first.

/** How far the clock of a machine may run fast or slow, as a share. Crystals are within 0.01 %; 1 % is what a broken one does. */
export const LEASE_RATE_BOUND = 0.01;
/** From the end of a lease to the end of the VM's processes: the watchdog looks, and the kernel kills. */
export const LEASE_KILL_MS = 500;

export const LEASE_MS_MIN = 2_000;
export const LEASE_MS_MAX = 600_000;

/** By the holder's clock. */
export function leaseUntilMs(sentAtMs: number, leaseMs: number): number {
  return sentAtMs + leaseMs;
}

/** So long after it knew of the commit, by its own clock, somebody else may start a VM: the lease, 2 % of it, and half a second. */
export function takeoverAfterMs(leaseMs: number): number {
  return leaseMs + Math.ceil(leaseMs * 2 * LEASE_RATE_BOUND * (1 + 2 * LEASE_RATE_BOUND)) + LEASE_KILL_MS;
}

/** Three in a row may fail. */
export function renewEveryMs(leaseMs: number): number {
  return leaseMs / 4;
}

/** What must be left of a lease when a VM is started under it. */
export function leaseToStartMs(leaseMs: number): number {
  return leaseMs / 4;
}
