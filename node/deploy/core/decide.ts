// Decide: from the committed record and the newest facts to the one move that follows: wait, or this next record.
// A VM that ever served leaves the record only through a cordon step that every proxy answered (`no-early-stop`).

import type { AppRecord, CommittedApp, MemberName, Rollout, RolloutState } from "../../../mesh/index.ts";
import {
  asReached,
  type CommitContext,
  fitted,
  keptRelease,
  rolloutOf,
  type StepEnd,
  withDeleted,
  withDirectionBack,
  withEachAlike,
  withPause,
  withReason,
  withRolloutEnded,
  withStep,
  withStepEnded,
} from "./commits.ts";
import { complaintsOf, isExcused, leftOf, wantHost, wantSound } from "./complaints.ts";
import { flipAfterHold, withReopened } from "./cutover.ts";
import { exceptOf } from "./except.ts";
import { exchangeOf } from "./exchange.ts";
import { withExcluded } from "./exclusions.ts";
import {
  faultOfDeploy,
  faultOfFresh,
  faultOfMove,
  faultOfStarted,
  faultOfWake,
  type RolloutReason,
} from "./fault.ts";
import { FENCE_OVER, withoutEndedFences } from "./fences.ts";
import { isAlone, runningBeside, withoutUnrouted } from "./handoff.ts";
import { isHeldByStep } from "./held-step.ts";
import { isAnyServing } from "./idle-hold.ts";
import { withLastOne } from "./last-one.ts";
import { isSound, missingBefore } from "./last-sound.ts";
import { waitText } from "./may-run.ts";
import { asCordoned, isFreeToLeave } from "./opening.ts";
import { isDone, type Planned, planBack, planNext, retiringOf, targetOf } from "./plan-next.ts";
import { canReturn } from "./replacing.ts";
import {
  leftOfCommand,
  missingOfDeploy,
  missingOfRepair,
  type Standing,
  standingOf,
  type Want,
  wantGone,
} from "./standing.ts";
import type { Applied } from "./starts.ts";
import { stateWhenBack } from "./state-when-back.ts";
import { withNextBegun } from "./supersede.ts";
import { withFittingStep, wokenOf } from "./waking.ts";
import { wholeAfter } from "./whole-after.ts";
import { isScaleOrRestart, missingOfWithin } from "./within.ts";

/** `swap`: commit `next`; `why` is for the log. `wait`: `wants` is what is missing; the deadline counts. */
export type Decision =
  | { readonly code: "wait"; readonly wants: readonly Want[] }
  | { readonly code: "swap"; readonly next: AppRecord; readonly why: string };

export interface DecideInput extends CommitContext {
  readonly committed: CommittedApp;
  readonly standing: Standing;
  /** Of the step in force, were it over now. */
  readonly end: () => StepEnd;
  /** No progress for the rollout's wait timeout. */
  readonly isOverdue: boolean;
  /** Proxies that let a wait timeout pass in this rollout: on the way back they are not waited for. */
  readonly silent: ReadonlySet<MemberName>;
  /** Proxies that the app does not wait for any longer in steps that add. */
  readonly toExclude: readonly MemberName[];
}

export function standingOfRollout(committed: CommittedApp, facts: CommitContext["facts"]): Standing {
  const step = committed.record.rollout?.step;
  return step == null ? { wants: [], acks: null, asks: [], score: 0 } : standingOf(step, committed, facts);
}

