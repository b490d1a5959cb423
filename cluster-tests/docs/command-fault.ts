// Command fault: whether the program would take a command line as a page writes it. Nothing of it is run.

import { type Command, CommanderError } from "commander";
import { createProgram } from "../../node/cli/program/run-command.ts";

/** Those that the program itself passes on: what they take is said by their own --help. */
const PASSED_ON = /^(?:gate|proxy --|bench (?:convergence|deploy-overhead)|proxy$)/;

/** `words`: what follows `grapevine`. Null: nothing is wrong. */
export async function commandFault(words: readonly string[]): Promise<string | null> {
  if (PASSED_ON.test(words.join(" "))) return null;
  const program = createProgram(() => undefined);
  disarm(program);
  try {
    await program.parseAsync([...words], { from: "user" });
    return null;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? null : error.message;
  }
}

function disarm(command: Command): void {
  const silent = (): void => undefined;
  command.exitOverride().configureOutput({ writeOut: silent, writeErr: silent });
  if (command.commands.length === 0) command.action(silent);
  for (const below of command.commands) disarm(below);
}
