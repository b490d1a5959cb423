// Deadlines: how long the step in force may wait, what holds its deadline up, and whom the app does not wait for in the end. Pure.

import { type AppRecord, type CommittedApp, type MemberName, vmName } from "../../../mesh/index.ts";
import type { Facts } from "./facts.ts";
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

/** All that a step waits for is there, and was not for as long as the app asks; null: nothing to wait for. */
export function holdOf(
  committed: CommittedApp,
  { wants }: Standing,
  clock: StepClock,
  nowMs: number,
): { readonly untilMs: number; readonly want: Want } | null {
  const { app, rollout, releases } = committed.record;
  const { settledAtMs } = clock;
  if (rollout?.step?.kind === "bake" && wants.length === 0) return holdOfBake(committed, clock, nowMs);
  if (rollout?.step?.kind !== "start" || wants.length > 0 || settledAtMs === null) return null;
  const release = releases.find(({ number }) => number === rollout.to);
  const minHealthyMs = release?.spec.deploy.minHealthyMs ?? 0;
  const untilMs = settledAtMs + minHealthyMs;
  if (rollout.kind !== "deploy" || rollout.direction === "back" || nowMs >= untilMs) return null;
  const who = rollout.step.vms[0] ?? vmName(app);
  const what = `to stay healthy for ${minHealthyMs} ms, as min_healthy_time asks`;
  return { untilMs, want: { kind: "time", who, what, complaint: `${who} was not healthy for long enough` } };
}

/** Time delays, and permits nothing: the bake is over once this and all else is there. */
function holdOfBake(
  { record: { app, rollout, releases } }: CommittedApp,
  { knownSinceMs }: StepClock,
  nowMs: number,
): { readonly untilMs: number; readonly want: Want } | null {
  const bakeMs = releases.find(({ number }) => number === rollout?.to)?.spec.deploy.canary?.bakeMs ?? 0;
  const untilMs = knownSinceMs + bakeMs;
  if (nowMs >= untilMs) return null;
  const who = rollout?.step?.vms[0] ?? vmName(app);
  const what = `to bake for ${bakeMs} ms, as bake asks`;
  return { untilMs, want: { kind: "time", who, what, complaint: `${who} has not baked for long enough` } };
}

/** Of the release that is on its way; of a stop, of the one in force. */
export function waitTimeoutMs({ rollout, releases, current }: AppRecord): number {
  const number = rollout?.to ?? current;
  const release = releases.find((candidate) => candidate.number === number) ?? releases.at(-1);
  const bakeMs = rollout?.step?.kind === "bake" ? (release?.spec.deploy.canary?.bakeMs ?? 0) : 0;
  return bakeMs + (release?.spec.deploy.waitTimeoutMs ?? DEFAULT_WAIT_TIMEOUT_MS);
}

/** While the release command runs its own time counts first, which its host keeps: this is for a host that says nothing. */
export function commandTimeoutMs({ rollout, releases }: AppRecord, { score }: Standing): number {
  const spec = releases.find(({ number }) => number === rollout?.to)?.spec;
  const isRunning = rollout?.step?.kind === "command" && score > 0;
  return isRunning && spec !== undefined
    ? (spec.deploy.releaseCommandTimeoutMs ?? 0) + spec.stop.timeoutMs
    : 0;
}

/** As the app file's default; of a record without a release nothing else is known. */
const DEFAULT_WAIT_TIMEOUT_MS = 300_000;
