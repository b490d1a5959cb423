// Submit traffic: a split that a person asks for becomes one step: `weigh`. VMs that are up and get no requests come into routing by it
// (of a bluegreen deploy that waits for approval, or kept of the release before), and what gets 0 goes back to where it came from.
// Between deploys 100 for one release makes it the whole app: that is what a rollback within `keep_old` is.

import {
  type AppName,
  type AppRecord,
  type CommittedApp,
  type DesiredVm,
  describeWeights,
  isSameWeights,
  isUnderWay,
  type Rollout,
  WEIGHTS_SUM,
  type Weights,
  weightOf,
  weightsFault,
} from "../../../mesh/index.ts";
import { type CommitContext, withStep } from "./commits.ts";
import { isAtomicTo } from "./cutover.ts";
import { withStepEndedByPerson } from "./end-by-person.ts";
import { isHealthy, observed } from "./facts.ts";
import { withBackCounted } from "./going-back.ts";
import { isHeldByStep } from "./held-step.ts";
import { emptyRollout, laterRolloutId } from "./new-rollout.ts";
import { readyVms, withKept } from "./ready.ts";
import type { PlannedStep } from "./strategies/strategy.ts";
import { type Submission, unknownApp, withoutRepair } from "./submit.ts";

export interface TrafficRequest {
  readonly app: AppName;
  /** Releases that are not named get 0. */
  readonly weights: Weights;
}

export function submitTraffic(
  committed: CommittedApp | null,
  { app, weights }: TrafficRequest,
  context: CommitContext,
): Submission {
  if (committed === null || committed.record.deleted) return unknownApp(app);
  const record = withoutRepair(committed.record);
  const { rollout } = record;
  const way = isUnderWay(rollout) ? wayOf(record, rollout as Rollout) : "alone";
  if (way === "locked") return { code: "locked", rollout: rollout as Rollout };
  const fault = faultOf(record, weights, context);
  if (fault !== null) return { code: "invalid", message: fault };
  const all = spoken(record, weights);
  if (way === "within") return weighedWithin({ epoch: committed.epoch, record }, all, context);
  if (way === "instead" && isSameWeights(rollout?.step?.weights, all))
    return { code: "joined", rollout: rollout as Rollout };
  return weighedAlone({ epoch: committed.epoch, record }, all, context);
}

/**
 * `within`: the deploy waits for a person, who tries its release first. `instead`: the last split waits for somebody's answer, and this one
 * takes its place.
 */
function wayOf({ releases }: AppRecord, rollout: Rollout): "within" | "instead" | "locked" {
  const { kind, state, direction, step, approved, to, next } = rollout;
  // What is to follow it was committed: nothing else takes its place.
  if (state !== "running" || next !== undefined) return "locked";
  // What is held is sent on before anything else: the hold is over, or taken back, within half of max_age.
  if (kind === "weigh") return isHeldByStep({ rollout }) ? "locked" : "instead";
  // A canary weighs too, by its own plan.
  const isByHand = releases.find(({ number }) => number === to)?.spec.deploy.strategy === "bluegreen";
  const isWaiting = step?.kind === "approve" || (step?.kind === "weigh" && isByHand);
  const isUndecided = kind === "deploy" && direction === "forward" && approved !== true;
  return isUndecided && isWaiting ? "within" : "locked";
}

function readyReleases(record: AppRecord): readonly number[] {
  const releases = new Set(record.vms.map(({ release }) => release));
  return [...releases].filter((release) => readyVms(record, release).length > 0).sort((a, b) => a - b);
}

/** What keeps the split from being meant, with what to say instead; null: nothing. */
function faultOf(record: AppRecord, weights: Weights, { facts }: CommitContext): string | null {
  const { app, releases } = record;
  const ready = readyReleases(record);
  const known = [...new Set([...releases.map(({ number }) => number), ...ready])];
  const stranger = weights.find(({ release }) => !known.includes(release));
  if (stranger !== undefined)
    return `${app} has no release v${stranger.release}: ${listed(known)} ${known.length === 1 ? "is" : "are"} known`;
  const fault = weightsFault(weights);
  if (fault !== null) return `${fault}: say of each release, for example ${exampleOf(record, ready)}`;
  const empty = weights.find(({ release, weight }) => weight > 0 && !ready.includes(release));
  if (empty !== undefined && ready.length === 0 && record.hold?.by === "idle")
    return `${app} sleeps, no VM of it runs: "grapevine scale ${app} 1" wakes it`;
  if (empty !== undefined) {
    const could =
      ready.length === 0 ? "none has one" : `${listed(ready)} ${ready.length === 1 ? "has" : "have"}`;
    return `v${empty.release} has no VM that could serve (${could}): "grapevine rollback ${app} --to v${empty.release}" deploys it again`;
  }
  const isUnwell = (release: number) =>
    !readyVms(record, release).some((vm) => isHealthy(observed(facts, vm)));
  const unwell = weights.find(({ release, weight }) => weight > 0 && isUnwell(release));
  return unwell === undefined
    ? null
    : `no VM of v${unwell.release} is healthy: "grapevine status ${app}" shows how they are`;
}

