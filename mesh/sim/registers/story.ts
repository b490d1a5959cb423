// Story: how a failed seed is told: what failed, what happened to that register before, and the line that repeats it.

import type { Trace } from "./clock.ts";
import type { Violation } from "./judge.ts";
import { runSeed, type SeedOptions, type SeedResult } from "./run-seed.ts";

/** Of one register two epochs fit, and what came between. */
const LINES_MAX = 60;
/** What a majority had before the commits that the failure is about. */
const COMMITS_BEFORE = 2;

export function replayLine({ seed, apps, broken }: SeedOptions): string {
  const without = broken === null ? "" : ` --break ${broken}`;
  return `npm run sim:registers -- --seeds 1 --seed ${seed} --apps ${apps}${without}`;
}

export function traceLine(atMs: number, line: string): string {
  return `${atMs.toFixed(3).padStart(12)} ${line}\n`;
}

/** Runs the seed again for what happened to the register of its first violation. */
export function describeFailure(options: SeedOptions, { violations }: SeedResult): string {
  const [first] = violations;
  if (first === undefined) return "";
  return [
    `seed ${options.seed} failed:\n`,
    ...violations.slice(0, COMMITS_BEFORE).map((violation) => `  ${describeViolation(violation)}\n`),
    first.register === null ? "the end of what happened:\n" : `what happened to ${first.register} before:\n`,
    ...storyOf(options, first),
    `again: ${replayLine(options)}\n`,
  ].join("");
}

function describeViolation({ invariant, atMs, register, text }: Violation): string {
  return `${invariant} at ${atMs.toFixed(3)} ms${register === null ? "" : `, ${register}`}: ${text}`;
}

/** From before the last commits that were whole; lines of other registers are left out. */
function storyOf(options: SeedOptions, { register }: Violation): readonly string[] {
  const lines: string[] = [];
  const trace: Trace = (atMs, line, of) => {
    if (of === null || of === register) lines.push(traceLine(atMs, line));
  };
  runSeed(options, trace);
  const end = lines.findIndex((line) => line.includes(" FAILS: ")) + 1;
  const told = end > 0 ? lines.slice(0, end) : lines;
  const commits = told.flatMap((line, at) => (line.includes(" CHOSEN ") ? [at] : []));
  const from = commits.at(-1 - COMMITS_BEFORE) ?? 0;
  return told.slice(Math.max(from, told.length - LINES_MAX));
}
