// Kept rollouts: the last rollouts of one app, as a voter saw their commits. A record has only its last one, and of that the last steps.

import { type AppRecord, isUnderWay, type Rollout, type RolloutStepReport } from "../../../mesh/index.ts";
import { strategyOf } from "./story.ts";

/** As it was last seen; without a step in force. */
export interface KeptRollout {
  readonly strategy: string | null;
  readonly rollout: Rollout;
}

/** A month of two deploys a working day. */
export const ROLLOUTS_KEPT_MAX: number = 50;
/** Steps of one rollout: a rolling deploy of 50 VMs, one at a time. The oldest go first. */
export const STEPS_KEPT_MAX: number = 200;

/** What is kept of the rollout in `record`, if there is one. `before`: what was kept of the same or another one. */
export function keptOf(record: AppRecord, before: KeptRollout | null): KeptRollout | null {
  const { rollout } = record;
  if (rollout === null) return null;
  // Who must answer, and what is to be stopped, is of use to nobody once it is over.
  const fresh = { ...rollout, step: null, targets: [], proxies: [] };
  const kept = { strategy: strategyOf(record, rollout), rollout: fresh };
  return before?.rollout.id === rollout.id ? merged(before, kept) : kept;
}

/** What was kept of a rollout whose end was seen in the begin of the one that followed it. */
export function endedBy(before: KeptRollout, { rollout: after }: KeptRollout): KeptRollout {
  const { superseded, startedAtMs } = after;
  if (superseded?.id !== before.rollout.id) return before;
  const { next: _next, ...rollout } = before.rollout;
  const history = superseded.last === undefined ? [] : [superseded.last];
  const ended = { ...rollout, state: superseded.state, endedAtMs: startedAtMs, history };
  return merged(before, { ...before, rollout: ended });
}

/** Newest last, and no more than there is room for: the oldest are dropped. Of one that is kept already both are put together. */
export function withKept(all: readonly KeptRollout[], kept: KeptRollout): readonly KeptRollout[] {
  const same = all.find(({ rollout }) => rollout.id === kept.rollout.id);
  const next = same === undefined ? kept : merged(same, kept);
  const others = all.filter((one) => one !== same);
  const inOrder = [...others, next].sort(
    (left, right) => left.rollout.startedAtMs - right.rollout.startedAtMs,
  );
  return inOrder.slice(-ROLLOUTS_KEPT_MAX);
}

/** Steps that a record had no room for any more are those of before. */
function merged(before: KeptRollout, after: KeptRollout): KeptRollout {
  // What was over stays so: another commit of the same rollout may be read again at a start.
  const newest = !isUnderWay(before.rollout) && isUnderWay(after.rollout) ? before : after;
  const steps = new Map<number, RolloutStepReport>();
  for (const report of [...before.rollout.history, ...after.rollout.history]) {
    const held = steps.get(report.number);
    if (held?.asked === undefined || report.asked !== undefined) steps.set(report.number, report);
  }
  const history = [...steps.values()]
    .sort((left, right) => left.number - right.number)
    .slice(-STEPS_KEPT_MAX);
  return {
    strategy: after.strategy ?? before.strategy,
    rollout: { ...newest.rollout, history },
  };
}
