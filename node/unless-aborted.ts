// Unless aborted: a wait that its caller can leave, while what is waited for goes on.

/** What `promise` becomes, or a rejection with the signal's reason, whichever is first. Leaves no listener behind. */
export async function unlessAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  // Observed in any case: what is left behind may still reject.
  promise.catch(() => undefined);
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
