// Cutover keys: of [deploy] those that say what each client may count on while releases change over.

import type { ZodType } from "zod";
import { type DeploySpec, durationShape, type KeyWords, PIN_MAX_AGE_MS } from "../../mesh/keys.ts";
import { describeDuration } from "../../mesh/words.ts";
import { HOUR_MS, type KeyProblem, type TimeRange } from "./key-shapes.ts";

/** The old VMs cost memory for so long, as with `keep_old`. */
export const pinMaxAgeRange: TimeRange = { minMs: 1_000, maxMs: 7 * 24 * HOUR_MS };
export const pinMaxAgeShape: ZodType<number> = durationShape({
  ...pinMaxAgeRange,
  example: 'pin_max_age = "10m"',
});

export const pinMaxAgeWords: KeyWords = {
  unset: `\`"${describeDuration(PIN_MAX_AGE_MS)}"\``,
  means: 'with `cutover = "pinned"` alone',
  raised: "the old VMs need their memory longer",
  lowered: "a page that stays open longer gets what it loads later from the new release",
};

/** What `sticky` and `pinned` do not go with; null: nothing is wrong. */
export function clientsProblem({
  cutover,
  strategy,
  pinMaxAgeMs,
  keepOldMs = 0,
}: DeploySpec): KeyProblem | null {
  if (pinMaxAgeMs !== undefined && cutover !== "pinned") {
    const message = 'is of cutover = "pinned" alone: remove it, or write cutover = "pinned"';
    return { key: "deploy.pin_max_age", message };
  }
  if (cutover !== "pinned") return null;
  if (strategy !== "bluegreen" && strategy !== "immediate") {
    const message =
      'is "pinned", which keeps all old VMs beside all new ones: write strategy = "bluegreen" or strategy = "immediate"';
    return { key: "deploy.cutover", message };
  }
  const maxAgeMs = pinMaxAgeMs ?? PIN_MAX_AGE_MS;
  if (keepOldMs === 0 || keepOldMs >= maxAgeMs) return null;
  const message = `must not be shorter than pin_max_age, which is ${describeDuration(maxAgeMs)}: the old VMs serve pages for so long`;
  return { key: "deploy.keep_old", message };
}

/** An atomic cutover holds all requests while all old VMs leave at once, behind their gates; null: so it can be. */
export function atomicProblem(
  { cutover, strategy }: DeploySpec,
  gate: "on" | "off" = "on",
): KeyProblem | null {
  if (cutover !== "atomic") return null;
  const key = "deploy.cutover";
  if (strategy === "rolling") {
    const message =
      'is "atomic", and strategy = "rolling" has old and new VMs serve side by side: write strategy = "bluegreen", "immediate" or "canary"';
    return { key, message };
  }
  if (gate === "on") return null;
  return {
    key,
    message: 'is "atomic", which needs a gate that closes the old VMs: remove it, or gate = "off"',
  };
}
