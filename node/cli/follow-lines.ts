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
  readonly lostAfterMs?: number;
  readonly retryMs?: number;
}

/** Resolves when `signal` aborts. Rejects when no agent tells anything for long, or one refuses. */
export async function followLines(
  client: ApiClient,
  { request, hear, refused, lostAfterMs = LOST_AFTER_MS, retryMs = RETRY_MS }: FollowedLines,
  signal: AbortSignal,
): Promise<void> {
  let lostAtMs: number | null = null;
  while (!signal.aborted) {
    try {
      for await (const line of client.lines(request(), signal)) {
        if (line === null) continue;
        hear(line);
        // Only now: a line may say that the agent cannot, and nobody waits for ever for one that goes on saying so.
        lostAtMs = null;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.code !== "unavailable" && !refused(error)) throw error;
      lostAtMs ??= performance.now();
      if (performance.now() - lostAtMs > lostAfterMs) throw error;
    }
    await sleep(retryMs, undefined, { signal }).catch(() => undefined);
  }
}
