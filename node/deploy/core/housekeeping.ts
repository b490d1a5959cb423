// Housekeeping: between rollouts, what outlived the last one is retired as soon as those who kept it have answered.

import {
  type AppRecord,
  type CommittedApp,
  isPinned,
  isUnderWay,
  type RolloutStep,
} from "../../../mesh/index.ts";
import { fitted, withNamesFreed, withoutVainKeep } from "./commits.ts";
import { type Facts, registeredProxies } from "./facts.ts";
import { withoutEndedFences, withoutFenced } from "./fences.ts";
import { wantsOfGates } from "./gates.ts";
import { askedOf, NO_PROXY, type Want, wantOfProxy } from "./standing.ts";

export interface Leftover {
  readonly vm: AppRecord["vms"][number];
  /** Empty: nobody keeps it any more. */
  readonly wants: readonly Want[];
}

/** Every cordoned VM of a record whose rollout does not run, with who keeps it; without those that the app wants kept. */
export function leftoversOf(committed: CommittedApp, facts: Facts, wallMs: number): readonly Leftover[] {
  const { record } = committed;
  if (isUnderWay(record.rollout)) return [];
  const isKept = (release: number) => record.kept?.release === release && wallMs < record.kept.untilMs;
  const cordoned = record.vms.filter(
    (vm) => vm.phase === "cordoned" && !isKept(vm.release) && !isPinned(vm, record),
  );
  return cordoned.map((vm) => ({ vm, wants: keepersOf(vm, committed, facts) }));
}

function keepersOf(vm: AppRecord["vms"][number], committed: CommittedApp, facts: Facts): readonly Want[] {
  const { epoch, record } = committed;
  const step: RolloutStep = {
    number: 0,
    kind: "cordon",
    vms: [vm.vm],
    ackSet: record.rollout?.proxies ?? [],
    startedAtMs: 0,
  };
  const { need, isByGates } = askedOf(step, committed, facts);
  if (need.length === 0 && !isByGates) return [NO_PROXY];
  const asked = { kind: step.kind, vms: withoutFenced(step.vms, record, facts) };
  const ofProxies = need.flatMap((proxy) => {
    const ack = facts.acks.get(proxy);
    const want = wantOfProxy({ proxy, ack, step: asked, epoch, mustVerify: false, facts });
    return want === null ? [] : [want];
  });
  return [...wantsOfGates(step.vms, committed, facts), ...ofProxies];
}

/** The record without what nobody keeps, or null: there is nothing to do. A VM that was never routed goes at once. */
export function withoutLeftovers(committed: CommittedApp, facts: Facts, wallMs: number): AppRecord | null {
  const record = withoutEndedFences(committed.record, facts);
  // Before anything else: whom the word was about is asked again.
  if (record !== committed.record) return fitted(record);
  // Their pages have had their time: closed first, by this commit, and retired once that is so.
  const closed = withPinOver(record, wallMs);
  if (closed !== null) return fitted(closed);
  const free = new Set(
    leftoversOf(committed, facts, wallMs)
      .filter((leftover) => leftover.wants.length === 0)
      .map((leftover) => leftover.vm.vm),
  );
  const vms = record.vms.filter(
    ({ vm, phase }) => phase !== "starting" && phase !== "prepared" && !free.has(vm),
  );
  if (vms.length === record.vms.length || record.rollout === null) return null;
  const rollout = { ...record.rollout, proxies: registeredProxies(facts) };
  const left = withNamesFreed({ ...record, vms, rollout });
  return fitted(withoutVainKeep(left));
}

/** Null: it is not, or is so already. */
function withPinOver(record: AppRecord, wallMs: number): AppRecord | null {
  const { kept, rollout, vms } = record;
  if (kept === undefined || wallMs < kept.untilMs || isUnderWay(rollout)) return null;
  return vms.some((vm) => isPinned(vm, record)) ? { ...record, kept: { ...kept, over: true } } : null;
}
