// Follow lines: a stream of an agent that goes on for good. When it breaks, it is asked for again, through another agent if
// need be, for as long as one may come back.

import { setTimeout as sleep } from "node:timers/promises";
import { type ApiClient, ApiError, type ApiRequest } from "./api-client.ts";

/** A supervisor had the time to start an agent again. */
const LOST_AFTER_MS = 30_000;
const RETRY_MS = 500;

export interface FollowedLines {
  /** What to ask for now: where it broke off is known to who reads the lines. */
  readonly request: () => ApiRequest;
  readonly hear: (line: unknown) => void;
  /** True: `hear` begins anew. False: nobody can help, the error is thrown. */
  readonly refused: (error: ApiError) => boolean;
}

/** Resolves when `signal` aborts. Rejects when no agent answers for long, or one refuses. */
export async function followLines(
  client: ApiClient,
  followed: FollowedLines,
  signal: AbortSignal,
): Promise<void> {
  let lostAtMs: number | null = null;
  while (!signal.aborted) {
    try {
      for await (const line of client.lines(followed.request(), signal)) {
        lostAtMs = null;
        if (line !== null) followed.hear(line);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.code !== "unavailable" && !followed.refused(error)) throw error;
      lostAtMs ??= performance.now();
      if (performance.now() - lostAtMs > LOST_AFTER_MS) throw error;
    }
    await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
  }
}
