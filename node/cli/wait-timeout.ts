// Wait timeout: the text after --wait-timeout, as milliseconds.

import { parseDuration } from "../../mesh/words.ts";
import { waitTimeoutRange } from "../config/key-shapes.ts";
import { UsageError } from "./session.ts";

/** Throws `UsageError`. */
export function waitTimeoutOf(text: string): number {
  const durationMs = parseDuration(text);
  const { minMs, maxMs } = waitTimeoutRange;
  if (durationMs !== undefined && durationMs >= minMs && durationMs <= maxMs) return durationMs;
  throw new UsageError(
    `--wait-timeout must be a duration from 1s to 24h with its unit, for example 5m; found ${text}`,
  );
}
