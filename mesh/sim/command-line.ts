// Command line: what the simulators' commands have in common: options read strictly, whole numbers within bounds, one kind of error.

import { type ParseArgsConfig, parseArgs } from "node:util";
import { messageOf } from "../result.ts";

/** What was asked for is not possible: exit code 2. */
export class UsageError extends Error {}

/** Throws `UsageError` for an option that there is not. */
export function parseOptions<Config extends ParseArgsConfig>(
  config: Config,
  args: readonly string[],
): ReturnType<typeof parseArgs<Config>>["values"] {
  try {
    return parseArgs({ ...config, args: [...args] }).values;
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}

/** Throws `UsageError` unless `text` is a whole number in the range, ends included. */
export function intOf(name: string, text: string, [min, max]: readonly [number, number]): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`--${name}: "${text}" is not a whole number from ${min} to ${max}`);
}

export interface CommandLine<Command> {
  /** Throws `UsageError`. */
  readonly parse: (args: readonly string[]) => Command | "help";
  readonly help: () => string;
  /** Resolves to the exit code. */
  readonly run: (command: Command) => Promise<number>;
  /** How one asks for the help: the last line of what is said of a mistake. */
  readonly hint: string;
}

/** Runs what this process was started with. Sets its exit code: 2 for a mistake of usage. */
export async function runCommandLine<Command>({
  parse,
  help,
  run,
  hint,
}: CommandLine<Command>): Promise<void> {
  try {
    const command = parse(process.argv.slice(2));
    if (command === "help") process.stdout.write(help());
    else process.exitCode = await run(command);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n${hint}\n`);
    process.exitCode = 2;
  }
}
