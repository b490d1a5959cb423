// Commits: the next record after each move of a rollout. Each function takes a record and returns one; nothing here decides when.

import {
  type AnswersReport,
  type AppRecord,
  type DesiredVm,
  ENTRY_VALUE_BYTES_MAX,
  encodeAppRecord,
  isUnderWay,
  type MemberName,
  pinMaxAgeMs,
  RELEASES_MAX,
  type Release,
  ROLLOUT_HISTORY_MAX,
  type Rollout,
  type RolloutState,
  type RolloutStep,
  type RolloutStepReport,
  type VmName,
  vmName,
} from "../../../mesh/index.ts";
import { withoutSilence } from "./exclusions.ts";
import { type Facts, observed, registeredProxies } from "./facts.ts";
import type { RolloutReason } from "./fault.ts";
import { withVolumesMade } from "./home.ts";
import {
  withHoldAtEnd,
  withHoldOnWayBack,
  withLaunchHold,
  withoutHoldBy,
  withoutVainHold,
  withSleepHold,
} from "./idle-hold.ts";
import { isSound } from "./last-sound.ts";
import { asCordoned } from "./opening.ts";
import { isLeaving } from "./quorum.ts";
import { withoutShareOf, withSoundWeights } from "./shares.ts";
import { isAckStep, needsAcks } from "./standing.ts";
import { type Applied, placeOn, releaseOf, startPhaseOf, withHandedOver, withStarted } from "./starts.ts";
import type { PlannedStep } from "./strategies/strategy.ts";

export interface CommitContext {
  readonly driver: MemberName;
  /** The driver's clock, milliseconds since 1970: for people. */
  readonly wallMs: number;
  readonly facts: Facts;
}

/** What is said of a step when it ends. */
export interface StepEnd extends AnswersReport {
  readonly waitedMs: number;
  readonly outcome: string;
  /** As in `RolloutStepReport`. */
  readonly fenced?: NonNullable<RolloutStepReport["fenced"]>;
}

/** Name of the `index`th VM that is started next of `release`, from 0. */
export function nextVmName(record: AppRecord, release: number | null, index: number): VmName {
  const named = record.releases.find((candidate) => candidate.number === release)?.vmsNamed ?? 0;
  return vmName(`${record.app}-v${release}-${named + 1 + index}`);
}

/** Of the VM that runs the release command: a number that no other VM of the release gets. */
export function commandVmName(record: AppRecord, release: number): VmName {
  return vmName(`${record.app}-v${release}-0`);
}

/** The record with `planned` as its step, its change made. The step before must have ended (`withStepEnded`). */
export function withStep(
  record: AppRecord,
  planned: PlannedStep & { readonly release: number | null },
  context: CommitContext,
): Applied {
  const rollout = rolloutOf(record);
  const changed = changeVms(record, planned, context);
  if (changed.code === "no-host") return changed;
  const isGone = planned.kind === "stop" || planned.kind === "handover";
  const ofStep = isGone ? record.vms : changed.record.vms;
  const isAcked = (isAckStep(planned.kind) || planned.kind === "bake") && needsAcks(record);
  const step: RolloutStep = {
    number: (rollout.history.at(-1)?.number ?? 0) + 1,
    kind: planned.kind,
    vms: planned.vms,
    ...(planned.serves === undefined ? {} : { serves: planned.serves }),
    ...(planned.weights != null ? { weights: planned.weights } : {}),
    hosts:
      changed.hosts ??
      planned.vms.flatMap((vm) => ofStep.find((candidate) => candidate.vm === vm)?.host ?? []),
    ackSet: isAcked ? registeredProxies(context.facts) : [],
    startedAtMs: context.wallMs,
  };
  const proxies = registeredProxies(context.facts);
  const next: Rollout = { ...rollout, driver: context.driver, step, proxies };
  return { code: "applied", record: fitted({ ...changed.record, rollout: next }) };
}

