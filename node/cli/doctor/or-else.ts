// Or else: a wait that ends, with what is said in place of what did not come.

import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../../mesh/words.ts";

/** `work`, or what `fallback` makes of the reason: it failed, or was not over within `ms`. Never rejects. */
export async function orElse<Value>(
  work: Promise<Value>,
  ms: number,
  fallback: (reason: string) => Value,
): Promise<Value> {
  const timer = new AbortController();
  const late = sleep(ms, undefined, { signal: timer.signal }).then(
    () => fallback(`it was not known within ${ms / 1_000} s`),
    () => fallback(""),
  );
  try {
    return await Promise.race([work.catch((error: unknown) => fallback(messageOf(error))), late]);
  } finally {
    timer.abort();
  }
}
