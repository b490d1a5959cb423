// Idle hold: requests that are kept because no VM of their app serves: it sleeps, or it is launched for the first time. Whatever brings one
// sends them on, in the same commit.

import { type AppRecord, type Hold, idleAfterMsOf, RAN_ON_MAX } from "../../../mesh/index.ts";

/** Requests are sent on again, unless somebody else holds them. */
export function withoutHoldBy(holder: Hold["by"], { hold, ...record }: AppRecord): AppRecord {
  return hold === undefined || hold.by === holder ? record : { ...record, hold };
}

/** What was kept for want of a VM is not kept any more once one serves. */
export function withoutVainHold(record: AppRecord): AppRecord {
  const by = record.hold?.by;
  const isForVm = by === "launch" || by === "idle";
  return isForVm && (isAnyServing(record) || record.hostnames.length === 0)
    ? withoutHoldBy(by, record)
    : record;
}

/** Of a deploy that begins: from this commit on its first requests wait, where nothing serves that could answer them. */
export function withLaunchHold(record: AppRecord, atMs: number): AppRecord {
  if (record.hold !== undefined || isAnyServing(record) || record.hostnames.length === 0) return record;
  return { ...record, hold: { by: "launch", atMs } };
}

/** Of a rollout that is over: what it held is sent on. An app that may sleep, and has nothing that serves, sleeps: a request wakes it. */
export function withHoldAtEnd(record: AppRecord, atMs: number): AppRecord {
  const free = withoutHoldBy("launch", withoutHoldBy("rollout", record));
  return withIdleHold(free, atMs);
}

/** Of a rollout that goes back to an app that slept: what comes from this commit on waits too, until that is woken. */
export function withHoldOnWayBack(record: AppRecord, atMs: number): AppRecord {
  const { direction, next } = record.rollout ?? {};
  return direction === "back" && next === undefined ? withIdleHold(record, atMs) : record;
}

function withIdleHold(record: AppRecord, atMs: number): AppRecord {
  return record.hold === undefined && sleepsBeneath(record)
    ? { ...record, hold: { by: "idle", atMs } }
    : record;
}

/** Of an app that falls asleep. Where it ran it wakes fastest: what it needs is there. */
export function withSleepHold(record: AppRecord, atMs: number): AppRecord {
  const ranOn = [...new Set(record.vms.map(({ host }) => host))].slice(0, RAN_ON_MAX);
  return { ...record, hold: { by: "idle", atMs, ranOn } };
}

/** Were nobody else to hold its requests, it would sleep. What a person stopped is not woken by a request, unless they asked for VMs since. */
export function sleepsBeneath(record: AppRecord): boolean {
  const { kind } = record.rollout ?? {};
  const isMeant = kind !== undefined && kind !== "stop" && kind !== "destroy";
  return isMeant && idleAfterMsOf(record) !== null && !isAnyServing(record);
}

export function isAnyServing({ vms }: Pick<AppRecord, "vms">): boolean {
  return vms.some(({ phase }) => phase === "serving");
}