/** `hosts`: of VMs that are in the step alone. */
function changeVms(
  record: AppRecord,
  planned: PlannedStep & { readonly release: number | null },
  { facts, wallMs }: CommitContext,
): Applied & { readonly hosts?: readonly MemberName[] } {
  if (planned.kind === "command") {
    const placing = placeOn(
      record,
      { release: releaseOf(record, planned), count: planned.vms.length },
      facts,
    );
    if (placing.code === "no-host") return placing;
    return { code: "applied", record, hosts: placing.placements.map(({ host }) => host) };
  }
  if (planned.kind === "prepare") return withStarted(record, planned, { facts, phase: "prepared" });
  if (planned.kind === "start") return withStarted(record, planned, { facts, phase: startPhaseOf(record) });
  if (planned.kind === "handover") return withHandedOver(record, planned, facts);
  if (planned.kind === "approve" || planned.kind === "bake") return { code: "applied", record };
  const named = new Set(planned.vms);
  const entering = new Set(planned.serves);
  const vms = record.vms.flatMap((vm): readonly DesiredVm[] => {
    if (entering.has(vm.vm)) return [asReached(vm, "serving", facts)];
    if (!named.has(vm.vm)) return [vm];
    if (planned.kind === "stop") return [];
    if (isLeaving(planned.kind)) return [asCordoned(vm)];
    if (planned.kind === "weigh") return [asWeighedOut(vm, record)];
    return [asReached(vm, planned.kind === "standby" ? "standby" : "serving", facts)];
  });
  const { weights: before, ...rest } = record;
  const weights = planned.weights === undefined ? before : (planned.weights ?? undefined);
  const held = withHoldOf(planned, { ...rest, vms }, wallMs);
  // What is taken back for a deploy that follows it leaves its requests to that.
  const next =
    record.rollout?.next === undefined ? withHoldOnWayBack(held, wallMs) : withLaunchHold(held, wallMs);
  return { code: "applied", record: { ...next, ...(weights === undefined ? {} : { weights }) } };
}

/** Of a rollout's step: a person's hold stays theirs, and only they lift it. */
function withHoldOf({ hold }: PlannedStep, record: AppRecord, wallMs: number): AppRecord {
  if (hold === "lifted") return withoutHoldBy("rollout", record);
  // What a wake clears away first goes while the app sleeps: a request wakes it still.
  const isOthers = record.hold?.by === "person" || record.rollout?.kind === "wake";
  if (hold !== "placed" || isOthers) return record;
  if (record.rollout?.kind === "sleep") return withSleepHold(record, wallMs);
  return { ...record, hold: { by: "rollout", atMs: wallMs } };
}

/** As it was before it served by weight: of a deploy that has not taken over on standby, else kept. */
function asWeighedOut(vm: DesiredVm, { rollout }: AppRecord): DesiredVm {
  const isNext = rollout?.kind === "deploy" && vm.release === rollout.to;
  return isNext ? { ...vm, phase: "standby" } : asCordoned(vm);
}

export function asReached(vm: DesiredVm, phase: "standby" | "serving", facts: Facts): DesiredVm {
  return { ...vm, phase, requires: observed(facts, vm)?.version ?? vm.requires };
}

/** The step in force is over: it goes into the history. */
export function withStepEnded(record: AppRecord, { waitedMs, outcome, ...answers }: StepEnd): AppRecord {
  const rollout = rolloutOf(record);
  const { step, direction } = rollout;
  if (step === null) return record;
  const { number, kind, vms, serves, weights, startedAtMs } = step;
  const report: RolloutStepReport = {
    number,
    kind,
    vms,
    ...(serves === undefined ? {} : { serves }),
    ...(weights === undefined ? {} : { weights }),
    ...(direction === "back" ? { back: true as const } : {}),
    startedAtMs,
    waitedMs: Math.round(waitedMs),
    outcome: outcome.slice(0, 1000),
    ...answers,
  };
  const history = [...rollout.history, report].slice(-ROLLOUT_HISTORY_MAX);
  const ran = kind === "command" ? { commandEnded: true } : {};
  const baked = kind === "bake" ? { baked: weightOfNew(record) } : {};
  return { ...record, rollout: { ...rollout, ...ran, ...baked, step: null, history } };
}

function weightOfNew({ weights, rollout }: AppRecord): number {
  return weights?.find(({ release }) => release === rollout?.to)?.weight ?? 0;
}

/** The new release gets no request more, where another one is there for them: from this commit on, before its VMs are gone. */
export function withDirectionBack(record: AppRecord, reason: RolloutReason, facts: Facts): AppRecord {
  const { pause: _pause, ...rollout } = rolloutOf(withReason(record, reason));
  const back: Rollout = { ...rollout, state: "running", direction: "back" };
  const release = rollout.kind === "deploy" ? rollout.to : null;
  return fitted(withoutShareOf(release, { ...record, rollout: back }, (vm) => isSound(vm, facts)));
}

