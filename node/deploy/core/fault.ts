// Fault: what of a new VM ends a rollout forward: it ended, could not be started, or its checks fail.

import {
  type AppRecord,
  commandVmOf,
  type DesiredVm,
  type Rollout,
  type VmEntry,
} from "../../../mesh/index.ts";
import { faultOfBake } from "./canary/evidence.ts";
import { exchangeOf } from "./exchange.ts";
import { type Facts, isHealthy, isHeldDead, observed } from "./facts.ts";
import { isToServe } from "./opening.ts";
import { isFresh } from "./within.ts";

export type RolloutReason = NonNullable<Rollout["reason"]>;

/** The first fault of what a deploy brings, or null. */
export function faultOfDeploy(record: AppRecord, facts: Facts): RolloutReason | null {
  return (
    faultOfCommand(record, facts) ??
    faultOf(record, record.rollout?.to ?? null, facts) ??
    faultOfBake(record, facts)
  );
}

/** The first fault of what a scale or a restart started, or null: that what was there before is unwell may be why somebody asked. */
export function faultOfFresh(record: AppRecord, rollout: Rollout, facts: Facts): RolloutReason | null {
  return firstFault(
    record.vms.filter((vm) => isFresh(rollout, vm)),
    facts,
  );
}

/**
 * What can be said of the release command but that it ended well. Where nobody can say how it ended it has failed: run again, it would
 * perhaps do twice what it does.
 */
function faultOfCommand(record: AppRecord, facts: Facts): RolloutReason | null {
  const placed = commandVmOf(record);
  if (placed === null) return null;
  const { vm, host } = placed;
  const entry = observed(facts, placed)?.entry;
  const fault = (what: string): RolloutReason => {
    const message = `the release command, ${vm} on ${host}, ${what}`;
    return { code: "command-failed", message: message.slice(0, 1_500), lastLines: entry?.lastLines ?? [] };
  };
  if (entry?.state === "exited" && entry.exit?.code === 0) return null;
  if (entry?.state === "exited") return fault(entry.reason ?? describeExit(entry.exit));
  if (entry?.state === "failed") return fault(`could not be started${whyOf(entry)}`);
  return facts.lost.has(host)
    ? fault("was lost with its host, which is dead: nobody knows what it did")
    : null;
}

/** The first fault of a VM of `release`, or null. A VM that its host already started again has ended too. */
function faultOf(record: AppRecord, release: number | null, facts: Facts): RolloutReason | null {
  return firstFault(
    record.vms.filter((vm) => vm.release === release),
    facts,
  );
}

function firstFault(vms: readonly DesiredVm[], facts: Facts): RolloutReason | null {
  for (const vm of vms) {
    if (vm.phase === "cordoned") continue;
    const reason = faultOfObserved(vm, facts);
    if (reason !== null) return reason;
  }
  return null;
}

/** Of a move also what befell a new VM later, as long as an old one that is well can serve again in its place. */
export function faultOfMove(record: AppRecord, facts: Facts): RolloutReason | null {
  if (record.rollout?.step?.kind !== "cordon") return faultOfStarted(record, facts);
  const { out } = exchangeOf(record, facts);
  return firstFault(
    record.vms.filter(({ vm }) => out.includes(vm)),
    facts,
  );
}

/** The first fault of a VM that the step in force started, or, of a move, lets serve; or null. */
export function faultOfStarted(record: AppRecord, facts: Facts): RolloutReason | null {
  const { step, kind } = record.rollout ?? {};
  const isStarting = step?.kind === "prepare" || step?.kind === "start" || step?.kind === "handover";
  if (step == null || !(isStarting || (kind === "move" && step.kind === "serve"))) return null;
  const names = step.kind === "handover" ? (step.serves ?? []) : step.vms;
  const ofStep = record.vms.filter(({ vm }) => names.includes(vm));
  for (const vm of ofStep) {
    const entry = observed(facts, vm)?.entry;
    const reason = entry === undefined ? null : faultOfVm(vm, entry);
    if (reason !== null) return reason;
  }
  return null;
}

/**
 * Of a wake: the first fault of what it starts, once of each it is known whether it came to run, or no longer waited for. One whose host is
 * held dead did not: the next try goes elsewhere.
 */
export function faultOfWake(record: AppRecord, facts: Facts, isOverdue: boolean): RolloutReason | null {
  const starting = record.vms.filter(isToServe);
  const faults = starting.map((vm) => faultOfWaking(vm, facts));
  const isOpen = starting.some((vm, index) => faults[index] === null && !isHealthy(observed(facts, vm)));
  return isOpen && !isOverdue ? null : (faults.find((fault) => fault !== null) ?? null);
}

function faultOfWaking(vm: DesiredVm, facts: Facts): RolloutReason | null {
  if (isHeldDead(facts, vm.host)) {
    return {
      code: "start-failed",
      message: `${vm.vm} was to start on ${vm.host}, which is dead`,
      lastLines: [],
    };
  }
  return faultOfObserved(vm, facts);
}

function faultOfObserved(vm: DesiredVm, facts: Facts): RolloutReason | null {
  const entry = observed(facts, vm)?.entry;
  return entry === undefined ? null : faultOfVm(vm, entry);
}

function faultOfVm({ vm, host }: DesiredVm, entry: VmEntry): RolloutReason | null {
  const { lastLines } = entry;
  const why = whyOf(entry);
  if (entry.state === "failed") {
    return { code: "start-failed", message: `${vm} on ${host} could not be started${why}`, lastLines };
  }
  if (entry.state === "exited" || entry.restarts > 0) {
    return { code: "start-failed", message: `${vm} on ${host} ${describeExit(entry.exit)}`, lastLines };
  }
  if (entry.health === "unhealthy") {
    return { code: "check-failed", message: `${vm} on ${host} is unhealthy${why}`, lastLines };
  }
  return null;
}

function whyOf({ reason }: VmEntry): string {
  return reason === null ? "" : `: ${reason}`;
}

function describeExit(exit: VmEntry["exit"]): string {
  if (exit?.signal != null) return `was ended by ${exit.signal}`;
  if (exit?.code != null) return `exited with code ${exit.code}`;
  return "exited";
}
