// Uptime: the clock of leases. A file of its own, since each VM's watchdog loads it and nothing else of mesh.

import { openSync, readSync } from "node:fs";

const text = Buffer.alloc(64);
/** Stays open: who is out of file descriptors can still tell whether a lease is over. */
let file: number | undefined;

/** Whether a lease until then is over, by `nowMs`: a clock that cannot be read leaves none. */
export function isLeaseOver(untilMs: number, nowMs: () => number): boolean {
  try {
    return untilMs <= nowMs();
  } catch {
    return true;
  }
}

/**
 * Milliseconds since this machine started. It runs on while the machine is suspended, which timers and `process.hrtime` do not, and all processes
 * of the machine read the same. A hundredth of a second fine. Throws when it cannot be read: who asks has no lease then.
 */
export function uptimeMs(): number {
  file ??= openSync("/proc/uptime", "r");
  const seconds = Number.parseFloat(text.toString("latin1", 0, readSync(file, text, 0, text.length, 0)));
  if (!Number.isFinite(seconds)) throw new Error("/proc/uptime is no number");
  return Math.round(seconds * 1000);
}
