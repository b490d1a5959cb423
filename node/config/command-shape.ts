// Command shape: a program and its arguments, as people write them.

import { type ZodType, z } from "zod";
import { told } from "../../mesh/keys.ts";

const ARGUMENTS_MAX = 64;

/** `example`: the line of an app file that messages tell to write. */
export function commandShape(example: string): ZodType<string[]> {
  const listText = `must be a list with the program and its arguments, at most ${ARGUMENTS_MAX}, for example ${example}`;
  const argumentText = `must be a text of at most 4096 characters, for example ${example}`;
  const argument = z.string(argumentText).max(4_096, argumentText).refine(hasNoNul, argumentText);
  const shape = z
    .array(argument, listText)
    .min(1, listText)
    .max(ARGUMENTS_MAX, listText)
    .refine((command) => command[0]?.trim() !== "", listText);
  return told(shape, { type: `list of 1 to ${ARGUMENTS_MAX} texts` });
}

/** A process takes no argument or variable with a NUL in it. */
export function hasNoNul(text: string): boolean {
  return !text.includes("\0");
}