/** It takes no step more until a person says so. Its step stays, and its VMs. */
export function withPause(record: AppRecord, why: string, { driver, wallMs }: CommitContext): AppRecord {
  const pause = { why: why.slice(0, 1000), atMs: wallMs };
  return fitted({ ...record, rollout: { ...rolloutOf(record), driver, state: "paused", pause } });
}

export function withReason(record: AppRecord, reason: RolloutReason): AppRecord {
  const bounded = { ...reason, message: reason.message.slice(0, 2000) };
  return { ...record, rollout: { ...rolloutOf(record), reason: bounded } };
}

/** The rollout is over. `whole` is the release that is the whole app now, if it brought that about. */
export function withRolloutEnded(
  record: AppRecord,
  end: {
    readonly state: Exclude<RolloutState, "running" | "paused">;
    readonly whole: number | null;
    readonly except: readonly MemberName[];
  },
  context: CommitContext,
): AppRecord {
  const rollout = rolloutOf(record);
  const release = record.releases.find((candidate) => candidate.number === end.whole);
  const ended: Rollout = {
    ...rollout,
    driver: context.driver,
    state: end.state,
    endedAtMs: context.wallMs,
    proxies: registeredProxies(context.facts),
    ...(end.except.length === 0 ? {} : { except: end.except }),
  };
  const current = end.whole ?? record.current;
  const kept = keptAtEnd(record, release, end.state, context.wallMs);
  const hostnames = release === undefined ? record.hostnames : hostnamesOf(record, release);
  const releases = release === undefined ? record.releases : servedOf(record.releases, release);
  const all = { ...record, ...kept, releases, hostnames, current, rollout: ended };
  // What it closed serves again before, where it came to nothing: see `withReopened`.
  const whole = withoutSilence(withHoldAtEnd(withoutVainKeep(all), context.wallMs));
  const named = withNamesFreed(whole);
  return fitted(release === undefined ? named : withVolumesMade(named, release.number));
}

/** `whole` is the whole app now. Those after it were gone back from: nobody goes back to them unless told so. */
function servedOf(releases: readonly Release[], whole: Release): readonly Release[] {
  return releases.map(({ served, ...release }): Release => {
    const isBefore = served === true && release.number < whole.number;
    return release.number === whole.number || isBefore ? { ...release, served: true } : release;
  });
}

/** What the new release leaves of the old one, cordoned, and until when. */
function keptAtEnd(
  record: AppRecord,
  whole: Release | undefined,
  state: RolloutState,
  wallMs: number,
): Pick<AppRecord, "kept"> {
  const { rollout, vms } = record;
  if (whole === undefined || state !== "succeeded" || rollout?.kind !== "deploy") return {};
  const release = keptRelease(record, rollout);
  if (release === null || !vms.some((vm) => vm.release === release)) return {};
  return { kept: { release, untilMs: wallMs + keepOldMs(whole) } };
}

/** The old release, if the new one keeps it for a while. An app that is taken back to what it was when it ran last has none before it. */
export function keptRelease({ releases }: AppRecord, { direction, from, to }: Rollout): number | null {
  const next = releases.find(({ number }) => number === to);
  return direction === "forward" && from !== to && next !== undefined && keepOldMs(next) > 0 ? from : null;
}

/** It was cordoned before anybody asked to stop it, and never serves again of itself. */
export function isKept({ phase, release }: DesiredVm, { kept }: Pick<AppRecord, "kept">): boolean {
  return phase === "cordoned" && kept?.release === release;
}

/** Once the last VM of what was kept has gone, nothing is. */
export function withoutVainKeep(record: AppRecord): AppRecord {
  const isVain = record.kept !== undefined && !record.vms.some((vm) => isKept(vm, record));
  return isVain ? withNothingKept(record) : record;
}

/** How long a release keeps the one before it. */
export function keepOldMs({ spec: { deploy } }: Release): number {
  const byKey = deploy.strategy === "bluegreen" ? (deploy.keepOldMs ?? 0) : 0;
  return Math.max(byKey, pinMaxAgeMs(deploy) ?? 0);
}

/** Nothing of an earlier release is kept any more: its VMs are left over. */
export function withNothingKept({ kept: _kept, ...record }: AppRecord): AppRecord {
  return record;
}

