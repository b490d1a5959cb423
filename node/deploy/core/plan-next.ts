// Plan next: from the record to the one step that follows on the way on which its rollout is.

import type { AppRecord, AppSpec, Rollout, RolloutStep } from "../../../mesh/index.ts";
import { whyNoCanary } from "./canary/skip.ts";
import { type CommitContext, commandVmName, keepOldMs, nextVmName, rolloutOf, withStep } from "./commits.ts";
import { STRATEGIES } from "./strategies/index.ts";
import { paceOf } from "./strategies/pace.ts";
import { nextRetireStep } from "./strategies/retire.ts";
import { rolling } from "./strategies/rolling.ts";
import type { PlanInput, PlannedStep } from "./strategies/strategy.ts";

/** The VMs that the step in force cordoned, by a flip or alone. Valid as "may be stopped" only once that step wants nothing any more. */
export function retiringOf(step: RolloutStep | null): RolloutStep["vms"] {
  return step?.kind === "cordon" || step?.kind === "flip" ? step.vms : [];
}

export type Planned = PlannedStep & { readonly release: number | null };

/** The next step towards where the rollout goes, or null: it is there. */
export function planNext(record: AppRecord, retiring: RolloutStep["vms"]): Planned | null {
  const rollout = rolloutOf(record);
  const { vms } = record;
  if (rollout.kind === "repair") return planRepair(record, rollout, retiring);
  const command = planCommand(record, rollout);
  if (command !== null) return command;
  if (rollout.kind !== "deploy") {
    const isAll = rollout.kind === "destroy" && rollout.direction === "forward";
    const targets = isAll ? vms.map((vm) => vm.vm) : rollout.targets;
    const step = nextRetireStep({ vms, retiring, targets, direction: rollout.direction });
    return step === null ? null : { ...step, release: null };
  }
  const target = targetOf(record, rollout);
  const nameOf = (index: number) => nextVmName(record, target.release, index);
  const { deploy } = specOf(record, rollout.to);
  const strategy = rollout.direction === "forward" ? STRATEGIES[deploy.strategy] : rolling;
  const needsApproval = deploy.approval === "manual" && rollout.approved !== true;
  const kept = keptRelease(record, rollout);
  const step = strategy.plan({
    vms,
    retiring,
    target,
    nameOf,
    ...paceOf(deploy, target.count),
    needsApproval,
    kept,
    ...canaryOf(record, rollout),
  })[0];
  return step === undefined ? null : { ...step, release: target.release };
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
 * The next step on the way back. A cordoned VM whose host is away is of no use to anybody who is not: another one is started in its
 * place where there is room, before any that serves is taken away.
 */
export function planBack(
  record: AppRecord,
  retiring: RolloutStep["vms"],
  context: CommitContext,
): Planned | null {
  const isAway = ({ phase, host }: AppRecord["vms"][number]) =>
    phase === "cordoned" && context.facts.hosts.get(host)?.open === false;
  const isDeploy = rolloutOf(record).kind === "deploy";
  const planned = planNext({ ...record, vms: record.vms.filter((vm) => !isDeploy || !isAway(vm)) }, retiring);
  const isNowhere = planned?.kind === "start" && withStep(record, planned, context).code === "no-host";
  return isNowhere ? planNext(record, retiring) : planned;
}

/** As a rolling deploy, in which what is to be replaced is of no release. */
function planRepair(record: AppRecord, rollout: Rollout, retiring: RolloutStep["vms"]): Planned | null {
  const { to, targets, count = 0 } = rollout;
  const isTarget = (vm: AppRecord["vms"][number]) => targets.includes(vm.vm);
  const vms = record.vms
    .filter((vm) => isTarget(vm) || (vm.release === to && vm.phase !== "cordoned"))
    .map((vm) => (isTarget(vm) ? { ...vm, release: -1 } : vm));
  const nameOf = (index: number) => nextVmName(record, to, index);
  const pace = { surge: Math.max(1, targets.length), unavailable: 0 };
  const target = { release: to, count };
  const step = rolling.plan({ vms, retiring, target, nameOf, ...pace, needsApproval: false, kept: null })[0];
  return step === undefined ? null : { ...step, release: to };
}

/** The old release, if the new one keeps it for a while. */
export function keptRelease({ releases }: AppRecord, { direction, from, to }: Rollout): number | null {
  const next = releases.find(({ number }) => number === to);
  return direction === "forward" && next !== undefined && keepOldMs(next) > 0 ? from : null;
}

/** Forward: the new release, as many VMs as it asks for. Back: as many of the old as there were. */
export function targetOf(
  record: AppRecord,
  rollout: Rollout,
): { readonly release: number | null; readonly count: number } {
  if (rollout.direction === "forward") {
    return { release: rollout.to, count: specOf(record, rollout.to).count };
  }
  return { release: rollout.from, count: rollout.from === null ? 0 : rollout.targets.length };
}

function specOf(record: AppRecord, number: number | null): AppSpec {
  const release = record.releases.find((candidate) => candidate.number === number);
  // `keptReleases` never drops it: without its count every VM would seem one too many.
  if (release === undefined) throw new Error(`${record.app}: the record lost release v${number}`);
  return release.spec;
}
