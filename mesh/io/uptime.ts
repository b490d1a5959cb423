// Uptime: the clock of leases. A file of its own, since each VM's watchdog loads it and nothing else of mesh.

import { readFileSync } from "node:fs";

/**
 * Milliseconds since this machine started. It runs on while the machine is suspended, which timers and `process.hrtime` do not, and all processes
 * of the machine read the same. A hundredth of a second fine. Throws when it cannot be read: who asks has no lease then.
 */
export function uptimeMs(): number {
  const seconds = Number.parseFloat(readFileSync("/proc/uptime", "utf8"));
  if (!Number.isFinite(seconds)) throw new Error("/proc/uptime is no number");
  return Math.round(seconds * 1000);
}
