// Heartbeat: a row of values that also says when none comes, so that its reader can tell silence from a dead peer.

/**
 * The values as they come, and null whenever none came for `intervalMs`. Ends, or fails, when `values` does; closes it when
 * it is left itself.
 */
export async function* withHeartbeat<Value>(
  values: AsyncIterable<Value>,
  intervalMs: number,
): AsyncGenerator<Value | null> {
  const iterator = values[Symbol.asyncIterator]();
  let wake = () => {};
  // One reaction for each value. A race for each beat would leave one behind each time, on a promise that may stay open for days.
  const ask = () => {
    const asked = { isSettled: false, result: iterator.next() };
    const settle = () => {
      asked.isSettled = true;
      wake();
    };
    asked.result.then(settle, settle);
    return asked;
  };
  let asked = ask();
  try {
    for (;;) {
      if (!asked.isSettled) await beat(intervalMs, (resolve) => (wake = resolve));
      if (!asked.isSettled) {
        yield null;
        continue;
      }
      const { value, done } = await asked.result;
      if (done === true) return;
      yield value;
      asked = ask();
    }
  } finally {
    await iterator.return?.();
  }
}

/** Until `intervalMs` have passed, or what `onWake` was given is called. */
async function beat(intervalMs: number, onWake: (wake: () => void) => void): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  onWake(resolve);
  const timer = setTimeout(resolve, intervalMs);
  await promise;
  clearTimeout(timer);
}