/** Of a record whose rollout runs. */
export function decide(input: DecideInput): Decision {
  const { record } = input.committed;
  const unfenced = withoutEndedFences(record, input.facts);
  if (unfenced !== record) return { code: "swap", next: fitted(unfenced), why: FENCE_OVER };
  const rollout = rolloutOf(record);
  if (rollout.kind === "repair" || rollout.kind === "wake") return decideRepair(input);
  if (rollout.kind === "weigh") return decideWeigh(input);
  if (rollout.direction === "back") return decideBack(input);
  const woken = wakeUp(input);
  if (woken !== null) return woken;
  const fault = faultOf(record, rollout, input.facts);
  if (fault !== null) return turnBack(input, fault);
  if (input.standing.wants.length > 0) {
    return input.toExclude.length > 0 ? exclude(input) : waitOr(input, input.standing.wants);
  }
  const planned = planNext(record, retiringOf(rollout.step), input.facts);
  if (planned !== null) return advance(input, planned);
  const missing = missingAtEnd(input);
  if (missing.length > 0) return waitOr(input, missing);
  // Whom the quorum did without is waited for at the end, and named if that takes too long: nothing depends on it any more.
  const { behind = [] } = input.standing;
  return behind.length > 0 && !input.isOverdue ? { code: "wait", wants: behind } : end(input, "succeeded");
}

/** A request came for what falls asleep: what is closed serves again. What is about to end does, and a wake follows. */
function wakeUp(input: DecideInput): Decision | null {
  const { record } = input.committed;
  if (rolloutOf(record).kind !== "sleep" || (input.facts.wanted ?? 0) === 0) return null;
  const reason: RolloutReason = { code: "aborted", message: "a request came", lastLines: [] };
  if (record.vms.length > 0) return turnBack(input, reason);
  return isAlone(record) ? null : endWith(input, withReason(record, reason), "aborted");
}

function faultOf(record: AppRecord, rollout: Rollout, facts: CommitContext["facts"]): RolloutReason | null {
  if (rollout.kind === "deploy") return faultOfDeploy(record, facts);
  if (rollout.kind === "move") return faultOfMove(record, facts);
  return isScaleOrRestart(rollout) ? faultOfFresh(record, rollout, facts) : null;
}

function exclude(input: DecideInput): Decision {
  const { committed, standing, toExclude, wallMs } = input;
  const how = { by: "silence", everywhere: false, atMs: wallMs } as const;
  const next = withExcluded(committed.record, toExclude, how);
  // There is no room for more of them.
  if (next === committed.record) return waitOr(input, standing.wants);
  return { code: "swap", next: fitted(next), why: `excluded for their silence: ${toExclude.join(", ")}` };
}

/**
 * Forward only: what serves goes on serving, and what was started in vain is dropped. Whom nobody can hear is not waited for in vain: with
 * the dead host's VM left in routing, one more would be started again and again.
 */
function decideRepair(input: DecideInput): Decision {
  const { record } = input.committed;
  const { wants } = input.standing;
  const isWake = rolloutOf(record).kind === "wake";
  const fault = isWake
    ? faultOfWake(record, input.facts, input.isOverdue)
    : faultOfStarted(record, input.facts);
  if (fault !== null) return endRepair(input, fault);
  const overdue = (missing: readonly Want[]) =>
    endRepair(input, { code: "wait-timeout", message: complaintsOf(missing), lastLines: [] });
  if (wants.length > 0 && !input.isOverdue) return { code: "wait", wants };
  const unexcused = wants.filter((want) => !isExcused(want, input));
  if (unexcused.length > 0) return overdue(unexcused);
  const planned = planNext(record, wants.length > 0 ? [] : retiringOf(rolloutOf(record).step), input.facts);
  if (planned !== null && !isDone(record, planned)) {
    const decision = advance(input, planned);
    if (decision.code === "wait" && input.isOverdue) return overdue(decision.wants);
    // What serves already is not kept from falling asleep, nor from a repair, for want of room for more.
    if (decision.code === "wait" && isWake && isAnyServing(record))
      return endRepair(input, { code: "no-host", message: complaintsOf(decision.wants), lastLines: [] });
    return decision;
  }
  const missing = missingAtEnd(input);
  if (missing.length === 0) return end(input, "succeeded");
  return input.isOverdue ? overdue(missing) : { code: "wait", wants: missing };
}

/**
 * One step, forward only. What was asked for stands whoever is silent: whoever asks for less of a release that is bad does not want it back
 * because one proxy does not answer.
 */
