// Usage error: how a command that was written wrongly says so under `--json`.

import { EXIT } from "./exit-code.ts";

/** Commander has told it on standard error already. */
export function printUsageError(told: string): void {
  const error = { code: "invalid", message: told.replace(/^error: /, "") };
  process.stdout.write(`${JSON.stringify({ error, exitCode: EXIT.usage })}\n`);
}
