// Sleep: between rollouts, an app that may sleep and that nobody asks for is put to sleep, and one that sleeps is woken for who does. That
// nobody asks every proxy must have said, lately; a clock, or silence, never makes it so. What comes while it falls asleep is kept by the
// proxies, and wakes it: putting it to sleep fails no request.

import {
  type AppRecord,
  type CommittedApp,
  idleAfterMsOf,
  isAsleep,
  isUnderWay,
  type MemberName,
  type Rollout,
} from "../../../mesh/index.ts";
import { type CommitContext, fitted } from "./commits.ts";
import { applyFirst } from "./decide.ts";
import type { Facts } from "./facts.ts";
import { isSound } from "./last-sound.ts";
import { rolloutWithin } from "./new-rollout.ts";
import { ackersOf } from "./quorum.ts";
import type { Repair } from "./repair.ts";

/** After one that could not end: a gate that does not answer is seldom back in seconds. */
const SLEEP_PAUSE_MS = 60_000;
/** After a wake that came to nothing, doubled each time: whoever waits does not wait for long, and each try is some commits. */
const WAKE_PAUSE_FIRST_MS = 500;
const WAKE_PAUSE_LAST_MS = 30_000;
/** After a wake that brought a part of the app: nobody waits, it is as after a repair that failed. */
const PART_PAUSE_MS = 60_000;
const WHY_PART = "the last wake brought a part of it: the rest is started";
/** Of many proxies it says how many. */
const NAMES_SAID_MAX = 8;

export function sleepOf(committed: CommittedApp, context: CommitContext): Repair {
  const { record } = committed;
  const { facts, wallMs } = context;
  const afterMs = idleAfterMsOf(record);
  const { current } = record;
  if (afterMs === null || current === null || !isWhole(record) || !isEachSound(record, facts)) return NOTHING;
  const dueAtMs = dueAtMsOf(record, afterMs);
  if (dueAtMs > wallMs) return { code: "none", dueAtMs };
  if (!isQuiet(record, facts, afterMs)) return NOTHING;
  const sleep: Rollout = {
    ...rolloutWithin(committed, current, context),
    kind: "sleep",
    targets: record.vms.map(({ vm }) => vm),
    before: record.vms.length + missingOf(record),
  };
  const first = applyFirst(fitted({ ...record, rollout: sleep }), context);
  if (first.code === "no-host") return NOTHING;
  return { code: "begin", record: first.record, why: "nobody asks for it: it is put to sleep" };
}

const NOTHING: Repair = { code: "none", dueAtMs: null };

/** Nothing is on its way, kept, split or held: of a record of which one release is the whole app. */
function isWhole({ vms, kept, weights, hold, current, deleted, hostnames }: AppRecord): boolean {
  const isServing = vms.every(({ phase, release }) => phase === "serving" && release === current);
  const isPlain = kept === undefined && weights === undefined && hold === undefined;
  return !deleted && hostnames.length > 0 && vms.length > 0 && isServing && isPlain;
}

/** A host that is away could not say that it closed its gate. */
function isEachSound({ vms }: AppRecord, facts: Facts): boolean {
  return vms.every((vm) => isSound(vm, facts));
}

/** Every proxy that is registered says so, but those that a person excluded: silence is no quiet, and no proxy at all is none. */
function isQuiet(record: AppRecord, facts: Facts, afterMs: number): boolean {
  const proxies = proxiesOf(record, facts);
  return proxies.length > 0 && notQuietOf(proxies, facts, afterMs).length === 0;
}

function notQuietOf(proxies: readonly MemberName[], facts: Facts, afterMs: number): readonly MemberName[] {
  return proxies.filter((proxy) => (facts.quietMs?.get(proxy) ?? -1) < afterMs);
}

function proxiesOf(record: AppRecord, facts: Facts): readonly MemberName[] {
  return ackersOf({ kind: "hold", ackSet: [] }, record, facts);
}

