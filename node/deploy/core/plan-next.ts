// Plan next: from the record to the one step that follows on the way on which its rollout is.

import type { AppRecord, AppSpec, DesiredVm, Rollout, RolloutStep } from "../../../mesh/index.ts";
import { whyNoCanary } from "./canary/skip.ts";
import {
  type CommitContext,
  commandVmName,
  isKept,
  keptRelease,
  nextVmName,
  rolloutOf,
  withStep,
} from "./commits.ts";
import { atomicOf, planReopening } from "./cutover.ts";
import { exchangeOf } from "./exchange.ts";
import type { Facts } from "./facts.ts";
import { handoffOf, isAlone } from "./handoff.ts";
import { withFreedAsStarting } from "./opening.ts";
import { planWithin } from "./plan-within.ts";
import { isLeaving } from "./quorum.ts";
import { nextAtomicStepBack } from "./strategies/atomic.ts";
import { STRATEGIES } from "./strategies/index.ts";
import { paceOf } from "./strategies/pace.ts";
import { nextRetireStep } from "./strategies/retire.ts";
import { rolling } from "./strategies/rolling.ts";
import type { PlanInput, PlannedStep } from "./strategies/strategy.ts";
import { isScaleOrRestart, soundFirst } from "./within.ts";

/** The VMs that the step in force cordoned, by a flip or alone. Valid as "may be stopped" only once that step wants nothing any more. */
export function retiringOf(step: RolloutStep | null): RolloutStep["vms"] {
  return step !== null && isLeaving(step.kind) ? step.vms : [];
}

export type Planned = PlannedStep & { readonly release: number | null };

/** The next step towards where the rollout goes, or null: it is there. */
export function planNext(record: AppRecord, retiring: RolloutStep["vms"], facts: Facts): Planned | null {
  const rollout = rolloutOf(record);
  const { vms } = record;
  const isWithin = rollout.kind === "repair" || rollout.kind === "move" || rollout.kind === "wake";
  if (isWithin || isScaleOrRestart(rollout)) {
    const step = planWithin(record, rollout, retiring, facts);
    return step === null ? null : { ...step, release: rollout.to };
  }
  const command = planCommand(record, rollout);
  if (command !== null) return command;
  if (rollout.kind !== "deploy") {
    const { direction } = rollout;
    const isAll = rollout.kind === "destroy" && direction === "forward";
    const isMeant = (vm: DesiredVm) =>
      isAll || (rollout.targets.includes(vm.vm) && (direction === "forward" || !isKept(vm, record)));
    const targets = vms.filter(isMeant).map(({ vm }) => vm);
    const step = nextRetireStep({ vms: withFreedAsStarting(vms, facts), retiring, targets, direction });
    if (step === null) return null;
    // Of an app that falls asleep requests are kept from then on.
    const isHold = rollout.kind === "sleep" && step.kind === "cordon";
    return { ...step, release: null, ...(isHold ? { kind: "hold", hold: "placed" } : {}) };
  }
  const target = targetOf(record, rollout);
  const nameOf = (index: number) => nextVmName(record, target.release, index);
  const { deploy } = specOf(record, rollout.to);
  const needsApproval = deploy.approval === "manual" && rollout.approved !== true;
  const kept = keptRelease(record, rollout);
  const input: PlanInput = {
    vms: withFreedAsStarting(vms, facts),
    retiring,
    target,
    nameOf,
    ...paceOf(deploy, target.count),
    needsApproval,
    kept,
    ...canaryOf(record, rollout),
    ...atomicOf(record),
    ...handoffOf(record, facts),
  };
  const step = strategyStep(input, rollout.direction, deploy.strategy);
  return step === null ? null : { ...step, release: target.release };
}

/** By the strategy of the release that is on its way; of an app that never runs twice by handoff, both ways; else back by rolling. */
function strategyStep(
  input: PlanInput,
  direction: Rollout["direction"],
  name: keyof typeof STRATEGIES,
): PlannedStep | null {
  if (input.handoff !== undefined) return STRATEGIES.handoff.plan(input)[0] ?? null;
  if (direction === "forward") return STRATEGIES[name].plan(input)[0] ?? null;
  if (input.atomic !== undefined) return nextAtomicStepBack(input);
  return rolling.plan(input)[0] ?? null;
}

