// Submit pause: a deploy stands still where it is until somebody resumes it, or aborts it. That stands in the record: whoever drives
// then, it takes no step.

import type { AppName, CommittedApp, Rollout } from "../../../mesh/index.ts";
import { type CommitContext, rolloutOf, withPause } from "./commits.ts";
import { isWithinHold } from "./held-step.ts";
import { deployUnderWay, type Submission } from "./submit.ts";

export function submitPause(
  committed: CommittedApp | null,
  app: AppName,
  context: CommitContext,
): Submission {
  const found = deployUnderWay(committed, app);
  if (found.code === "invalid") return found;
  const { record, rollout } = found;
  if (rollout.state === "paused") return { code: "joined", rollout };
  // It would keep requests until somebody comes back.
  if (isWithinHold(record) || record.hold?.by === "rollout") {
    const message = `${rollout.id} holds the requests of ${app} for its cutover, which is over soon: pause it then, or "grapevine abort ${app}" takes it back now`;
    return { code: "invalid", message };
  }
  const paused = withPause(record, "a person paused it", context);
  return { code: "begin", record: paused, rollout: rolloutOf(paused) };
}

/** Its deadlines count anew. Of one that runs: as if it had been said to it. */
export function submitResume(committed: CommittedApp | null, app: AppName): Submission {
  const found = deployUnderWay(committed, app);
  if (found.code === "invalid") return found;
  const { pause: _pause, ...rollout } = found.rollout;
  if (rollout.state === "running") return { code: "joined", rollout };
  const resumed: Rollout = { ...rollout, state: "running" };
  return { code: "begin", record: { ...found.record, rollout: resumed }, rollout: resumed };
}
