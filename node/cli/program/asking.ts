// Asking: what all commands that ask an agent have in common on the command line.

import type { Command } from "commander";

const API_HELP =
  "agent to ask: http://HOST:PORT or the path of its unix socket (default: GRAPEVINE_API, then the dev cluster that runs)";
export const JSON_HELP = "print JSON";

export const EXIT_CODES = `
Exit codes:
  0  done          1  a start or a check failed; what ran before runs
  2  usage, configuration, or no agent reachable
  3  waited too long: a rollout went back, a write stands; or detached before the end
  4  locked by another rollout of the app
  5  aborted       6  done, except for members that are named`;

export type SetExitCode = (code: number) => void;

/** A command under `parent` that asks an agent. `isDefault`: also run when the parent is given without one. */
export function asking(
  parent: Command,
  usage: string,
  description: string,
  examples: string,
  options: { readonly isDefault?: boolean } = {},
): Command {
  return parent
    .command(usage, options)
    .description(description)
    .option("--api <URL-or-socket>", API_HELP)
    .option("--json", JSON_HELP)
    .addHelpText("after", `\nExamples:\n${examples.replace(/^/gm, "  ")}`);
}
