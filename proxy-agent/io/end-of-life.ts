// End of life: what ends a process of ours: a signal, or the end of its parent.

export interface Ending {
  readonly signal: AbortSignal;
  stop(): void;
}

/** Aborted at the first SIGTERM, SIGINT or SIGHUP (its terminal closed), or when the parent is gone. */
export function listenForEnd(exitsWithParent: boolean): Ending {
  const ending = new AbortController();
  const end = () => ending.abort();
  process.on("SIGTERM", end).on("SIGINT", end).on("SIGHUP", end);
  if (exitsWithParent) process.stdin.on("end", end).on("close", end).on("error", end).resume();
  const stop = () => {
    process.off("SIGTERM", end).off("SIGINT", end).off("SIGHUP", end);
    if (exitsWithParent) process.stdin.destroy();
  };
  return { signal: ending.signal, stop };
}

/** Resolves once it is. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
}