function decideWeigh(input: DecideInput): Decision {
  const { record } = input.committed;
  if (isHeldByStep(record)) return decideHeldWeigh(input);
  const { wants } = input.standing;
  if (wants.length === 0) return endWith(input, record, "succeeded");
  return input.isOverdue ? failWeigh(input, record, wants) : { code: "wait", wants };
}

/** Nothing was sent to what takes over yet: at the deadline all is as it was. */
function decideHeldWeigh(input: DecideInput): Decision {
  const { record, planned, missing } = flipAfterHold(input.committed.record, input);
  const wants = input.standing.wants.length > 0 ? input.standing.wants : missing;
  if (wants.length > 0 && !input.isOverdue) return { code: "wait", wants };
  if (wants.length > 0) return failWeigh(input, withReopened(input.committed.record, input.facts), wants);
  const ended = input.end();
  const applied = withStep(withStepEnded(record, ended), { ...planned, release: null }, input);
  if (applied.code === "no-host") throw new Error(`${record.app}: ${applied.message}`);
  return { code: "swap", next: applied.record, why: ended.outcome };
}

function failWeigh(input: DecideInput, record: AppRecord, wants: readonly Want[]): Decision {
  const reason: RolloutReason = { code: "wait-timeout", message: complaintsOf(wants), lastLines: [] };
  return endWith(input, withReason(record, reason), "failed");
}

function endRepair(input: DecideInput, reason: RolloutReason): Decision {
  const { committed, facts } = input;
  const { kind, to } = rolloutOf(committed.record);
  // Of an app that sleeps nothing has to be left: the next request wakes it again. But what came to run well serves.
  const isWake = kind === "wake";
  const record = isWake ? committed.record : withReopened(committed.record, facts);
  const vms = isWake ? wokenOf(record, facts) : withoutUnrouted(record);
  const ended = withDirectionBack({ ...record, vms }, reason, facts);
  const at = { release: isWake ? null : to, facts };
  return endWith(input, withLastOne(ended, record, at), "failed");
}

/** A record whose rollout begins, with its first step if there is one. */
export function applyFirst(record: AppRecord, context: CommitContext): Applied {
  const planned = planNext(record, [], context.facts);
  const isEarly = planned === null || runningBeside(record, planned, context.facts).length > 0;
  return isEarly ? { code: "applied", record } : withFittingStep(record, planned, context);
}

function waitOr(input: DecideInput, wants: readonly Want[]): Decision {
  if (!input.isOverdue) return { code: "wait", wants };
  const message = complaintsOf(wants);
  const reason: RolloutReason = { code: "wait-timeout", message, lastLines: [] };
  const rollout = rolloutOf(input.committed.record);
  // Nothing is wrong with the release as far as is known, and too little is: a person decides.
  if (rollout.step?.kind === "bake")
    return {
      code: "swap",
      next: withPause(input.committed.record, message, input),
      why: `paused: ${message}`,
    };
  // What was stopped on request is not started again: nobody asked for that.
  if (isPastReturn(rollout)) {
    return endWith(input, withDirectionBack(input.committed.record, reason, input.facts), "failed");
  }
  return turnBack(input, reason);
}

function waitOrStay(input: DecideInput, wants: readonly Want[]): Decision {
  return canReturn(input.committed.record) ? waitOr(input, wants) : { code: "wait", wants };
}

function isPastReturn({ kind, step }: Rollout): boolean {
  if (kind === "deploy" || kind === "restart" || kind === "move") return false;
  return kind === "scale" ? step?.kind === "stop" : step?.kind !== "cordon" && step?.kind !== "hold";
}

