// Exit words: what each exit code says, for --help, README.md and docs/cli.md alike; a test holds the pages against it.

import type { ExitCode } from "./exit-code.ts";

interface ExitWords {
  readonly short: string;
  /** As docs/cli.md has it. */
  readonly means: string;
}

export const EXIT_WORDS: Readonly<Record<ExitCode, ExitWords>> = {
  0: { short: "done", means: "done: what the command promises is so" },
  1: {
    short: "a start or a check failed; what ran before runs",
    means:
      "a start or a check failed: what ran before runs; of `diff`: they differ; of `doctor`: something fails",
  },
  2: {
    short: "usage, configuration, or no agent reachable",
    means:
      "usage, configuration, or no agent reachable: nothing was changed, or, while following, what came of it is not known",
  },
  3: {
    short: "waited too long: a rollout went back, a write stands; or detached before the end",
    means:
      "waited too long: a rollout went back to what ran before, a write stands and the members without it are named; or detached (Ctrl-C, `--detach`) before the end was known",
  },
  4: {
    short: "locked by another rollout of the app",
    means: "another rollout of the app runs: nothing was changed",
  },
  5: { short: "aborted", means: "aborted" },
  6: { short: "done, except for members that are named", means: "done, except for members that are named" },
};

/** A line for each code. */
export function exitLines(): string {
  return Object.entries(EXIT_WORDS)
    .map(([code, { short }]) => `  ${code}  ${short}`)
    .join("\n");
}
