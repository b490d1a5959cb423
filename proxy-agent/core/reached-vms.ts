// Reached VMs: which VMs of a record get requests, and of which a proxy waits until it can dial them.

import { type AppRecord, type DesiredVm, isPinned, isUnderWay } from "../../mesh/index.ts";

/** Requests go there, if only by a preview name. */
export function isReached({ phase }: DesiredVm): boolean {
  return phase === "serving" || phase === "standby";
}

/** Its gate lets requests through to it: it is reached, or will be as soon as it is healthy, or is by a pin alone. */
export function isOpenBy(record: AppRecord): (vm: DesiredVm) => boolean {
  return (vm) => isReached(vm) || vm.phase === "opening" || isPinned(vm, record);
}

/** Whatever their hosts say of them. */
export function reachedVms(record: AppRecord): readonly DesiredVm[] {
  return record.vms.filter((vm) => isReached(vm) || isPinned(vm, record)).sort(byName);
}

export function byName(left: DesiredVm, right: DesiredVm): number {
  return left.vm < right.vm ? -1 : 1;
}

/**
 * Of a serve, standby or weigh step the VMs that it brings into routing; of a deploy's other steps the VMs of the release that shall stay, of a
 * move's those that it started, of a restart's those that shall stay; otherwise all. An old VM that
 * broke, or whose host is down, must not hold up the deploy that replaces it.
 */
export function isAwaitedBy({ rollout }: AppRecord): (desired: DesiredVm) => boolean {
  if (rollout === null || !isUnderWay(rollout)) return () => true;
  const { step, kind, direction, from, to, targets, history } = rollout;
  if (step?.kind === "weigh") return ({ vm }) => step.serves?.includes(vm) === true;
  if (step?.kind === "serve" || step?.kind === "standby") return ({ vm }) => step.vms.includes(vm);
  if (kind === "restart") return ({ vm }) => targets.includes(vm) === (direction === "back");
  if (kind === "move") {
    const started = history.flatMap((report) => (report.kind === "start" ? report.vms : []));
    return ({ vm }) => started.includes(vm);
  }
  if (kind !== "deploy") return () => true;
  return ({ release }) => release === (direction === "forward" ? to : from);
}
