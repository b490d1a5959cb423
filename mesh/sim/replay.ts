// How a run is told to people: the line that replays it, what failed, and the last events before that.

import type { Violation } from "./invariants.ts";
import { runSeed, type SeedOptions, type SeedResult, type Trace } from "./run-seed.ts";

/** Of a failing seed, told unasked. */
const LINES_BEFORE_FAILURE = 40;
const VIOLATIONS_TOLD_MAX = 5;

export function replayLine({ hosts, seed, profile, broken, connections }: SeedOptions): string {
  const degree = connections === undefined ? "" : ` --connections ${connections}`;
  const without = broken === undefined ? "" : ` --break ${broken}`;
  return `npm run sim -- --hosts ${hosts} --seeds 1 --seed ${seed} --profile ${profile}${degree}${without} --verbose`;
}

export function traceLine(atMs: number, line: string): string {
  return `${atMs.toFixed(3).padStart(12)} ${line}\n`;
}

function describeViolation({ invariant, atMs, text }: Violation): string {
  return `${invariant} at ${atMs.toFixed(3)} ms: ${text}`;
}

/** Runs the seed again for its last events before the first violation: the same ones, to the byte. */
export function describeFailure(options: SeedOptions, { violations }: SeedResult): string {
  const firstAtMs = Math.min(...violations.map(({ atMs }) => atMs));
  const lines: string[] = [];
  const trace: Trace = (atMs, line) => {
    if (atMs > firstAtMs) return;
    lines.push(traceLine(atMs, line));
    if (lines.length > 2 * LINES_BEFORE_FAILURE) lines.splice(0, LINES_BEFORE_FAILURE);
  };
  runSeed(options, trace);
  const told = violations
    .slice(0, VIOLATIONS_TOLD_MAX)
    .map((violation) => `  ${describeViolation(violation)}\n`);
  const more = violations.length - told.length;
  return [
    `seed ${options.seed} failed:\n`,
    ...told,
    more > 0 ? `  and ${more} more\n` : "",
    "its last events before that:\n",
    ...lines.slice(-LINES_BEFORE_FAILURE),
    `to see all of it: ${replayLine(options)}\n`,
  ].join("");
}
