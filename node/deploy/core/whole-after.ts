// Whole after: what a rollout that is over leaves as the whole app.

import type { AppRecord, RolloutState } from "../../../mesh/index.ts";
import { rolloutOf } from "./commits.ts";
import { isHeldByStep } from "./cutover.ts";

/** The release that is the whole app now; null: as before. */
export function wholeAfter(record: AppRecord, state: RolloutState): number | null {
  const { kind, from, to } = rolloutOf(record);
  if (kind === "weigh" && isHeldByStep(record)) return null;
  // However it ended, all requests go there.
  if (kind === "weigh") return record.weights === undefined ? to : null;
  if (kind !== "deploy") return null;
  return state === "succeeded" ? to : from;
}
