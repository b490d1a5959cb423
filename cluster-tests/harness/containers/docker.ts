// Docker: its command line, as a person would type it. Nothing else of the harness talks to the engine.

import { type CommandOptions, type CommandResult, type RunningCommand, startCommand } from "../command.ts";

/** Resolves with what it printed, trimmed. Rejects with what it said when it fails. */
export async function docker(...args: readonly string[]): Promise<string> {
  // Out of the reach of Ctrl-C in a terminal: cut off in the middle, nobody would know what the engine still makes of it.
  const { code, stdout, stderr } = await startDocker(args, { input: "", ownGroup: true }).result;
  if (code !== 0) throw new Error(`docker ${args.join(" ")}: exit code ${code}: ${stderr.trim()}`);
  return stdout.trim();
}

/** For what is followed, and for what may fail. */
export function startDocker(
  args: readonly string[],
  options: Pick<CommandOptions, "input" | "ownGroup"> = {},
): RunningCommand {
  return startCommand("docker", args, options);
}

/** Compose in whatever spelling is there; null: in none. */
export async function composeCommand(): Promise<readonly string[] | null> {
  for (const spelling of [["docker", "compose"], ["docker-compose"]]) {
    if ((await tryCommand([...spelling, "version"])) !== null) return spelling;
  }
  return null;
}

/** null: the program is not there, or it failed. */
async function tryCommand([file = "", ...args]: readonly string[]): Promise<CommandResult | null> {
  try {
    const ended = await startCommand(file, args, { input: "" }).result;
    return ended.code === 0 ? ended : null;
  } catch {
    return null;
  }
}
