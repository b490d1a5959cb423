// Idle keys: min_running and idle_after of an app file: whether the app sleeps while nobody asks for it.

import { type ZodType, z } from "zod";
import { type AppSpec, durationShape, type IdleSpec, type KeyWords } from "../../mesh/keys.ts";
import { describeDuration } from "../../mesh/words.ts";
import { HOUR_MS, type KeyProblem, type TimeRange } from "./key-shapes.ts";

/** Below a second an app would sleep between two clicks; after a week it does not matter any more. */
const idleAfterRange: TimeRange = { minMs: 1_000, maxMs: 7 * 24 * HOUR_MS };
const IDLE_AFTER_MS = 300_000;

const minRunningText =
  "must be 0, with which the app sleeps while nobody asks for it; remove it, and count VMs run all the time";

export const minRunningShape: ZodType<0> = z.literal(0, minRunningText);
export const minRunningWords: KeyWords = {
  type: "`0`",
  unset: "never",
  means:
    "It sleeps while nobody asks for it: no VM of it runs. A request wakes it, and waits until it is healthy, see [Apps that sleep](#apps-that-sleep).",
};

export const idleAfterShape: ZodType<number> = durationShape({
  ...idleAfterRange,
  example: 'idle_after = "5m"',
});
export const idleAfterWords: KeyWords = {
  unset: `\`"${describeDuration(IDLE_AFTER_MS)}"\``,
  means: "With `min_running = 0` alone: no request came or ran for so long, at any proxy.",
};

/** Absent: it never sleeps. */
export function idleOf(keys: {
  readonly min_running?: number | undefined;
  readonly idle_after?: number | undefined;
}): { readonly idle?: IdleSpec } {
  return keys.min_running === 0 ? { idle: { afterMs: keys.idle_after ?? IDLE_AFTER_MS } } : {};
}

/** Of a file alone: a spec has both in one. Null: nothing is wrong. */
export function idleAfterProblem(keys: {
  readonly min_running?: number | undefined;
  readonly idle_after?: number | undefined;
}): KeyProblem | null {
  if (keys.idle_after === undefined || keys.min_running === 0) return null;
  return { key: "idle_after", message: "is of min_running = 0 alone: remove it, or write min_running = 0" };
}

/** What an app that sleeps does not go with; null: nothing is wrong. */
export function idleProblem({
  idle,
  gate = "on",
}: Pick<AppSpec, "idle"> & { readonly gate?: "on" | "off" }): KeyProblem | null {
  if (idle === undefined) return null;
  const { minMs, maxMs } = idleAfterRange;
  if (idle.afterMs < minMs || idle.afterMs > maxMs)
    return { key: "idle.afterMs", message: `must be from ${minMs} to ${maxMs}; found ${idle.afterMs}` };
  if (gate === "on") return null;
  const message =
    'is "off", and min_running = 0 needs a gate that closes the last VM before it is stopped: remove it, or min_running = 0';
  return { key: "gate", message };
}
