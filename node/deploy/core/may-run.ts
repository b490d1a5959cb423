// May run: of an app that never runs twice, what left its record and may run still. It is added in the commit by which a VM leaves, and goes
// once its host confirmed that. Until then nothing is started elsewhere, save a person said that the host is off, or its lease is over.

import {
  type AppRecord,
  type AppSpec,
  type DesiredVm,
  describeDuration,
  isExclusive,
  MAY_RUN_HOSTS_MAX,
  MAY_RUN_VMS_MAX,
  type MayRun,
  type MemberName,
} from "../../../mesh/index.ts";
import { takeoverAfterMs } from "../../lease.ts";
import type { Facts } from "./facts.ts";
import { isFenced } from "./fences.ts";

/** The key of one in `Facts.departedMs`. */
export function departedKey({ host, epoch }: Pick<MayRun, "host" | "epoch">): string {
  return `${host} ${epoch}`;
}

/**
 * `next`, which is to be committed as `epoch` over `before`, with what leaves by it written down, and without what its host has confirmed.
 * What was only prepared never ran, and never will.
 */
export function withDeparted(
  before: AppRecord | null,
  next: AppRecord,
  { epoch, facts }: { readonly epoch: number; readonly facts: Facts },
): AppRecord {
  const named = new Set(next.vms.map(({ vm }) => vm));
  const left = (before?.vms ?? []).filter(({ vm, phase }) => !named.has(vm) && phase !== "prepared");
  const isMeant = before !== null && (hasExclusive(before) || hasExclusive(next));
  const held = (next.mayRun ?? []).filter((one) => !isConfirmed(one, next, facts));
  const all = (isMeant ? left : []).reduce<readonly MayRun[]>(
    (list, vm) => added(list, vm, before as AppRecord, epoch),
    held,
  );
  const { mayRun: _before, ...rest } = next;
  return all.length === 0 ? rest : { ...rest, mayRun: fitting(all, facts) };
}

/** Hosts that never come back and confirm: where they become too many the oldest whose lease is over are forgotten. */
function fitting(all: readonly MayRun[], facts: Facts): readonly MayRun[] {
  const over = all.filter((one) => isLeaseOver(one, facts));
  const forgotten = new Set(over.slice(0, Math.max(0, all.length - MAY_RUN_HOSTS_MAX)));
  return all.filter((one) => !forgotten.has(one));
}

function hasExclusive({ releases, vms, rollout }: AppRecord): boolean {
  const meant = new Set([rollout?.from, rollout?.to, ...vms.map(({ release }) => release)]);
  return releases.some(({ number, spec }) => meant.has(number) && isExclusive(spec));
}

/** A lease is one only if all that left there have one. */
function added(
  list: readonly MayRun[],
  { vm, host, release }: DesiredVm,
  before: AppRecord,
  epoch: number,
): readonly MayRun[] {
  const held = list.find((one) => one.host === host);
  const leaseMs = leaseOf(before.releases.find(({ number }) => number === release)?.spec);
  const known = held === undefined || held.leaseMs !== undefined;
  const lease = leaseMs === null || !known ? {} : { leaseMs: Math.max(leaseMs, held?.leaseMs ?? 0) };
  const vms = [...(held?.vms ?? []), vm].slice(-MAY_RUN_VMS_MAX);
  return [...list.filter((one) => one.host !== host), { host, epoch, vms, ...lease }];
}

function leaseOf(spec: AppSpec | undefined): number | null {
  return spec?.fence?.leaseMs ?? null;
}

/** That host starts nothing any more but what the record names, or a later one will, and of the app it runs nothing else. */
function isConfirmed({ host, epoch }: MayRun, { app, vms }: AppRecord, { hosts }: Facts): boolean {
  const fact = hosts.get(host);
  if (fact === undefined) return false;
  // It says nothing of the kind: then what it lists is all that is known.
  if (fact.alone === undefined) return true;
  const standing = fact.alone.find((one) => one.app === app);
  return (
    standing !== undefined &&
    standing.epoch >= epoch &&
    standing.vms.every((vm) => vms.some((one) => one.vm === vm && one.host === host))
  );
}

/** Those that keep another VM from being started. */
export function mayRunOf(record: AppRecord, facts: Facts): readonly MayRun[] {
  return (record.mayRun ?? []).filter(
    (one) =>
      !isConfirmed(one, record, facts) && !isFenced(record, facts, one.host) && !isLeaseOver(one, facts),
  );
}

function isLeaseOver(one: MayRun, { departedMs }: Facts): boolean {
  const waitedMs = departedMs?.get(departedKey(one));
  return one.leaseMs !== undefined && waitedMs !== undefined && waitedMs >= takeoverAfterMs(one.leaseMs);
}

/** Of what left the record there the lease is over: whatever its host says, or does not, nothing of it runs. */
export function areLeasesOver({ mayRun = [] }: AppRecord, facts: Facts, host: MemberName): boolean {
  const held = mayRun.find((one) => one.host === host);
  return held !== undefined && isLeaseOver(held, facts);
}

/** How long from now until the lease of one that is waited for is over; null: none is. */
export function leaseLeftMs({ mayRun = [] }: AppRecord, facts: Facts): number | null {
  const left = mayRun.flatMap((one) => {
    if (one.leaseMs === undefined || isLeaseOver(one, facts)) return [];
    return [takeoverAfterMs(one.leaseMs) - (facts.departedMs?.get(departedKey(one)) ?? 0)];
  });
  return left.length === 0 ? null : Math.max(0, Math.min(...left));
}

/** What comes on top of a step's deadline: a lease runs out whoever is silent. */
export function leaseWaitMs({ mayRun = [], releases, vms }: AppRecord): number {
  const departed = mayRun.map(({ leaseMs = 0 }) => leaseMs);
  const here = releases
    .filter(({ number }) => vms.some(({ release }) => release === number))
    .map(({ spec }) => leaseOf(spec) ?? 0);
  const most = Math.max(0, ...departed, ...here);
  return most === 0 ? 0 : takeoverAfterMs(most);
}

/** The VM has a lease: once it is out of the record its host ends it, or that host is off. */
export function hasLease({ releases }: AppRecord, { release }: Pick<DesiredVm, "release">): boolean {
  return leaseOf(releases.find(({ number }) => number === release)?.spec) !== null;
}

/** What of that host stands in the way of an app that never runs twice, and what a person can do; empty: nothing does. */
export function waitText(record: AppRecord, facts: Facts, host: MemberName | undefined): string {
  const held = mayRunOf(record, facts).find((one) => one.host === host);
  if (held === undefined || facts.hosts.get(held.host)?.open === true) return "";
  const fence = `if that is off, \`grapevine host fence ${host}\``;
  if (held.leaseMs === undefined) return `; it may run still, so no other one is started: ${fence}`;
  const leftMs = takeoverAfterMs(held.leaseMs) - (facts.departedMs?.get(departedKey(held)) ?? 0);
  const left = describeDuration(Math.max(1, Math.ceil(leftMs / 1000)) * 1000);
  return `; its lease is over within ${left}, then another one is started: ${fence}, it is at once`;
}
