// Handoff, of the record and what is known: which apps never run twice, where the next VM of one belongs, and what must have ended before it is
// started. The steps themselves are in strategies/handoff.ts.

import { type AppRecord, type DesiredVm, isExclusive, type MemberName } from "../../../mesh/index.ts";
import { type Facts, hasEnded } from "./facts.ts";
import { isFenced } from "./fences.ts";
import { isHeldByRollout, isHeldByStep } from "./held-step.ts";
import { areLeasesOver, mayRunOf } from "./may-run.ts";
import { isToServe, withOpeningClosed } from "./opening.ts";
import type { PlanInput, PlannedStep } from "./strategies/strategy.ts";

/** A release that runs, or is on its way, or would be gone back to, says that two VMs never run at once. */
export function isAlone(record: AppRecord): boolean {
  // Requests wait for the next one, and of the one before nothing may be named any more. An atomic cutover lifts its hold by its next step.
  if (isHeldByRollout(record) && !isHeldByStep(record)) return true;
  const { rollout, vms, releases } = record;
  const meant = new Set([rollout?.to, rollout?.from, ...vms.map(({ release }) => release)]);
  return releases.some(({ number, spec }) => meant.has(number) && isExclusive(spec));
}

/** How the next VM of an app takes the place of the one that runs, if it must not run beside it. */
export function handoffOf(record: AppRecord, facts: Facts): Pick<PlanInput, "handoff"> {
  return isAlone(record) ? { handoff: { together: hostOfAll(record, facts) !== null } } : {};
}

/** The host that all VMs of the app are on, if the next one belongs there too: it keeps the order itself. */
function hostOfAll({ rollout, vms, home }: AppRecord, { hosts, lost }: Facts): MemberName | null {
  const [host, ...others] = new Set(vms.map((vm) => vm.host));
  if (home !== undefined && host === home.host && others.length === 0) return host;
  if (host === undefined || others.length > 0 || lost.has(host)) return null;
  // Where it came from it may go back to.
  const isClosed = rollout?.direction === "forward" && hosts.get(host)?.cordoned === true;
  return isClosed || rollout?.leaves !== undefined ? null : host;
}

/** Where a VM that is prepared or started now belongs, whatever else runs there; null: wherever there is room. */
export function hostOfNext(record: AppRecord, facts: Facts): MemberName | null {
  // Its data is there: who has no way there does not start it.
  if (record.home !== undefined) return record.home.host;
  if (!isAlone(record)) return null;
  const { direction, leaves } = record.rollout ?? {};
  const host = direction === "back" && leaves !== undefined ? leaves : hostOfAll(record, facts);
  return host !== null && facts.hosts.get(host)?.open === true ? host : null;
}

/** VMs that may run still, though no record wants them: none is started beside them. Of a machine that is off none does. */
export function runningBeside(
  record: AppRecord,
  { kind }: Pick<PlannedStep, "kind">,
  facts: Facts,
): readonly Pick<DesiredVm, "vm" | "host">[] {
  if ((kind !== "start" && kind !== "handover") || !isAlone(record)) return [];
  const named = new Set(record.vms.map(({ vm }) => vm));
  // What no record wants any more is not started again.
  const seen = [...facts.vms].flatMap(([vm, byHost]) =>
    [...byHost].flatMap(([host, { entry }]) => (hasEnded(entry) ? [] : [{ vm, host }])),
  );
  const left = seen.filter(({ vm, host }) => !named.has(vm) && !isGivenUp(record, facts, host));
  // What one host has it starts one after the other by itself.
  const next = kind === "handover" ? hostOfAll(record, facts) : null;
  const unconfirmed = mayRunOf(record, facts).flatMap(({ host, vms }) =>
    host === next ? [] : vms.slice(-1).map((vm) => ({ vm, host })),
  );
  return [...left, ...unconfirmed.filter(({ vm }) => !left.some((one) => one.vm === vm))];
}

/**
 * Whether nobody has to say of a VM there that it is gone: of an app that never runs twice a machine must be off for that, or the lease of
 * what left the record there over.
 */
export function isGivenUp(record: AppRecord, facts: Facts, host: MemberName): boolean {
  if (!isAlone(record)) return facts.lost.has(host);
  return isFenced(record, facts, host) || areLeasesOver(record, facts, host);
}

/**
 * What is left of a rollout that comes to its end where it should not. Of most apps what does not serve is dropped; of one that never runs
 * twice nothing else may run, so what runs, or is to, is all there is: it serves, and its host starts it again if it ends. So do several of a
 * release that may run twice, which took its place.
 */
export function withoutUnrouted(record: AppRecord): readonly DesiredVm[] {
  const started = record.vms.filter(({ phase }) => phase !== "prepared");
  const isLast = isAlone(record) && (started.length === 1 || started.every(isToServe));
  if (!isLast) return started.filter(({ phase }) => phase !== "starting").map(withOpeningClosed);
  return started.map((vm) => (isToServe(vm) ? { ...vm, phase: "serving" } : vm));
}
