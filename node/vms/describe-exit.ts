// Describe exit: how a VM ended, for people.

import type { VmExit } from "./vm-driver.ts";

/** "exited with code 1 after 80 ms". `ranForMs` null: when it ended is not known. */
export function describeExit(exit: VmExit, ranForMs: number | null): string {
  const when = ranForMs === null ? " while its agent was away" : ` after ${describeDuration(ranForMs)}`;
  if (exit.signal !== null) return `was ended by ${exit.signal}${when}`;
  return exit.code === null
    ? `ended${when}, its exit code was not seen`
    : `exited with code ${exit.code}${when}`;
}

function describeDuration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  return ms < 60_000 ? `${(ms / 1_000).toFixed(1)} s` : `${Math.round(ms / 60_000)} min`;
}
