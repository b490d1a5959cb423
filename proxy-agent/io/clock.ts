// Clock: milliseconds since 1970 that only move forward. What people set on the wall clock while we run is not seen here,
// so that one clock serves deadlines and what is told to others.

import { readFileSync } from "node:fs";

export function monotonicUnixMs(): number {
  return performance.timeOrigin + performance.now();
}

/**
 * Milliseconds since this machine started: the clock of leases, as the agents of hosts read it. It runs on while the machine is suspended, which
 * the other does not. Throws when it cannot be read.
 */
export function uptimeMs(): number {
  const seconds = Number.parseFloat(readFileSync("/proc/uptime", "utf8"));
  if (!Number.isFinite(seconds)) throw new Error("/proc/uptime is no number");
  return Math.round(seconds * 1000);
}
