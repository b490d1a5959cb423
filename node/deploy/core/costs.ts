// Costs: what may fail a request in a deploy of a healthy release, or hold it up: the exceptions of `no-failed-request`, of this deploy alone.

import {
  type AppRecord,
  describeDuration,
  type HoldSpec,
  holdBoundsOf,
  holdSpecOf,
  isGated,
  type MemberName,
  type RolloutStep,
  type VmName,
  weightOf,
} from "../../../mesh/index.ts";
import { describeBytes } from "../../releases/bundle-limits.ts";
import type { CostView } from "../plan-view.ts";
import { rolloutOf } from "./commits.ts";
import { holdTimeoutMsOf } from "./cutover.ts";
import { describePersonHold, releaseName } from "./describe.ts";
import type { Facts } from "./facts.ts";
import { fencesOf } from "./fences.ts";
import type { ForeseenStep } from "./forecast.ts";
import { areAllGated } from "./gates.ts";
import { isAlone } from "./handoff.ts";
import { isAnyServing } from "./idle-hold.ts";
import { describePast, type PastTimes, stopWarning } from "./past-times.ts";
import { needsAcks } from "./standing.ts";

export function costsOf(
  record: AppRecord,
  foreseen: readonly ForeseenStep[],
  facts: Facts,
  past: PastTimes,
): readonly CostView[] {
  if (!needsAcks(record)) return [];
  return [
    ...personHoldCost(record),
    ...firstLaunchCost(record, foreseen),
    ...drainCost(record, foreseen),
    ...holdCost(record, foreseen),
    ...handoverCost(record, foreseen, past),
    ...stopCost(record, foreseen),
    ...gateCosts(record, foreseen, facts),
    ...fenceCost(record, foreseen, facts),
    ...unhealthyCost(record, foreseen),
    ...canaryCost(record, foreseen),
    CRASH_COST,
  ];
}

const CRASH_COST: CostView = {
  code: "crash",
  steps: [],
  what: "a host, a gate or a proxy that crashes meanwhile fails the requests in flight on it that may not run twice",
};

function personHoldCost({ app, hold }: AppRecord): readonly CostView[] {
  if (hold?.by !== "person") return [];
  return [{ code: "hold", steps: [], what: `its ${describePersonHold(app)}, the deploy does not` }];
}

function firstLaunchCost(record: AppRecord, foreseen: readonly ForeseenStep[]): readonly CostView[] {
  if (isAnyServing(record)) return [];
  const serving = foreseen.find(({ step }) => step.kind === "serve" || step.kind === "flip");
  if (serving === undefined) return [];
  const what = `nothing of ${record.app} serves before step ${serving.step.number}: until then its requests are kept, ${boundsText(holdBoundsOf(record))}: what is more is answered 503`;
  return [{ code: "first-launch", steps: [serving.step.number], what }];
}

function takingAway(foreseen: readonly ForeseenStep[]): readonly ForeseenStep[] {
  // By the flip after a hold nothing leaves that had not left.
  return foreseen.filter(
    ({ step: { kind } }, index) =>
      kind === "cordon" || kind === "hold" || (kind === "flip" && foreseen[index - 1]?.step.kind !== "hold"),
  );
}

/**
 * What is in force is what the VM that leaves was deployed with; the record has it while the VM is there. A hold is over before a longer
 * drain_timeout is: then nothing is cut, and the deploy goes back.
 */
function drainCost(record: AppRecord, foreseen: readonly ForeseenStep[]): readonly CostView[] {
  const leaving = takingAway(foreseen);
  const cut = leaving.filter(({ step, committed }) => !outlastsHold(step.vms, committed.record));
  const kept = leaving.filter((one) => !cut.includes(one));
  return [
    ...drainCostOf(cut, (vms) => `after ${drainText(record, vms)} are cut`),
    ...drainCostOf(kept, (vms, { committed }) => {
      const most = describeDuration(holdTimeoutMsOf(committed.record) ?? 0);
      return `after ${most} (half of [hold] max_age) take the deploy back: where some run as long, raise max_age, or set drain_timeout, now ${drainTimesOf(record, vms).map(describeDuration).join(" or ")}, below ${most}, which cuts them`;
    }),
  ];
}

