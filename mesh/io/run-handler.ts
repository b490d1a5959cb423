// Runs a call's handler in this process: the one place where its failures become `MeshCallError`s.

import type { OwnerId } from "../core/ids.ts";
import { type CallHandler, MeshCallError } from "../mesh.ts";
import { messageOf } from "../result.ts";

export interface HandlerRun {
  readonly request: Uint8Array;
  readonly from: OwnerId;
  /** Ends the run: the iteration throws this signal's reason if that is a `MeshCallError`, else `aborted`. */
  readonly signal: AbortSignal;
}

/**
 * The handler's chunks. Its signal is aborted when the iteration ends in any way, and its iterator is closed,
 * so a handler that waits for either is never left behind.
 */
export async function* runHandler(handler: CallHandler, run: HandlerRun): AsyncGenerator<Uint8Array> {
  if (run.signal.aborted) throw abortError(run.signal);
  const ended = new AbortController();
  let iterator: AsyncIterator<Uint8Array> | undefined;
  try {
    iterator = handler(run.request, run.from, ended.signal)[Symbol.asyncIterator]();
    for (;;) {
      const next = await nextUnlessAborted(iterator, run.signal);
      if (next.done === true) return;
      yield next.value;
    }
  } catch (error) {
    throw run.signal.aborted ? abortError(run.signal) : new MeshCallError("failed", messageOf(error));
  } finally {
    ended.abort();
    // Not awaited: a handler that is stuck must not hold its caller.
    iterator?.return?.().catch(() => undefined);
  }
}

/** A promise of its own for each chunk: what is raced against one that lives as long as the call is kept as long as it. */
async function nextUnlessAborted(
  iterator: AsyncIterator<Uint8Array>,
  signal: AbortSignal,
): Promise<IteratorResult<Uint8Array>> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(abortError(signal));
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([iterator.next(), aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

export function abortError(signal: AbortSignal): MeshCallError {
  return signal.reason instanceof MeshCallError
    ? signal.reason
    : new MeshCallError("aborted", "call aborted");
}
