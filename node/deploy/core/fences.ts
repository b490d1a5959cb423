// Fences: hosts of which a person said that they are off, in the app's record. It is about one death of the host: once that is back, by
// the connection to it or by a new start of which anybody heard, the word is over, and what its gate confirms is needed again.

import {
  type AppRecord,
  compareStarts,
  FENCES_MAX,
  type Fence,
  type MemberName,
  type RolloutStepReport,
  type VmName,
} from "../../../mesh/index.ts";
import type { Facts } from "./facts.ts";

/** Why the record changes then. */
export const FENCE_OVER = "a host that was fenced is back";

/** Null: there is no room for it. The record itself: it says so already, of this very start. */
export function withFenced(record: AppRecord, fence: Fence): AppRecord | null {
  const { fenced = [] } = record;
  const held = fenced.find(({ host }) => host === fence.host);
  if (held !== undefined && compareStarts(held.start, fence.start) === 0) return record;
  const next = [...fenced.filter(({ host }) => host !== fence.host), fence];
  return next.length > FENCES_MAX ? null : { ...record, fenced: next };
}

/** The record itself if none of them is over. */
export function withoutEndedFences(record: AppRecord, facts: Facts): AppRecord {
  const { fenced = [], ...rest } = record;
  const left = fenced.filter((fence) => !isOver(fence, facts));
  if (left.length === fenced.length) return record;
  return left.length === 0 ? rest : { ...rest, fenced: left };
}

/** Those whose word is in force. */
export function fencesOf({ fenced = [] }: AppRecord, facts: Facts): readonly Fence[] {
  // Of a host of which nothing is held nobody can say that it is not back.
  return fenced.filter((fence) => facts.hosts.has(fence.host) && !isOver(fence, facts));
}

export function isFenced(record: AppRecord, facts: Facts, host: MemberName): boolean {
  return fencesOf(record, facts).some((fence) => fence.host === host);
}

/** Those of `vms` that are on no host which is fenced. */
export function withoutFenced(vms: readonly VmName[], record: AppRecord, facts: Facts): readonly VmName[] {
  const meant = new Set(fencesOf(record, facts).map(({ host }) => host));
  const gone = new Set(record.vms.filter(({ host }) => meant.has(host)).map(({ vm }) => vm));
  return vms.filter((vm) => !gone.has(vm));
}

/** The key of one in `Facts.returned`. */
function fenceKey({ host, start, atMs }: Fence): string {
  return `${host} ${start.incarnation} ${start.startId} ${atMs}`;
}

/** Of the fences of the record, those that are over: to be remembered, as their hosts may die once more before that is committed. */
export function returnedOf({ fenced = [] }: AppRecord, facts: Facts): ReadonlySet<string> {
  return new Set(fenced.filter((fence) => isOver(fence, facts)).map(fenceKey));
}

function isOver(fence: Fence, facts: Facts): boolean {
  if (facts.returned?.has(fenceKey(fence)) === true) return true;
  const { host, start } = fence;
  const fact = facts.hosts.get(host);
  if (fact === undefined) return false;
  const isBack = fact.connected ?? fact.open;
  return isBack || (fact.start !== undefined && compareStarts(fact.start, start) > 0);
}

/** Those of `hosts` whose word is in force, and since when: what a step did without them is said of it. */
export function fencedOf(
  record: AppRecord,
  facts: Facts,
  hosts: readonly MemberName[],
): NonNullable<RolloutStepReport["fenced"]> {
  const meant = fencesOf(record, facts).filter(({ host }) => hosts.includes(host));
  return meant.map(({ host, atMs, unsafe }) => ({ host, atMs, ...(unsafe === true ? { unsafe } : {}) }));
}
