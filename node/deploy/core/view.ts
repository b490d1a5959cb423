// View: desired and observed side by side, from the same facts that decide.

import {
  type AppRecord,
  type CommittedApp,
  idleAfterMsOf,
  isUnderWay,
  type MemberName,
  placedVms,
  previewHostnames,
  type VmEntry,
  type VmName,
} from "../../../mesh/index.ts";
import type { AppView, LeftoverView, ProxyAckView, RolloutView, StepView, VmView } from "../app-view.ts";
import { releaseName } from "./describe.ts";
import { type Facts, observed, registeredProxies } from "./facts.ts";
import { leftoversOf } from "./housekeeping.ts";
import { sharesOf } from "./shares.ts";
import { whyAwake } from "./sleep.ts";
import type { Standing, Want } from "./standing.ts";
import type { StepClock } from "./step-clock.ts";
import { strategyOf } from "./story.ts";
import { strandedText } from "./stranded.ts";

export interface ViewInput {
  readonly committed: CommittedApp;
  readonly facts: Facts;
  /** Of the step in force. */
  readonly standing: Standing;
  /** What the last decision waits for. */
  readonly wants: readonly Want[];
  readonly clock: StepClock;
  /** Why what was decided cannot be committed; null: nothing stands in the way. */
  readonly stalled: string | null;
  readonly nowMs: number;
  readonly wallMs: number;
}

export function viewOf(input: ViewInput): AppView {
  const { committed, facts } = input;
  const { record, epoch } = committed;
  return {
    app: record.app,
    epoch,
    deleted: record.deleted,
    release: releaseName(record.current),
    weights: Object.fromEntries(sharesOf(record).map(({ release, weight }) => [`v${release}`, weight])),
    byWeight: record.weights !== undefined,
    hostnames: record.hostnames,
    previews: previewHostnames(record),
    rollout: rolloutView(input),
    vms: vmViews(record, facts),
    proxies: proxyViews(committed, facts),
    excluded: (record.excluded ?? []).map(({ proxy, by }) => ({ proxy, by })),
    fenced: (record.fenced ?? []).map(({ host, atMs, unsafe }) => ({
      host,
      atMs,
      ...(unsafe === true ? { unsafe } : {}),
      forMs: Math.max(0, input.wallMs - atMs),
    })),
    leftovers: leftoverViews(input),
    kept: keptView(input),
    held: heldView(input),
    idle: idleView(input),
  };
}

function rolloutView(input: ViewInput): RolloutView | null {
  const { rollout } = input.committed.record;
  if (rollout === null) return null;
  const { targets: _targets, proxies: _proxies, ...shown } = rollout;
  const step = isUnderWay(rollout) ? stepView(input) : null;
  const stalled = input.stalled ?? waitsBetweenSteps(input);
  const strategy = strategyOf(input.committed.record, rollout);
  return { ...shown, strategy, step, cutover: input.clock.cutover, stalled };
}

/** Of a rollout that goes back, and must not take its next step yet. */
function waitsBetweenSteps({ committed, wants }: ViewInput): string | null {
  const { state, step } = committed.record.rollout ?? {};
  if (state !== "running" || step !== null || wants.length === 0) return null;
  return `waits for ${wants.map(({ who, what }) => `${who} ${what}`).join(", ")}`;
}

function stepView({ committed, facts, standing, wants, clock, nowMs }: ViewInput): StepView | null {
  const step = committed.record.rollout?.step;
  if (step == null) return null;
  const forMs = Math.max(0, Math.round(nowMs - clock.sinceMs));
  const { acks } = standing;
  const end = clock.endOf(committed, standing, facts, nowMs);
  // A VM is seen by what changes of it: that it says nothing is no silence.
  const silenceOf = ({ kind, who }: Want) => {
    const heardAtMs = facts.heardAtMs?.get(who as MemberName) ?? clock.sinceMs;
    const silentMs = Math.max(0, Math.round(nowMs - heardAtMs));
    return kind === "proxy" || kind === "gate" ? { silentMs } : {};
  };
  const { waitedMs: _waitedMs, outcome: _outcome, fenced: _fenced, ...answers } = end;
  return {
    number: step.number,
    kind: step.kind,
    vms: step.vms,
    ...(step.serves === undefined ? {} : { serves: step.serves }),
    ...(step.weights === undefined ? {} : { weights: step.weights }),
    forMs,
    acks:
      acks === null
        ? null
        : {
            have: acks.have.length,
            need: acks.need.length,
            quorum: acks.quorum,
            slowest: clock.slowest(standing),
          },
    waitingFor: wants.map((want) => ({ who: want.who, what: want.what, forMs, ...silenceOf(want) })),
    answers: { ...answers, startedAtMs: step.startedAtMs },
  };
}

