// Serving mark: a file that is there from the first admission until the proxy leaves. Who finds it at its start did not leave:
// voters still count on it, no VM that it may route to is stopped behind its back, so its last state may be served at once.
// Who left is counted on by nobody: what it knew may be long untrue.

import { existsSync } from "node:fs";
import path from "node:path";
import type { Logger } from "pino";
import { messageOf, removeDurably, writeDurably } from "../../mesh/index.ts";

const MARK_FILE = "proxy-serving";

export interface ServingMark {
  /** At the start: the last run of this proxy was admitted and did not leave. */
  readonly wasSet: boolean;
  /** Resolves when it is on disk, or could not be written, which is logged: then a crash is followed by a cold start. */
  set(): Promise<void>;
  /** Resolves when it is gone from the disk, or could not be taken away, which is logged. */
  clear(): Promise<void>;
}

/** `stateDir` must exist. */
export function openServingMark(stateDir: string, logger: Logger): ServingMark {
  const file = path.join(stateDir, MARK_FILE);
  const orLog = async (change: Promise<void>, meaning: string): Promise<void> => {
    try {
      await change;
    } catch (error) {
      logger.error({ file, reason: messageOf(error) }, meaning);
    }
  };
  return {
    wasSet: existsSync(file),
    set: () =>
      orLog(
        writeDurably(file, "", { mode: 0o600 }),
        "cannot mark that we serve: after a crash we start cold",
      ),
    clear: () =>
      orLog(removeDurably(file), "cannot mark that we left: remove this file before the next start"),
  };
}
