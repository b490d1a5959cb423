// Run command: every command but those that run a member of the proxy's side.

import { Command, CommanderError } from "commander";
import { EXIT } from "../exit-code.ts";
import { plainLines } from "../table.ts";
import { printUsageError } from "../usage-error.ts";
import { EXIT_CODES, type SetExitCode } from "./asking.ts";
import { addDeployCommands } from "./deploy-commands.ts";
import { addEntryCommands } from "./entry-commands.ts";
import { addHostCommands } from "./host-commands.ts";
import { addIntrospectCommands } from "./introspect-commands.ts";
import { addCompletions, addLocalCommands } from "./local-commands.ts";
import { addMemberCommands } from "./member-commands.ts";
import { addProxyCommands } from "./proxy-commands.ts";
import { addShowCommands } from "./show-commands.ts";
import { addTrafficCommands } from "./traffic-commands.ts";
import { addVoterCommands } from "./voter-commands.ts";

/** Resolves with the exit code. `argv` is what follows "grapevine". */
export async function runCommand(argv: readonly string[]): Promise<number> {
  let exitCode: number = EXIT.done;
  const program = createProgram((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...argv], { from: "user" });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return EXIT.done;
    if (argv.includes("--json")) printUsageError(error.message);
    return EXIT.usage;
  }
}

/** Also what describes the commands: the documentation, and what shells complete. */
export function createProgram(setExitCode: SetExitCode): Command {
  const program = new Command("grapevine")
    .description("Service discovery by gossip, and deploys without a failed request.")
    .showHelpAfterError("`grapevine help COMMAND` shows how to write it.")
    .exitOverride()
    .configureOutput({ writeErr: (text) => process.stderr.write(plainLines(text)) })
    .addHelpText("after", EXIT_CODES);
  addDeployCommands(program, setExitCode);
  addTrafficCommands(program, setExitCode);
  addShowCommands(program, setExitCode);
  addIntrospectCommands(program, setExitCode);
  addEntryCommands(program, setExitCode);
  addHostCommands(program, setExitCode);
  addVoterCommands(program, setExitCode);
  addProxyCommands(program, setExitCode);
  addMemberCommands(program, setExitCode);
  addLocalCommands(program, setExitCode);
  addCompletions(program);
  return program;
}