function advance(input: DecideInput, planned: Planned): Decision {
  const { record } = input.committed;
  const beside = runningBeside(record, planned, input.facts);
  if (beside.length > 0)
    return waitOrStay(
      input,
      beside.map(({ vm, host }) => wantGone(vm, host, input.facts, waitText(record, input.facts, host))),
    );
  const missing = missingBefore(record, planned, input.facts);
  if (missing.length > 0) return waitOrStay(input, missing);
  const ended = input.end();
  const applied = applyPlan(withStepEnded(record, ended), planned, input);
  if (applied.code === "applied") {
    return { code: "swap", next: applied.record, why: ended.outcome };
  }
  const wants = [wantHost(planned, applied.message)];
  const { direction, kind } = rolloutOf(record);
  if (direction === "back" || kind === "repair" || kind === "wake") return { code: "wait", wants };
  return turnBack(input, { code: "no-host", message: applied.message, lastLines: [] });
}

/** The last check before a VM leaves the record: it was never routed, or the cordon step in force was about it. */
function applyPlan(record: AppRecord, planned: Planned, input: DecideInput): Applied {
  if (planned.kind === "stop" || planned.kind === "handover") {
    const retiring =
      input.standing.wants.length > 0 ? [] : retiringOf(rolloutOf(input.committed.record).step);
    for (const vm of record.vms.filter((candidate) => planned.vms.includes(candidate.vm))) {
      const isClosed = vm.phase === "cordoned" && retiring.includes(vm.vm);
      const isFree = isClosed || isFreeToLeave(vm, input.facts);
      if (!isFree) throw new Error(`${vm.vm} is ${vm.phase}: it cannot be stopped yet`);
    }
  }
  return withFittingStep(record, planned, input);
}

function turnBack(input: DecideInput, reason: RolloutReason): Decision {
  const { record } = input.committed;
  if (rolloutOf(record).kind === "move" && !isAlone(record)) return endMove(input, reason);
  const stopped = withStepEnded(record, {
    ...input.end(),
    outcome: `failed: ${reason.message}`,
  });
  const turned = withDirectionBack(stopped, reason, input.facts);
  const why = `${reason.code}: ${reason.message}`;
  const planned = planBack(turned, [], input);
  if (planned === null && leftOfCommand(turned, input.facts) === null)
    return endWith(input, turned, stateWhenBack(turned));
  const isEarly =
    planned === null ||
    missingBefore(turned, planned, input.facts).length > 0 ||
    runningBeside(turned, planned, input.facts).length > 0;
  if (planned === null || isEarly) return { code: "swap", next: turned, why };
  const applied = applyPlan(turned, planned, input);
  return { code: "swap", next: applied.code === "applied" ? applied.record : turned, why };
}

/**
 * In one commit: what its last start brought leaves again, and is retired once all have answered (housekeeping); what had moved before
 * stays where it is. An old one that is out of routing serves again if the new one is not well. `failed`: nothing of it is taken back.
 */
function endMove(input: DecideInput, reason: RolloutReason): Decision {
  const { record } = input.committed;
  const { step } = rolloutOf(record);
  const brought = step?.kind === "serve" ? step.vms : [];
  const { back, out } = exchangeOf(record, input.facts);
  const isUndone =
    back.length > 0 ||
    ((step?.kind === "start" || step?.kind === "serve") &&
      missingBefore(record, { kind: "cordon", vms: brought }, input.facts).length === 0);
  const leaving = isUndone ? [...brought, ...out] : [];
  const vms = withoutUnrouted(record)
    .map((vm) => (back.includes(vm.vm) ? asReached(vm, "serving", input.facts) : vm))
    .map((vm) => (leaving.includes(vm.vm) ? asCordoned(vm) : vm));
  const ended = withDirectionBack({ ...record, vms }, reason, input.facts);
  return endWith(input, ended, isUndone ? "rolled-back" : "failed");
}