/** What is left of it. Asked with a bake as the step in force, that bake is over. */
function canaryOf(record: AppRecord, rollout: Rollout): Pick<PlanInput, "canary"> {
  const { direction, to, step, baked = 0 } = rollout;
  const { canary } = specOf(record, to).deploy;
  if (canary === undefined || direction === "back" || whyNoCanary(record) !== null) return {};
  const present = record.weights?.find(({ release }) => release === to)?.weight ?? null;
  const over = step?.kind === "bake" ? Math.max(baked, present ?? 0) : baked;
  return { canary: { left: canary.weights.filter((weight) => weight > over), present } };
}

/** Before all else of a deploy, once: asked with its step in force, that step is over. Never on the way back. */
function planCommand(
  record: AppRecord,
  { kind, direction, to, step, commandEnded }: Rollout,
): Planned | null {
  const isOver = commandEnded === true || step?.kind === "command";
  if (kind !== "deploy" || direction === "back" || to === null || isOver) return null;
  if (specOf(record, to).deploy.releaseCommand === undefined) return null;
  return { kind: "command", vms: [commandVmName(record, to)], release: to };
}

/**
 * The next step on the way back. An old VM that is cordoned on a host that is away, or serves on one that is lost, is of no use to
 * anybody who is not: another one is started in its place where there is room, before any that serves is taken away, be it lost.
 */
export function planBack(
  record: AppRecord,
  retiring: RolloutStep["vms"],
  context: CommitContext,
): Planned | null {
  const rollout = rolloutOf(record);
  const { kind, from } = rollout;
  if (isScaleOrRestart(rollout)) {
    // What serves again in their place comes first; after it they are too many.
    const { out } = exchangeOf(record, context.facts);
    const vms = soundFirst(record, context.facts).filter(({ vm }) => !out.includes(vm));
    return planNext({ ...record, vms }, retiring, context.facts);
  }
  if (kind !== "deploy" || isAlone(record)) return planNext(record, retiring, context.facts);
  const reopening = planReopening(record);
  if (reopening !== null) return { ...reopening, release: from };
  // A move that it took the place of may have left one too many.
  const all = rollout.before === undefined ? record.vms : soundFirst(record, context.facts);
  const { useful, lost } = byUse(all, from, context.facts);
  const served = useful.filter(({ release, phase }) => release === from && phase === "serving");
  // Taken away before others are there in their place, they would be put back where there is no room for those, and so on without end.
  const isWhole = served.length >= targetOf(record, rollout).count;
  const leaving = isWhole ? lost.map((vm) => ({ ...vm, release: -1 })) : [];
  const planned = planNext({ ...record, vms: [...leaving, ...useful] }, retiring, context.facts);
  const isNowhere = planned?.kind === "start" && withStep(record, planned, context).code === "no-host";
  if (!isNowhere) return planned;
  // As many as shall serve are the useful ones first.
  const rest = all.filter((vm) => !useful.includes(vm));
  return planNext({ ...record, vms: [...useful, ...rest] }, retiring, context.facts);
}

/** `lost`: those of `from` that serve on hosts that are lost. Neither: what is cordoned on a host that is away. */
function byUse(
  vms: readonly DesiredVm[],
  from: number | null,
  { hosts, lost }: Facts,
): { readonly useful: readonly DesiredVm[]; readonly lost: readonly DesiredVm[] } {
  const isLost = ({ release, phase, host }: DesiredVm) =>
    release === from && phase === "serving" && lost.has(host);
  const isAway = ({ phase, host }: DesiredVm) => phase === "cordoned" && hosts.get(host)?.open === false;
  return { useful: vms.filter((vm) => !isLost(vm) && !isAway(vm)), lost: vms.filter(isLost) };
}

/** Forward: the new release, as many VMs as it asks for. Back: as many of the old as there were. */
export function targetOf(
  record: AppRecord,
  rollout: Rollout,
): { readonly release: number | null; readonly count: number } {
  if (rollout.direction === "forward") {
    return { release: rollout.to, count: specOf(record, rollout.to).count };
  }
  return {
    release: rollout.from,
    count: rollout.from === null ? 0 : (rollout.before ?? rollout.targets.length),
  };
}

function specOf(record: AppRecord, number: number | null): AppSpec {
  const release = record.releases.find((candidate) => candidate.number === number);
  // `keptReleases` never drops it: without its count every VM would seem one too many.
  if (release === undefined) throw new Error(`${record.app}: the record lost release v${number}`);
  return release.spec;
}

/** Nothing would change: what it cordons is cordoned, and someone silent keeps it. */
export function isDone(record: AppRecord, planned: PlannedStep): boolean {
  const left = record.vms.filter((vm) => planned.vms.includes(vm.vm) && vm.phase !== "cordoned");
  return planned.kind === "cordon" && left.length === 0;
}
