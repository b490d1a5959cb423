// Tried: what an attempt that was sent says of its VM.

import type { EndedTry } from "../core/canary-counts.ts";
import type { Outcome } from "./attempt.ts";

/** What a try says of its VM; null: nothing. Of a gate that was away or broke it is not the VM's fault. */
export function endOf(outcome: Outcome, isAnswered: boolean): EndedTry["end"] | null {
  switch (outcome.kind) {
    case "answered":
      return outcome.status >= 500 ? "error" : "good";
    case "failed":
      return outcome.sent && outcome.gate === null ? "error" : null;
    case "broken":
      return "error";
    case "gone":
      return isAnswered ? null : "left";
    case "unsendable":
    case "refused":
    case "stale":
    case "cut":
      return null;
  }
}