/** Additive steps go on without the silent; a cordoned VM stays for their sake when the rollout is over (housekeeping). */
function decideBack(input: DecideInput): Decision {
  const { record } = input.committed;
  const { wants } = input.standing;
  const fault = isAlone(record) ? faultOfStarted(record, input.facts) : null;
  if (fault !== null) return giveUp(input, [wantSound(fault.message, rolloutOf(record).step)]);
  const unexcused = wants.filter((want) => !isExcused(want, input));
  if (unexcused.length > 0) return input.isOverdue ? giveUp(input, unexcused) : { code: "wait", wants };
  const retiring = wants.length > 0 ? [] : retiringOf(rolloutOf(record).step);
  const planned = planBack(record, retiring, input);
  if (planned === null || isDone(record, planned)) {
    const left = leftOfCommand(record, input.facts);
    if (left === null) return endWith(input, record, stateWhenBack(record));
    return input.isOverdue ? giveUp(input, [left]) : { code: "wait", wants: [left] };
  }
  const decision = advance(input, planned);
  return decision.code === "wait" && input.isOverdue ? giveUp(input, decision.wants) : decision;
}

/** Going back did not come to its end either: leave what serves, drop what does not, and say so. */
function giveUp(input: DecideInput, wants: readonly Want[]): Decision {
  const record = withReopened(input.committed.record, input.facts);
  const rollout = rolloutOf(record);
  const target = targetOf(record, rollout);
  const isOld = (vm: AppRecord["vms"][number]) => vm.phase === "serving" && vm.release === target.release;
  const isAnySound = record.vms.some((vm) => vm.phase === "serving" && isSound(vm, input.facts));
  // Where nothing is sound what was there before is as good as anything.
  const oldServes = record.vms.some((vm) => isOld(vm) && (!isAnySound || isSound(vm, input.facts)));
  const vms = withoutUnrouted(record).map((vm) => {
    const leaves = rollout.kind === "deploy" && vm.release !== target.release && oldServes;
    return leaves || vm.phase === "standby" ? asCordoned(vm) : vm;
  });
  const message = `${rollout.reason?.message ?? ""}; on the way back: ${complaintsOf(wants)}`;
  const reason = rollout.reason ?? { code: "wait-timeout" as const, lastLines: [], message };
  // Both are left: whoever is well gets the requests, also what had no share any more.
  const left = oldServes ? record : withEachAlike(record);
  const given = withDirectionBack({ ...left, vms }, { ...reason, message }, input.facts);
  const last = withLastOne(given, record, { release: target.release, facts: input.facts });
  return endWith(input, last, last === given ? stateWhenBack(given) : "failed");
}

/** `no-false-success`: what must be true and is not yet observed. */
function missingAtEnd({ committed, facts }: DecideInput): readonly Want[] {
  const rollout = rolloutOf(committed.record);
  if (rollout.kind === "deploy" && rollout.to !== null) {
    const { count } = targetOf(committed.record, rollout);
    const kept = keptRelease(committed.record, rollout);
    return missingOfDeploy(committed, { release: rollout.to, count, targets: rollout.targets, kept }, facts);
  }
  if (rollout.kind === "repair" || rollout.kind === "wake") return missingOfRepair(committed);
  if (rollout.kind === "move") return [...missingOfRepair(committed), ...leftOf(rollout.targets, facts)];
  if (isScaleOrRestart(rollout)) return missingOfWithin(committed.record, rollout, facts);
  const vms = rollout.kind === "destroy" ? [...facts.vms.keys()] : rollout.targets;
  return leftOf(vms, facts);
}

function end(input: DecideInput, state: "succeeded"): Decision {
  const { record } = input.committed;
  if (rolloutOf(record).kind !== "destroy") return endWith(input, record, state);
  const { next, why } = endWith(input, record, state);
  return { code: "swap", next: withDeleted(next), why };
}

function endWith(
  input: DecideInput,
  record: AppRecord,
  state: Exclude<RolloutState, "running" | "paused">,
): Decision & { readonly code: "swap" } {
  const { wants } = input.standing;
  const ended = input.end();
  const outcome = wants.length > 0 ? `not over: ${complaintsOf(wants)}` : ended.outcome;
  const closed = withStepEnded(record, { ...ended, outcome });
  const except = state === "succeeded" ? exceptOf(input, closed) : [];
  const over = withRolloutEnded(closed, { state, whole: wholeAfter(record, state), except }, input);
  const next = withNextBegun(over, input);
  return { code: "swap", next, why: state };
}
