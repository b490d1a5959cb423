// Supersede: a deploy takes the place of the rollout that runs. That is taken back, or, where it only goes forward, comes to its end; and the
// commit that ends it begins the deploy. So nobody else's comes between, whoever drives, and what is taken back is what an abort takes back.

import type { AppRecord, CommittedApp, Release, Rollout } from "../../../mesh/index.ts";
import {
  type CommitContext,
  fitted,
  rolloutOf,
  withDirectionBack,
  withNothingKept,
  withStep,
} from "./commits.ts";
import { withStepEndedByPerson } from "./end-by-person.ts";
import { isHeldByStep } from "./held-step.ts";
import { withLaunchHold } from "./idle-hold.ts";
import { deployOf, rolloutId } from "./new-rollout.ts";
import { planBack } from "./plan-next.ts";
import { hasTakenOver, isScaleOrRestart } from "./within.ts";

/** All that served before is out of service: going back would be as far as going on. */
export function onlyGoesForward(record: AppRecord, rollout: Rollout): boolean {
  if (isScaleOrRestart(rollout)) return hasTakenOver(record);
  // Nobody got the new release alone yet.
  if (isHeldByStep(record)) return rollout.kind !== "deploy";
  const isOld = (vm: AppRecord["vms"][number]) => vm.phase === "serving" && vm.release !== rollout.to;
  const hasFlipped = record.vms.some((vm) => vm.phase === "serving") && !record.vms.some(isOld);
  return rollout.from !== null && hasFlipped;
}

/** The rollout turns back, by a person's word. */
export function withTakenBack(
  committed: CommittedApp,
  { outcome, message }: { readonly outcome: string; readonly message: string },
  context: CommitContext,
): AppRecord {
  const stopped = withStepEndedByPerson(committed, outcome, context);
  const turned = withDirectionBack(stopped, { code: "aborted", message, lastLines: [] }, context.facts);
  // What is held is sent on by this very commit.
  const planned = isHeldByStep(turned) ? planBack(turned, [], context) : null;
  const applied = planned === null ? null : withStep(turned, planned, context);
  return applied?.code === "applied" ? applied.record : turned;
}

/** The record with `next` as what follows the rollout that runs, and what becomes of that, for people. */
export function withSuperseded(
  { epoch, record }: CommittedApp,
  next: Release,
  context: CommitContext,
): { readonly record: AppRecord; readonly note: string } {
  const { pause: _pause, ...running } = rolloutOf(record);
  const id = rolloutId(record.app, next.number);
  const free = withoutNext(record);
  const named: AppRecord = {
    ...free,
    lastRelease: next.number,
    releases: [...free.releases, next],
    // As of a deploy that begins: both releases serve under the names of both until it is over.
    hostnames: [...new Set([...record.hostnames, ...next.spec.hostnames])],
    rollout: { ...running, state: "running", next: next.number },
  };
  const replaced =
    running.next === undefined ? "" : `; ${rolloutId(record.app, running.next)} will not begin`;
  const then = `${id} begins as soon as that is over${replaced}`;
  if (running.direction === "back")
    return { record: named, note: `${running.id} goes back already: ${then}` };
  const isReturning = running.kind === "deploy" || isScaleOrRestart(running);
  if (!isReturning || onlyGoesForward(record, running))
    return { record: named, note: `${running.id} only goes forward: ${then}` };
  const words = { outcome: `superseded by ${id}`, message: `${id} supersedes it` };
  return {
    record: withTakenBack({ epoch, record: named }, words, context),
    note: `${running.id} is taken back: ${then}`,
  };
}

/** Nothing follows the rollout that runs: it goes on as it does. */
export function withoutNext(record: AppRecord): AppRecord {
  const { next, ...rollout } = rolloutOf(record);
  if (next === undefined) return record;
  return { ...record, releases: record.releases.filter(({ number }) => number !== next), rollout };
}

/** The record of a rollout that is over, with the one that was to follow it begun, whose first step its driver takes; else as it is. */
export function withNextBegun(ended: AppRecord, context: CommitContext): AppRecord {
  const { id, state, next, history } = rolloutOf(ended);
  const release = ended.releases.find(({ number }) => number === next);
  if (next === undefined || release === undefined) return ended;
  const last = history.at(-1);
  const superseded = { id, state, ...(last === undefined ? {} : { last }) };
  const record = {
    ...withNothingKept(ended),
    hostnames: [...new Set([...ended.hostnames, ...release.spec.hostnames])],
  };
  const launched = withLaunchHold(record, context.wallMs);
  return fitted({ ...launched, rollout: { ...deployOf(record, next, context), superseded } });
}
