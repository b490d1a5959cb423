// Wait for output: how the tests beside it know that a real process has come so far.

import { watch } from "node:fs/promises";
import { join } from "node:path";
import { readLastLines } from "./output-tail.ts";

/** The first line in the VM's output that starts with `start`, as soon as it is there. */
export async function outputLine(folder: string, start: string): Promise<string> {
  const stop = new AbortController();
  // Watched before the first look, so that no write falls between the two. The folder: the file may not be there yet.
  const changes = watch(folder, { signal: stop.signal });
  const next = changes[Symbol.asyncIterator]();
  let change = next.next();
  try {
    for (;;) {
      const lines = await readLastLines(join(folder, "output.log"), 1000);
      const found = lines.find((line) => line.startsWith(start));
      if (found !== undefined) return found;
      await change;
      change = next.next();
    }
  } finally {
    change.catch(() => undefined);
    stop.abort();
  }
}