/** For people. Null: nothing does, or it sleeps, never does, or a rollout is under way. */
export function whyAwake({ record }: CommittedApp, facts: Facts, wallMs: number): string | null {
  const afterMs = idleAfterMsOf(record);
  const { app, rollout, hold, kept, weights, vms } = record;
  if (afterMs === null || vms.length === 0 || hold?.by === "idle" || isUnderWay(rollout)) return null;
  if (hold !== undefined) return "its requests are held";
  if (kept !== undefined) return `v${kept.release} is kept`;
  if (weights !== undefined) return "a split is in force";
  const unsound = vms.find((vm) => vm.phase !== "serving" || !isSound(vm, facts));
  if (unsound !== undefined) return `${unsound.vm} is not well`;
  // Nobody can have said so for long enough before.
  if (dueAtMsOf(record, afterMs) > wallMs) return "its last rollout ended not long ago";
  const proxies = proxiesOf(record, facts);
  if (proxies.length === 0) return "no proxy is registered";
  const asked = notQuietOf(proxies, facts, afterMs);
  const names = asked.length <= NAMES_SAID_MAX ? asked.join(", ") : `${asked.length} proxies`;
  return asked.length > 0 ? `${names} got requests for ${app} since, or cannot be heard` : null;
}

function dueAtMsOf({ rollout }: AppRecord, afterMs: number): number {
  const pauseMs = hasFailed(rollout, "sleep") ? SLEEP_PAUSE_MS : 0;
  // Tries to start the rest of it do not keep it awake.
  if (hasFailed(rollout, "wake")) return 0;
  return (rollout?.endedAtMs ?? 0) + Math.max(afterMs, pauseMs);
}

function hasFailed(rollout: Rollout | null, kind: Rollout["kind"]): boolean {
  return rollout?.kind === kind && rollout.state !== "succeeded" && rollout.reason?.code !== "aborted";
}

/** VMs that the last wake did not bring, of an app of which it brought some; 0: it is whole, or it sleeps. */
function missingOf({ rollout, current, vms, hold }: AppRecord): number {
  const serving = vms.filter(({ phase, release }) => phase === "serving" && release === current).length;
  const isPart = hasFailed(rollout, "wake") && hold === undefined && serving > 0;
  return isPart ? Math.max(0, (rollout?.count ?? 0) - serving) : 0;
}

/** `begin`: somebody asks for an app that sleeps, or the last wake brought a part of it. However many ask at once, one commit begins it. */
export function wakeOf(committed: CommittedApp, context: CommitContext): Repair {
  const { record } = committed;
  const { current, rollout } = record;
  const isPart = missingOf(record) > 0;
  const isWanted = isAsleep(record) && (context.facts.wanted ?? 0) > 0;
  if (current === null || !(isPart || isWanted)) return NOTHING;
  const tries = triesOf(rollout);
  const pauseMs = isPart ? PART_PAUSE_MS : wakePauseMs(tries);
  const dueAtMs = tries === 0 ? 0 : (rollout?.endedAtMs ?? 0) + pauseMs;
  if (dueAtMs > context.wallMs) return { code: "none", dueAtMs };
  const wake: Rollout = {
    ...rolloutWithin(committed, current, context),
    kind: "wake",
    targets: [],
    count: countToWake(record),
    ...(tries === 0 ? {} : { tries }),
  };
  const begun = fitted({ ...record, rollout: wake });
  const first = applyFirst(begun, context);
  if (isPart && first.code === "no-host") return NOTHING;
  // Where no host can run it that is what it waits for, and what is shown.
  const next = first.code === "no-host" ? begun : first.record;
  return { code: "begin", record: next, why: isPart ? WHY_PART : "somebody asks for it: it is woken" };
}

/** As many VMs as ran before it fell asleep; the app's file says how many of one that never did. */
function countToWake({ rollout, current, releases }: AppRecord): number {
  const spec = releases.find(({ number }) => number === current)?.spec;
  const before =
    rollout?.kind === "sleep" ? rollout.before : rollout?.kind === "wake" ? rollout.count : undefined;
  return before ?? spec?.count ?? 1;
}

function triesOf(rollout: Rollout | null): number {
  return hasFailed(rollout, "wake") ? (rollout?.tries ?? 0) + 1 : 0;
}

function wakePauseMs(tries: number): number {
  return Math.min(WAKE_PAUSE_LAST_MS, WAKE_PAUSE_FIRST_MS * 2 ** (Math.min(tries, 16) - 1));
}
