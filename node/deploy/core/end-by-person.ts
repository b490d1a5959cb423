// End by person: the step in force is over because somebody said so. What it still waited for goes into the history with it: who aborts a
// deploy that stood still asks afterwards for whom it stood.

import { type AppRecord, ASKED_MAX, type CommittedApp } from "../../../mesh/index.ts";
import { type CommitContext, withStepEnded } from "./commits.ts";
import { standingOf } from "./standing.ts";

export function withStepEndedByPerson(
  { epoch, record }: CommittedApp,
  outcome: string,
  { facts, wallMs }: CommitContext,
): AppRecord {
  const step = record.rollout?.step;
  if (step == null) return record;
  // After how long somebody answered, and whether a time has passed, the driver alone knows.
  const asks = standingOf(step, { epoch, record }, facts).asks.filter(({ kind }) => kind !== "clock");
  const missing = asks.flatMap(({ isAnswered, ...ask }) => (isAnswered ? [] : [{ ...ask, ms: null }]));
  const asked = missing.slice(0, ASKED_MAX);
  const askedMore = asks.length - asked.length;
  const waitedMs = Math.max(0, wallMs - step.startedAtMs);
  return withStepEnded(record, {
    waitedMs,
    outcome,
    epoch,
    asked,
    ...(askedMore === 0 ? {} : { askedMore }),
  });
}