function vmViews(record: AppRecord, facts: Facts): readonly VmView[] {
  const placed = placedVms(record);
  const wanted = placed.map((vm): VmView => {
    const entry = observed(facts, vm)?.entry;
    const { vm: name, release, host, phase } = vm;
    const seen = observedView(entry);
    const reason = strandedText(record, facts, vm) ?? seen.reason;
    return { vm: name, app: record.app, release, host, phase, ...seen, reason };
  });
  const named = new Set<VmName>(placed.map((vm) => vm.vm));
  const unwanted = [...facts.vms].flatMap(([vm, seen]) => (named.has(vm) ? [] : [...seen.values()]));
  const leaving = unwanted.map(({ entry }): VmView => {
    const { vm, release, host } = entry;
    return { vm, app: record.app, release, host, phase: null, ...observedView(entry) };
  });
  return [...wanted, ...leaving];
}

function observedView(
  entry: VmEntry | undefined,
): Pick<VmView, "state" | "health" | "address" | "reason" | "restarts"> {
  if (entry === undefined) return { state: null, health: null, address: null, reason: null, restarts: 0 };
  const { state, health, address, reason, restarts } = entry;
  const text = address === null ? null : `${address.host}:${address.port}`;
  return { state, health, address: text, reason, restarts };
}

function proxyViews({ epoch }: CommittedApp, facts: Facts): readonly ProxyAckView[] {
  return registeredProxies(facts).map((proxy) => {
    const ack = facts.acks.get(proxy);
    const inFlight = (ack?.inFlight ?? []).reduce((sum, { requests }) => sum + requests, 0);
    const applied = ack?.applied ?? 0;
    return {
      proxy,
      applied,
      verified: ack?.verified ?? 0,
      inFlight,
      nack: ack?.nack?.reason ?? null,
      current: applied >= epoch,
    };
  });
}

function heldView({ committed: { record }, wallMs }: ViewInput): NonNullable<AppView["held"]> | null {
  const { hold } = record;
  return hold === undefined ? null : { ...hold, forMs: Math.max(0, Math.round(wallMs - hold.atMs)) };
}

function idleView({ committed, facts, wallMs }: ViewInput): NonNullable<AppView["idle"]> | null {
  const afterMs = idleAfterMsOf(committed.record);
  return afterMs === null ? null : { afterMs, awake: whyAwake(committed, facts, wallMs) };
}

function keptView({ committed: { record }, wallMs }: ViewInput): NonNullable<AppView["kept"]> | null {
  const { kept, vms } = record;
  if (kept === undefined || wallMs >= kept.untilMs) return null;
  const names = vms
    .filter((vm) => vm.phase === "cordoned" && vm.release === kept.release)
    .map(({ vm }) => vm);
  return { release: `v${kept.release}`, vms: names, forMs: Math.round(kept.untilMs - wallMs) };
}

function leftoverViews({ committed, facts, wallMs }: ViewInput): readonly LeftoverView[] {
  const { kept, rollout } = committed.record;
  // While a rollout runs nothing is retired.
  const endedAtMs = rollout?.endedAtMs ?? wallMs;
  return leftoversOf(committed, facts, wallMs).map(({ vm, wants }) => {
    const keepers = wants.map((want) => want.complaint).join("; ");
    const what = keepers === "" ? "to be retired" : `to be retired: ${keepers}`;
    const wasKept = vm.release === kept?.release;
    const sinceMs = wasKept ? Math.max(kept.untilMs, endedAtMs) : endedAtMs;
    return { who: vm.vm, what, forMs: Math.max(0, wallMs - sinceMs), ...(wasKept ? { wasKept } : {}) };
  });
}
