// CLI: runs the real command line as its users do, as a process.

import { fileURLToPath } from "node:url";
import { type CommandResult, type RunningCommand, startCommand } from "./command.ts";

const MAIN = fileURLToPath(new URL("../../node/cli/main.ts", import.meta.url));

export type CliResult = CommandResult;
export type RunningCli = RunningCommand;

/** Starts `grapevine …args` with `env` added to the environment. `ownGroup`: a process group, as a terminal gives it. */
export function startCli(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  options: { readonly ownGroup?: boolean } = {},
): RunningCli {
  return startCommand(process.execPath, [MAIN, ...args], { env, ...options });
}

export function runCli(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  return startCli(args, env).result;
}
