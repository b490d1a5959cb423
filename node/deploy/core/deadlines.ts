// Deadlines: how long the step in force may take, what a clock or a person holds up, and whom the app does not wait for any longer.

import {
  type AppRecord,
  type CommittedApp,
  describeDuration,
  type MemberName,
  vmName,
} from "../../../mesh/index.ts";
import { bakeMsOf, minHealthyMsOf } from "./asks.ts";
import { holdTimeoutMsOf } from "./cutover.ts";
import type { Facts } from "./facts.ts";
import { leaseWaitMs } from "./may-run.ts";
import { isEntering } from "./quorum.ts";
import type { Standing, Want } from "./standing.ts";
import type { StepClock } from "./step-clock.ts";

/** What a rollout that is paused waits for. */
export function wantResumed({ app, rollout }: AppRecord): Want {
  const why = rollout?.pause === undefined ? "" : ` (${rollout.pause.why})`;
  const what = `to be resumed: ${rollout?.id} is paused${why}; \`grapevine resume ${app}\` or \`grapevine abort ${app}\``;
  return { kind: "approval", who: vmName(app), what, complaint: `${rollout?.id} is paused` };
}

/** Whom the app does not wait for any longer, and from when on; null: nobody. Never all of them: an empty set is no quorum. */
export function silenceOf(
  { epoch, record: { rollout, releases } }: CommittedApp,
  { wants, acks }: Standing,
  facts: Facts,
  sinceMs: number,
): { readonly atMs: number; readonly proxies: readonly MemberName[] } | null {
  const release = releases.find(({ number }) => number === rollout?.to);
  const afterMs = release?.spec.deploy.excludeSilentAfterMs;
  const isAdding = rollout?.step != null && isEntering(rollout.step.kind) && rollout.direction === "forward";
  if (afterMs === undefined || !isAdding || acks === null) return null;
  const isSilent = (proxy: MemberName) => (facts.acks.get(proxy)?.applied ?? 0) < epoch;
  const asked = wants.flatMap(({ kind, who }) => (kind === "proxy" ? [who as MemberName] : []));
  const proxies = asked.filter(isSilent);
  if (proxies.length === 0 || proxies.length === acks.need.length) return null;
  return { atMs: sinceMs + afterMs, proxies };
}

/** Nobody but a person can end the step in force. */
export function isForPerson(rollout: AppRecord["rollout"]): boolean {
  return rollout?.step?.kind === "approve" && rollout.approved !== true;
}

/** All that a step waits for is there, and was not for as long as the app asks; null: nothing to wait for. */
export function holdOf(
  { record }: CommittedApp,
  { wants }: Standing,
  clock: StepClock,
  nowMs: number,
): { readonly untilMs: number; readonly want: Want } | null {
  if (wants.length > 0) return null;
  if (record.rollout?.step?.kind === "bake") return holdOfBake(record, clock, nowMs);
  const minHealthyMs = minHealthyMsOf(record);
  const untilMs = (clock.settledAtMs ?? nowMs) + minHealthyMs;
  if (minHealthyMs === 0 || nowMs >= untilMs) return null;
  const who = record.rollout?.step?.vms[0] ?? vmName(record.app);
  const what = `to stay healthy for ${describeDuration(minHealthyMs)}, as min_healthy_time asks`;
  return { untilMs, want: { kind: "time", who, what, complaint: `${who} was not healthy for long enough` } };
}

/** Time delays, and permits nothing: the bake is over once this and all else is there. */
function holdOfBake(
  record: AppRecord,
  { knownSinceMs }: StepClock,
  nowMs: number,
): { readonly untilMs: number; readonly want: Want } | null {
  const bakeMs = bakeMsOf(record);
  const untilMs = knownSinceMs + bakeMs;
  if (nowMs >= untilMs) return null;
  const who = record.rollout?.step?.vms[0] ?? vmName(record.app);
  const what = `to bake for ${describeDuration(bakeMs)}, as bake asks`;
  return { untilMs, want: { kind: "time", who, what, complaint: `${who} has not baked for long enough` } };
}

/** Of the release that is on its way; of a stop, of the one in force. */
function waitTimeoutMs(record: AppRecord): number {
  const { rollout, releases, current } = record;
  const number = rollout?.to ?? current;
  const release = releases.find((candidate) => candidate.number === number) ?? releases.at(-1);
  return bakeMsOf(record) + (release?.spec.deploy.waitTimeoutMs ?? DEFAULT_WAIT_TIMEOUT_MS);
}

/** While the release command runs its own time counts first, which its host keeps: this is for a host that says nothing. */
function commandTimeoutMs({ rollout, releases }: AppRecord, { score }: Standing): number {
  const spec = releases.find(({ number }) => number === rollout?.to)?.spec;
  const isRunning = rollout?.step?.kind === "command" && score > 0;
  return isRunning && spec !== undefined
    ? (spec.deploy.releaseCommandTimeoutMs ?? 0) + spec.stop.timeoutMs
    : 0;
}

/** As the app file's default; of a record without a release nothing else is known. */
const DEFAULT_WAIT_TIMEOUT_MS = 300_000;

/** When the step in force gives up. A hold's time runs from its begin: who waits does not wait shorter because something comes nearer. */
export function deadlineMsOf(committed: CommittedApp, standing: Standing, clock: StepClock): number {
  const holdMs = holdTimeoutMsOf(committed.record);
  return holdMs === null
    ? clock.progressAtMs + timeoutMsOf(committed, standing, clock)
    : clock.sinceMs + holdMs;
}

/** How long the step in force may take without progress. What it must stay healthy for comes on top, once it was. */
function timeoutMsOf({ record }: CommittedApp, standing: Standing, { hasSettled }: StepClock): number {
  const healthyMs = hasSettled ? minHealthyMsOf(record) : 0;
  return waitTimeoutMs(record) + commandTimeoutMs(record, standing) + healthyMs + leaseWaitMs(record);
}