function drainCostOf(
  leaving: readonly ForeseenStep[],
  outcome: (vms: readonly VmName[], first: ForeseenStep) => string,
): readonly CostView[] {
  const [first] = leaving;
  if (first === undefined) return [];
  const vms = leaving.flatMap(({ step }) => step.vms);
  const what = `requests, streams and WebSockets that still run on ${listed(vms)} ${outcome(vms, first)}`;
  return [{ code: "drain-timeout", steps: leaving.map(({ step }) => step.number), what }];
}

function outlastsHold(vms: readonly VmName[], record: AppRecord): boolean {
  const holdMs = holdTimeoutMsOf(record);
  return holdMs !== null && drainTimesOf(record, vms).some((drainMs) => drainMs >= holdMs);
}

/** How long requests are kept, and what of them is not: the bounds of `[hold]`. */
function holdCost(record: AppRecord, foreseen: readonly ForeseenStep[]): readonly CostView[] {
  const { to } = rolloutOf(record);
  const spec = record.releases.find(({ number }) => number === to)?.spec;
  const bounds = `of them ${boundsText(holdSpecOf(spec))}: what is more is answered 503`;
  return foreseen.flatMap(({ step, committed }): readonly CostView[] => {
    const timeoutMs = holdTimeoutMsOf(committed.record);
    if (timeoutMs === null) return [];
    const most = describeDuration(timeoutMs);
    const what = `requests are kept until ${beOf(step.vms)} closed by ${step.vms.length === 1 ? "its gate" : "their gates"} and drained, one commit and one answer of each gate if nothing is slow, at most ${most}: then ${releaseName(rolloutOf(record).from)} serves on; ${bounds}`;
    return [{ code: "hold", steps: [step.number], what }];
  });
}

function boundsText({ maxAgeMs, maxRequests, maxBytes }: HoldSpec): string {
  return `${maxRequests} and ${describeBytes(maxBytes)} at each proxy, for ${describeDuration(maxAgeMs)} each ([hold])`;
}

/** What ends after the hold, and what is started before it is lifted. */
function handoverCost(
  record: AppRecord,
  foreseen: readonly ForeseenStep[],
  past: PastTimes,
): readonly CostView[] {
  const between = handoverSteps(record, foreseen);
  const [first] = between;
  if (first === undefined) return [];
  const spec = record.releases.find(({ number }) => number === rolloutOf(record).to)?.spec;
  const { maxAgeMs } = holdSpecOf(spec);
  const next = between.flatMap(({ kind, vms, serves = [] }) => (kind === "start" ? vms : serves));
  const steps = between.map(({ number }) => number);
  const what = `and on until ${listed(first.vms)} ${first.vms.length === 1 ? "has" : "have"} ended and ${beOf(next)} healthy: ${describePast(past, maxAgeMs)}; if that fails, ${releaseName(rolloutOf(record).from)} is started again, and gets them`;
  return [{ code: "hold", steps, what }];
}

function handoverSteps(record: AppRecord, foreseen: readonly ForeseenStep[]): readonly RolloutStep[] {
  const from = foreseen.findIndex(({ step }) => step.kind === "hold");
  const to = foreseen.findIndex(({ step }, index) => index > from && step.kind === "serve");
  return from < 0 || to < 0 || !isAlone(record) ? [] : foreseen.slice(from + 1, to).map(({ step }) => step);
}

/** Of a first deploy it is said too: the next one is a handover. */
function stopCost(record: AppRecord, foreseen: readonly ForeseenStep[]): readonly CostView[] {
  const what = stopWarning(record);
  const steps = handoverSteps(record, foreseen).map(({ number }) => number);
  return what === null ? [] : [{ code: "hold", steps, what }];
}

/** "30s (drain_timeout)", of each release that leaves. */
function drainText(record: AppRecord, leaving: readonly VmName[]): string {
  return `${drainTimesOf(record, leaving).map(describeDuration).join(" or ")} (drain_timeout)`;
}

function drainTimesOf({ vms, releases }: AppRecord, leaving: readonly VmName[]): readonly number[] {
  const numbers = new Set(vms.filter(({ vm }) => leaving.includes(vm)).map(({ release }) => release));
  const times = releases.filter(({ number }) => numbers.has(number));
  return [...new Set(times.map(({ spec }) => spec.deploy.drainTimeoutMs))];
}

