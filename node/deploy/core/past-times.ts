// Past times: how long VMs of an app took to end and to start, from the steps of its rollouts and from what runs: what a handover will take,
// as far as anybody can say before it.

import {
  type AppRecord,
  describeDuration,
  holdSpecOf,
  isExclusive,
  type Rollout,
  type RolloutStepReport,
} from "../../../mesh/index.ts";
import { LEASE_MS_MAX, renewEveryMs } from "../../lease.ts";
import { type Facts, observed } from "./facts.ts";

/** Null: none is known. */
export interface PastTimes {
  /** From the step's begin until nothing of the VM ran. */
  readonly stopMs: number | null;
  /** From there until a check passed. */
  readonly startMs: number | null;
}

/** Oldest first, as the history has them: the newest that says counts. */
export function pastTimesOf(
  rollouts: readonly Pick<Rollout, "history">[],
  record: AppRecord | undefined,
  facts: Facts,
): PastTimes {
  const steps = rollouts.flatMap(({ history }) => history);
  const stop = steps.findLast(({ kind }) => kind === "stop" || kind === "handover");
  const start = steps.findLast(({ kind }) => kind === "start" || kind === "handover");
  return {
    stopMs: stop === undefined ? null : endedAfter(stop),
    startMs: startOfRunning(record, facts) ?? (start === undefined ? null : startedAfter(start)),
  };
}

function endedAfter({ kind, vms, waitedMs, asked = [] }: RolloutStepReport): number {
  if (kind === "stop") return waitedMs;
  return Math.max(
    0,
    ...asked.filter(({ who }) => vms.some((vm) => vm === who)).map(({ ms }) => ms ?? waitedMs),
  );
}

function startedAfter(step: RolloutStepReport): number {
  return step.kind === "start" ? step.waitedMs : Math.max(0, step.waitedMs - endedAfter(step));
}

/** Of what serves now, by its host's own clock. */
function startOfRunning(record: AppRecord | undefined, facts: Facts): number | null {
  const serving = record?.vms.filter(({ phase }) => phase === "serving") ?? [];
  const times = serving.flatMap((vm) => {
    const { startedAtMs = null, healthyAtMs = null } = observed(facts, vm)?.entry ?? {};
    return startedAtMs === null || healthyAtMs === null ? [] : [healthyAtMs - startedAtMs];
  });
  return times.length === 0 ? null : Math.max(...times);
}

/** "about 0.4s, by the last stop (85ms) and start (320ms)", and a warning if proxies do not keep requests for so long. */
export function describePast({ stopMs, startMs }: PastTimes, maxAgeMs: number): string {
  const known = [
    ...(stopMs === null ? [] : [`stop (${describeDuration(Math.round(stopMs))})`]),
    ...(startMs === null ? [] : [`start (${describeDuration(Math.round(startMs))})`]),
  ];
  if (known.length === 0) return "no past times of its stop and its start are known";
  const sumMs = Math.round((stopMs ?? 0) + (startMs ?? 0));
  const rest = stopMs === null ? " and a stop of which no past time is known" : "";
  const more = startMs === null ? " and a start of which no past time is known" : "";
  const late =
    sumMs > maxAgeMs
      ? `; that is longer than [hold] max_age (${describeDuration(maxAgeMs)}): WARNING: requests that wait longer are answered 503`
      : "";
  return `about ${describeDuration(sumMs)}, by the last ${known.join(" and ")}${rest}${more}${late}`;
}

/** Empty: none is so long. */
function longerLease(stopMs: number): string {
  const leaseS = Math.ceil((stopMs * 4) / 3000);
  return leaseS * 1000 > LEASE_MS_MAX ? "" : `lease = "${leaseS}s", or `;
}

/** The VM that leaves may take its whole stop timeout, and its lease, or what keeps requests, is over before; null: they are not. */
export function stopWarning({ vms, releases, rollout }: AppRecord): string | null {
  const spec = releases.find(({ number }) => number === rollout?.to)?.spec;
  if (spec === undefined || !isExclusive(spec)) return null;
  const leaving = vms.filter(({ release }) => release !== rollout?.to).map(({ release }) => release);
  const stops = releases
    .filter(({ number }) => leaving.includes(number))
    .map((one) => one.spec.stop.timeoutMs);
  const { maxAgeMs } = holdSpecOf(spec);
  const stopMs = Math.max(...stops, spec.stop.timeoutMs);
  const leaseMs = spec.fence?.leaseMs ?? null;
  // It is renewed before that much of it is gone, and not any more from the stop on.
  const leftMs = leaseMs === null ? Number.POSITIVE_INFINITY : leaseMs - renewEveryMs(leaseMs);
  if (leaseMs !== null && stopMs > leftMs)
    return `stop.timeout is ${describeDuration(stopMs)}, and a lease of ${describeDuration(leaseMs)} leaves a VM ${describeDuration(leftMs)} to end by itself: then it is killed. Write ${longerLease(stopMs)}a shorter stop.timeout`;
  if (stopMs <= maxAgeMs) return null;
  return `stop.timeout is ${describeDuration(stopMs)}, longer than [hold] max_age (${describeDuration(maxAgeMs)}): a VM that ignores its stop signal for so long costs the requests that wait for it (503)`;
}
