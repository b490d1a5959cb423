// Refusals: what a person reads of an app file that is refused, a line each.

import { parseAppFile } from "../app-file.ts";

/** Empty: it is not refused. */
export function refusalsOf(text: string): readonly string[] {
  const parsed = parseAppFile("app.toml", text);
  if (parsed.ok) return [];
  return parsed.error.map(({ file, line, key, message }) => `${file}:${line}: ${key}: ${message}`);
}