/** Those of `whole`, and those of any release that serves beside it: going back may have come to no end. */
function hostnamesOf({ releases, vms }: AppRecord, whole: Release): readonly string[] {
  const serving = new Set(vms.filter((vm) => vm.phase === "serving").map((vm) => vm.release));
  const others = releases.filter(({ number }) => serving.has(number));
  return [...new Set([whole, ...others].flatMap(({ spec }) => spec.hostnames))];
}

/** No split is in force any more. */
export function withEachAlike({ weights: _weights, ...record }: AppRecord): AppRecord {
  return record;
}

/** A first launch that failed holds no names: they are free once nothing of it runs. */
export function withNamesFreed(record: AppRecord): AppRecord {
  return record.current === null && record.vms.length === 0 ? { ...record, hostnames: [] } : record;
}

/** Nothing is left of the app but its epoch and its release numbers; its names are free. */
export function withDeleted(record: AppRecord): AppRecord {
  const { hold: _hold, ...free } = record;
  return {
    ...withEachAlike(withNothingKept(free)),
    vms: [],
    deleted: true,
    hostnames: [],
    releases: [],
    current: null,
  };
}

/** Null: none is under way. */
export function runningOf({ rollout }: Pick<AppRecord, "rollout">): Rollout | null {
  return isUnderWay(rollout) ? rollout : null;
}

export function rolloutOf(record: AppRecord): Rollout {
  if (record.rollout === null) throw new Error(`${record.app}: no rollout`);
  return record.rollout;
}

/** The envelope of an `app/*` entry around the record's bytes. */
const ENVELOPE_BYTES = 64;
export const RECORD_BYTES_MAX: number = ENTRY_VALUE_BYTES_MAX - ENVELOPE_BYTES;

/** The last that was the whole app before the one that is. */
export function servedBefore({ releases, current }: AppRecord): Release | undefined {
  return releases.findLast(({ number, served }) => served === true && number < (current ?? 0));
}

/** Keeps the record within its bounds: releases that nothing needs go first, then the oldest steps' answers, then the oldest steps. */
export function fitted(record: AppRecord): AppRecord {
  let fit: AppRecord = withoutVainHold(withSoundWeights({ ...record, releases: keptReleases(record) }));
  while (isOverBound(fit)) {
    const history = shortened(fit.rollout?.history ?? []);
    if (fit.rollout === null || history === null) return fit;
    fit = { ...fit, rollout: { ...fit.rollout, history } };
  }
  return fit;
}

/** Of a value msgpack takes five times the characters of its JSON at most: 9 bytes of a number that is one and a comma there. */
export const BYTES_PER_JSON_CHAR_MAX = 5;

/** A decision is made with each answer, and hardly any record is near the bound: to encode it was a tenth of all that a decision costs. */
function isOverBound(record: AppRecord): boolean {
  const isNear = BYTES_PER_JSON_CHAR_MAX * JSON.stringify(record).length > RECORD_BYTES_MAX;
  return isNear && encodeAppRecord(record).length > RECORD_BYTES_MAX;
}

/** Null: nothing of it can go. */
function shortened(history: readonly RolloutStepReport[]): readonly RolloutStepReport[] | null {
  const told = history.filter(({ asked, spared }) => asked !== undefined || spared !== undefined);
  if (told.length === 0) return history.length <= 1 ? null : history.slice(Math.ceil(history.length / 4));
  const dropped = new Set(told.slice(0, Math.ceil(told.length / 4)));
  return history.map((report) => (dropped.has(report) ? withoutAnswers(report) : report));
}

function withoutAnswers({
  asked: _asked,
  askedMore: _askedMore,
  spared: _spared,
  ...rest
}: RolloutStepReport): RolloutStepReport {
  return rest;
}

/** Needed: the two of the rollout, the one in force, those that VMs run; then the one that it would go back to, and the newest of the others. */
function keptReleases(record: AppRecord): readonly Release[] {
  const { releases, rollout, current, vms } = record;
  const running = vms.map((vm) => vm.release).sort((left, right) => right - left);
  const newest = releases.map((release) => release.number).reverse();
  const before = servedBefore(record)?.number;
  const order = [rollout?.to, rollout?.from, rollout?.next, current, ...running, before, ...newest];
  const kept = new Set(order.filter((number) => number != null));
  const numbers = [...kept].slice(0, RELEASES_MAX);
  return releases.filter((release) => numbers.includes(release.number));
}