function listed(releases: readonly number[]): string {
  return releases.map((release) => `v${release}`).join(", ");
}

function exampleOf({ app }: AppRecord, ready: readonly number[]): string {
  const [older = 1, newer] = ready;
  const split = newer === undefined ? `v${older}=100` : `v${newer}=10 v${older}=90`;
  return `"grapevine traffic set ${app} ${split}"`;
}

/** Of each release that could serve, also of those that were not named. */
function spoken(record: AppRecord, weights: Weights): Weights {
  return readyReleases(record).map((release) => ({ release, weight: weightOf(weights, release) }));
}

/** Who comes into routing, and who leaves it. `stays`: the release whose VMs serve on at 0. */
function stepOf(record: AppRecord, weights: Weights, stays: (release: number) => boolean): PlannedStep {
  const ready = weights.flatMap(({ release }) => readyVms(record, release));
  const gets = ({ release }: DesiredVm) => weightOf(weights, release) > 0;
  const entering = ready.filter((vm) => gets(vm) && vm.phase !== "serving");
  const leaving = ready.filter((vm) => !gets(vm) && vm.phase === "serving" && !stays(vm.release));
  const names = (vms: readonly DesiredVm[]) => vms.map(({ vm }) => vm);
  return { kind: "weigh", vms: names(leaving), serves: names(entering), weights };
}

/** The step that waits for a person makes way for it, and comes again after it. What served before serves on, at 0 too: it may go back. */
function weighedWithin(committed: CommittedApp, weights: Weights, context: CommitContext): Submission {
  const { record } = committed;
  const rollout = record.rollout as Rollout;
  const outcome = `a person asked for ${describeWeights(weights)}`;
  const free = withStepEndedByPerson(committed, outcome, context);
  const planned = stepOf(record, weights, (release) => release !== rollout.to);
  return begun(free, planned, context, record);
}

function weighedAlone({ epoch, record }: CommittedApp, weights: Weights, context: CommitContext): Submission {
  const whole = weights.find(({ weight }) => weight === WEIGHTS_SUM)?.release ?? null;
  const to = whole ?? record.current;
  const rollout: Rollout = {
    ...emptyRollout(context),
    id: laterRolloutId(record.app, to ?? record.lastRelease, epoch),
    kind: "weigh",
    from: record.current,
    to,
    targets: [],
  };
  const planned = stepOf(record, weights, () => false);
  const isAtomic =
    whole !== null && planned.vms.length > 0 && isAtomicTo(record, [whole, ...leaves(record, planned)]);
  if (isAtomic)
    return heldFirst({ ...record, hostnames: hostnamesOf(record, weights), rollout }, planned, context);
  const kept = withKept(record, { planned, whole, wallMs: context.wallMs });
  return begun({ ...kept, hostnames: hostnamesOf(record, weights), rollout }, planned, context, record);
}

function leaves({ vms }: AppRecord, { vms: names }: PlannedStep): readonly number[] {
  return vms.filter(({ vm }) => names.includes(vm)).map(({ release }) => release);
}

/** Two steps, and it is over with the second: what leaves is closed while requests are held, then what takes over serves (`decideHeldWeigh`). */
function heldFirst(record: AppRecord, planned: PlannedStep, context: CommitContext): Submission {
  const { vms } = planned;
  // To be as it was, if it comes to nothing.
  const before = record.weights === undefined ? {} : { weights: record.weights };
  const submission = begun(record, { kind: "hold", vms, hold: "placed", ...before }, context, record);
  const after = begun(record, planned, context, record);
  if (submission.code !== "begin" || after.code !== "begin") return submission;
  const { step: _step, ...rest } = submission;
  const { backs: _backs, ...held } = submission.record;
  const backs = after.record.backs === undefined ? {} : { backs: after.record.backs };
  return { ...rest, record: { ...held, ...backs } };
}

function begun(
  record: AppRecord,
  planned: PlannedStep,
  context: CommitContext,
  before: AppRecord,
): Submission {
  const applied = withStep(record, { ...planned, release: null }, context);
  if (applied.code === "no-host") return { code: "invalid", message: applied.message };
  const rollout = applied.record.rollout as Rollout;
  const next = withBackCounted(before, applied.record);
  return { code: "begin", record: next, rollout, step: rollout.step?.number ?? 0 };
}

/** Those of all that get requests, and those in force: what goes is for the end. */
function hostnamesOf(record: AppRecord, weights: Weights): readonly string[] {
  const gets = record.releases.filter(({ number }) => weightOf(weights, number) > 0);
  return [...new Set([...record.hostnames, ...gets.flatMap(({ spec }) => spec.hostnames)])];
}
