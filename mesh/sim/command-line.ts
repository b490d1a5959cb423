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
