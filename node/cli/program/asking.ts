// Asking: what all commands that ask an agent have in common on the command line.

import type { Command } from "commander";
import { exitLines } from "../exit-words.ts";

const API_HELP =
  "agent to ask: http://HOST:PORT or the path of its unix socket (default: GRAPEVINE_API, then the dev cluster that runs)";
export const JSON_HELP = "print JSON";

export const EXIT_CODES: string = `\nExit codes:\n${exitLines()}`;

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
