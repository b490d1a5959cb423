// Plan within: the next step of a rollout that stays within one release: a repair, a move, a scale, a restart. What shall go is planned as if it were
// of no release; the rest is what a rolling deploy does, and of a restart what the app's strategy does.

import type { AppRecord, DeploySpec, DesiredVm, Rollout, RolloutStep } from "../../../mesh/index.ts";
import { nextVmName } from "./commits.ts";
import type { Facts } from "./facts.ts";
import { handoffOf } from "./handoff.ts";
import { isToServe, withFreedAsStarting } from "./opening.ts";
import { STRATEGIES } from "./strategies/index.ts";
import { paceOf } from "./strategies/pace.ts";
import { rolling } from "./strategies/rolling.ts";
import type { PlanInput, PlannedStep } from "./strategies/strategy.ts";

const NO_RELEASE = -1;

/** The next step of a repair, a move, a scale or a restart, or null: it is there. */
export function planWithin(
  record: AppRecord,
  rollout: Rollout,
  retiring: RolloutStep["vms"],
  facts: Facts,
): PlannedStep | null {
  const { to, direction, count = 0, before = 0 } = rollout;
  const common = {
    retiring,
    nameOf: (index: number) => nextVmName(record, to, index),
    // What is new is of the release that a person let take over before.
    needsApproval: false,
    kept: null,
    ...handoffOf(record, facts),
  };
  if (common.handoff !== undefined) {
    const isForward = direction === "forward";
    const all = withFreedAsStarting(record.vms, facts);
    const vms = isForward ? wokenAnew(forwardOf(all, rollout), rollout) : backOf(all, rollout);
    // A move was to leave as many as it found.
    const target = { release: to, count: isForward ? count : (rollout.before ?? count) };
    return STRATEGIES.handoff.plan({ ...common, vms, target, surge: 0, unavailable: 0 })[0] ?? null;
  }
  if (rollout.kind !== "restart" || direction === "back") {
    const isForward = direction === "forward";
    const vms = isForward ? forwardVms(record, rollout, retiring) : backVms(record, rollout, retiring);
    const target = { release: to, count: isForward ? count : before };
    const pace = { surge: Math.max(1, surgeOf(record, rollout)), unavailable: 0 };
    return rolling.plan({ ...common, vms, target, ...pace })[0] ?? null;
  }
  const deploy = deployOf(record, rollout);
  const vms = forwardVms(record, rollout, retiring);
  const target = { release: to, count };
  return STRATEGIES[deploy.strategy].plan({ ...common, vms, target, ...paceOf(deploy, count) })[0] ?? null;
}

/** What is lost, or is one more or fewer, comes and goes at once; what serves well makes way at the app's pace. */
function surgeOf(record: AppRecord, rollout: Rollout): number {
  const { kind, targets, count = 0 } = rollout;
  return kind === "move" ? paceOf(deployOf(record, rollout), count).surge : targets.length;
}

function deployOf({ app, releases }: AppRecord, { to }: Rollout): DeploySpec {
  const release = releases.find(({ number }) => number === to);
  if (release === undefined) throw new Error(`${app}: the record lost release v${to}`);
  return release.spec.deploy;
}

type PlannedVms = PlanInput["vms"];

/** VMs that an earlier rollout left, or that the app keeps, are none of its business. */
function ownVms(
  { vms }: AppRecord,
  { to, targets }: Rollout,
  retiring: RolloutStep["vms"],
): readonly DesiredVm[] {
  return vms.filter(
    ({ vm, phase, release }) =>
      targets.includes(vm) || (release === to && (phase !== "cordoned" || retiring.includes(vm))),
  );
}

function forwardVms(record: AppRecord, rollout: Rollout, retiring: RolloutStep["vms"]): PlannedVms {
  return forwardOf(ownVms(record, rollout, retiring), rollout);
}

/** What has come to serve serves on, as far as it is needed; what has not is dropped, but what was started on the way back. */
function backVms(record: AppRecord, rollout: Rollout, retiring: RolloutStep["vms"]): PlannedVms {
  return backOf(ownVms(record, rollout, retiring), rollout);
}

function forwardOf(vms: readonly DesiredVm[], { targets }: Rollout): PlannedVms {
  return vms.map((vm) => (targets.includes(vm.vm) ? { ...vm, release: NO_RELEASE } : vm));
}

/** Of an app that never runs twice what an earlier wake closed goes first. */
function wokenAnew(vms: PlannedVms, { kind }: Rollout): PlannedVms {
  if (kind !== "wake") return vms;
  return vms.map((vm) => (vm.phase === "cordoned" ? { ...vm, release: NO_RELEASE } : vm));
}

function backOf(vms: readonly DesiredVm[], { step }: Rollout): PlannedVms {
  const anew = step?.kind === "start" ? step.vms : step?.kind === "handover" ? (step.serves ?? []) : [];
  const isDropped = (vm: DesiredVm) =>
    vm.phase === "standby" || vm.phase === "prepared" || (isToServe(vm) && !anew.includes(vm.vm));
  return vms.map((vm) => (isDropped(vm) ? { ...vm, release: NO_RELEASE } : vm));
}
