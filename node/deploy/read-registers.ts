// Read registers: all of them at a majority, however long that takes: what it commits is told by gossip, but what was committed before may
// not have reached us.

import { setTimeout as delay } from "node:timers/promises";
import type { Register } from "../../mesh/index.ts";
import type { CoordinatorDeps } from "./coordinator-deps.ts";

/** While no majority answers. */
const AGAIN_MS = 2_000;

export async function readAllRegisters({
  register,
  logger,
  signal,
}: {
  readonly register: Register;
  readonly logger: CoordinatorDeps["logger"];
  readonly signal: AbortSignal;
}): Promise<void> {
  while (!signal.aborted) {
    try {
      await register.readAll();
      return;
    } catch (error) {
      logger.warn({ error: String(error) }, "registers cannot be read");
    }
    await delay(AGAIN_MS, undefined, { signal }).catch(() => undefined);
  }
}
