// Cutover: an atomic one, as far as the record tells of it: whether requests are held by the last step, for how long they may be, and how
// it is undone. The steps themselves are in strategies/atomic.ts.

import { type AppRecord, HOLD_DEFAULTS, holdSpecOf } from "../../../mesh/index.ts";
import { asReached, type CommitContext, fitted, rolloutOf } from "./commits.ts";
import type { Facts } from "./facts.ts";
import { isHeldByStep, lastHold } from "./held-step.ts";
import { withoutHoldBy } from "./idle-hold.ts";
import { isSound } from "./last-sound.ts";
import { readyVms, withKept } from "./ready.ts";
import { needsAcks, type Want, wantHealthy } from "./standing.ts";
import { lifted } from "./strategies/atomic.ts";
import type { PlanInput, PlannedStep } from "./strategies/strategy.ts";

/** Of several that requests change between, the newest says how. An app without a hostname gets none. */
export function isAtomicTo(record: AppRecord, releases: readonly number[]): boolean {
  const newest = record.releases.find(({ number }) => number === Math.max(...releases));
  return newest?.spec.deploy.cutover === "atomic" && needsAcks(record);
}

/** Of a deploy: its own release says how, also on the way back. */
export function atomicOf(record: AppRecord): Pick<PlanInput, "atomic"> {
  const { to } = rolloutOf(record);
  return to !== null && isAtomicTo(record, [to]) ? { atomic: { isHeld: isHeldByStep(record) } } : {};
}

/**
 * A hold that is turned back from: what it closed serves again, whoever cannot be heard, and what served beside it by weight does not, in one
 * commit that lifts it. Null: it is none, or the way back placed it.
 */
export function planReopening(record: AppRecord): PlannedStep | null {
  const { direction, step, history } = rolloutOf(record);
  const hold = step === null ? history.at(-1) : undefined;
  if (direction === "forward" || hold?.kind !== "hold" || hold.back === true) return null;
  const closed = record.vms.filter(({ vm }) => hold.vms.includes(vm));
  const fresh = record.vms.filter(({ vm, phase }) => phase === "serving" && !hold.vms.includes(vm));
  return closed.length === 0 ? null : lifted(closed, fresh);
}

/** Without more ado: who served before the hold serves, by the split of before, and requests are sent on. The record itself if nothing is held. */
export function withReopened(record: AppRecord, facts: Facts): AppRecord {
  const hold = lastHold(record);
  if (hold === null) return record;
  const { weights = record.weights } = hold;
  const vms = record.vms.map((vm) => (hold.vms.includes(vm.vm) ? asReached(vm, "serving", facts) : vm));
  return fitted(withoutHoldBy("rollout", { ...record, vms, ...(weights === undefined ? {} : { weights }) }));
}

/**
 * Half of the time for which a proxy keeps a request: from its begin on the hold may take so long, and what it held is sent on in time, also
 * if it comes to nothing. Of several releases the shortest counts. Null: requests are not held by the step in force.
 */
export function holdTimeoutMsOf({ rollout, releases, vms }: AppRecord): number | null {
  if (rollout?.step?.kind !== "hold") return null;
  const running = new Set(vms.map(({ release }) => release));
  const ages = releases
    .filter(({ number }) => running.has(number))
    .map(({ spec }) => holdSpecOf(spec).maxAgeMs);
  return (ages.length === 0 ? HOLD_DEFAULTS.maxAgeMs : Math.min(...ages)) / 2;
}

/**
 * What follows the hold of a split that makes one release the whole app: that one serves, and what the hold closed is kept if it says so.
 * `missing`: not empty while nothing of it is known to run.
 */
export function flipAfterHold(
  record: AppRecord,
  { facts, wallMs }: CommitContext,
): { readonly record: AppRecord; readonly planned: PlannedStep; readonly missing: readonly Want[] } {
  const { to: whole, step } = rolloutOf(record);
  const entering = whole === null ? [] : readyVms(record, whole);
  const closed = record.vms.filter(({ vm }) => step?.vms.includes(vm) === true);
  const planned: PlannedStep = { ...lifted(entering, closed), weights: null };
  const isAnySound = entering.some((vm) => isSound(vm, facts));
  const missing = isAnySound ? [] : entering.map(({ vm, host }) => wantHealthy(vm, host, facts));
  return { record: withKept(record, { planned, whole, wallMs }), planned, missing };
}