/** Where no gate refuses what a proxy sends that was not asked, or cannot be heard. */
function gateCosts(record: AppRecord, foreseen: readonly ForeseenStep[], facts: Facts): readonly CostView[] {
  const open = takingAway(foreseen).filter(({ step, committed }) => !areAllGated(step.vms, committed, facts));
  const steps = open.map(({ step }) => step.number);
  const excluded = (record.excluded ?? []).filter(({ by }) => by === "person").map(({ proxy }) => proxy);
  const why = isOffIn(record) ? 'gate = "off"' : "their hosts have none";
  const vms = open.flatMap(({ step }) => step.vms);
  const noGate = `no gate stands before all of ${listed(vms)} (${why}): one proxy that cannot be heard holds the deploy up, until it answers or is excluded`;
  const behind = `${listed(excluded)}, which nobody asks, may still send to what leaves: ${
    open.length > 0 ? "it fails once that is stopped" : "its gate refuses it, and it is sent on"
  }`;
  return [
    ...(open.length > 0 ? [{ code: "no-gate", steps, what: noGate } as const] : []),
    ...(excluded.length > 0 ? [{ code: "excluded", steps, what: behind } as const] : []),
  ];
}

function isOffIn({ vms, releases }: AppRecord): boolean {
  const running = new Set(vms.map(({ release }) => release));
  return releases.some(({ number, spec }) => running.has(number) && !isGated(spec));
}

function fenceCost(record: AppRecord, foreseen: readonly ForeseenStep[], facts: Facts): readonly CostView[] {
  const leaving = takingAway(foreseen);
  const hosts = new Set(leaving.flatMap(({ step }) => step.hosts ?? []));
  const fenced = fencesOf(record, facts)
    .map(({ host }) => host)
    .filter((host) => hosts.has(host));
  if (fenced.length === 0) return [];
  const what = `${listed(fenced)} is off, as a person said, and its gate is not asked: a client that reaches it all the same gets the old release`;
  return [{ code: "fenced", steps: leaving.map(({ step }) => step.number), what }];
}

/** Not of a healthy release; but who reads a plan does not know yet that it is one. */
function unhealthyCost(record: AppRecord, foreseen: readonly ForeseenStep[]): readonly CostView[] {
  const { to } = rolloutOf(record);
  const entering = foreseen.filter(({ step, committed }) => bringsRequests(step.kind, committed.record));
  const steps = entering.map(({ step }) => step.number);
  const [first] = steps;
  if (first === undefined) return [];
  const isSticky = record.releases.find(({ number }) => number === to)?.spec.deploy.cutover === "sticky";
  const held = `; who has seen v${to} is told 502 or 503 while no VM of it, or nobody who knows of it, can be reached: no older release answers them`;
  const what = `what v${to} itself answers with an error, from step ${first} on, until it is taken back${isSticky ? held : ""}`;
  return [{ code: "unhealthy-release", steps, what }];
}

/** `after`: as it is with the step. A canary serves at 0 first. */
function bringsRequests(kind: RolloutStep["kind"], after: AppRecord): boolean {
  if (kind === "weigh") return after.weights !== undefined;
  const { weights } = after;
  const isAtNothing = weights !== undefined && weightOf(weights, rolloutOf(after).to ?? 0) === 0;
  return kind === "flip" || (kind === "serve" && !isAtNothing);
}

/** What few requests, or a person's, cost: time. */
function canaryCost(record: AppRecord, foreseen: readonly ForeseenStep[]): readonly CostView[] {
  const bakes = foreseen.filter(({ step }) => step.kind === "bake");
  const release = record.releases.find(({ number }) => number === rolloutOf(record).to);
  if (bakes.length === 0 || release?.spec.deploy.canary === undefined) return [];
  const { minRequests } = release.spec.deploy.canary;
  const timeout = describeDuration(release.spec.deploy.waitTimeoutMs);
  const what = `with fewer than ${minRequests} requests to either release, or too few to tell, a bake is paused after ${timeout}, for a person to decide`;
  return [{ code: "canary", steps: bakes.map(({ step }) => step.number), what }];
}

/** "web-v1-1 is", "web-v1-1, web-v1-2 are". */
function beOf(names: readonly VmName[]): string {
  return `${listed(names)} ${names.length === 1 ? "is" : "are"}`;
}

function listed(names: readonly (MemberName | VmName)[]): string {
  return names.length <= 4
    ? names.join(", ")
    : `${names.slice(0, 3).join(", ")} and ${names.length - 3} more`;
}
