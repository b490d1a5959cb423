// Submit: what a request makes of an app's record: the first commit of a rollout, or the reason why there is none.

import type {
  AppName,
  AppRecord,
  AppSpec,
  CommittedApp,
  Release,
  Rollout,
  VmName,
} from "../../../mesh/index.ts";
import { surplusOfMove } from "./asked-count.ts";
import { type CommitContext, fitted, isKept, runningOf, withNothingKept } from "./commits.ts";
import { applyFirst } from "./decide.ts";
import { exclusionsEverywhere } from "./exclusions.ts";
import { isAlone } from "./handoff.ts";
import { withDataRemoved, withoutVainHome } from "./home.ts";
import { withLaunchHold, withoutHoldBy } from "./idle-hold.ts";
import { deployOf, emptyRollout, laterRolloutId, rolloutId } from "./new-rollout.ts";
import { withOpeningClosed } from "./opening.ts";
import { stopWarning } from "./past-times.ts";
import { splitFault } from "./shares.ts";
import {
  countFault,
  hostnameFault,
  nameFault,
  releasesFault,
  sizeFault,
  volumesFault,
} from "./submit-faults.ts";
import { onlyGoesForward, withoutNext, withSuperseded, withTakenBack } from "./supersede.ts";
import { isScaleOrRestart } from "./within.ts";

/**
 * - `begin`: commit this. `step`: what was asked for is over when that one is; absent: with the rollout. `note`: what was made of it, for
 *   people. `supersedes`: the rollout that comes to its end first. `joined`: the same spec is on its way already, or this very submission was taken before. `locked`: another rollout runs.
 * - `unchanged`: it is so already. `invalid`: cannot be meant; nothing changes; `message` says what to do.
 */
export type Submission =
  | {
      readonly code: "begin";
      readonly record: AppRecord;
      readonly rollout: Pick<Rollout, "id" | "to">;
      readonly step?: number;
      readonly note?: string;
      readonly supersedes?: string;
    }
  | { readonly code: "joined"; readonly rollout: Pick<Rollout, "id" | "to"> }
  | { readonly code: "locked"; readonly rollout: Rollout }
  | { readonly code: "unchanged"; readonly message: string }
  | { readonly code: "invalid"; readonly message: string };

export interface DeployRequest {
  readonly app: AppName;
  readonly spec: AppSpec;
  readonly specHash: string;
  /** As in `Release`. */
  readonly submission?: string | undefined;
  /** It takes the place of what runs; else that locks it out. */
  readonly supersedes?: boolean;
  /** All apps as committed, for the names that others have. */
  readonly apps: readonly CommittedApp[];
  /** As in `deployOf`. */
  readonly surplus?: number;
}

export function submitDeploy(request: DeployRequest, context: CommitContext): Submission {
  const { app, spec, apps } = request;
  const records = apps.map((candidate) => candidate.record);
  const record = records.find((candidate) => candidate.app === app) ?? firstRecord(app, records);
  const taken = takenBefore(record, request);
  if (taken !== null) return { code: "joined", rollout: taken };
  const epoch = apps.find((candidate) => candidate.record.app === app)?.epoch ?? 0;
  const running = runningOf(record);
  if (running !== null && isOfItself(running)) return submitOver(record, request, context);
  const same = running === null ? null : sameOnItsWay(record, running, request);
  if (same !== null) return { code: "joined", rollout: same };
  // Of an app that is destroyed nothing is left that could follow.
  if (running !== null && (request.supersedes !== true || running.kind === "destroy"))
    return { code: "locked", rollout: running };
  const number = record.lastRelease + 1;
  const reason =
    // A deploy that is taken back takes its split back too.
    (running?.kind === "deploy" ? null : splitFault(record)) ??
    nameFault(app, number) ??
    hostnameFault(request) ??
    countFault(record, spec) ??
    volumesFault(record, spec) ??
    releasesFault(record);
  if (reason !== null) return { code: "invalid", message: reason };
  if (running !== null) return superseding({ epoch, record }, releaseOf(number, request, context), context);
  const rollout = deployOf(record, number, context, request.surplus);
  const launched = withLaunchHold(withRelease(record, request, context), context.wallMs);
  const begun = begin(launched, rollout, context);
  const warning = begun.code === "begin" ? stopWarning(begun.record) : null;
  return warning === null ? begun : noted(begun, `WARNING: ${warning}`);
}

/** The rollout that this request would begin, if it runs or is to follow. */
function sameOnItsWay(
  { app, releases }: AppRecord,
  { id, kind, to, next, direction }: Rollout,
  { specHash, supersedes }: DeployRequest,
): Pick<Rollout, "id" | "to"> | null {
  const isSame = (number: number | null) =>
    releases.some((release) => release.number === number && release.specHash === specHash);
  if (next !== undefined) return isSame(next) ? { id: rolloutId(app, next), to: next } : null;
  // One that goes back is not what somebody means who wants another out of the way.
  const isMeant = kind === "deploy" && !(supersedes === true && direction === "back");
  return isMeant && isSame(to) ? { id, to } : null;
}

function superseding(committed: CommittedApp, release: Release, context: CommitContext): Submission {
  const { record } = committed;
  const { record: next, note } = withSuperseded(committed, release, context);
  const fit = fitted(next);
  const fault = sizeFault(fit, context);
  if (fault !== null) return { code: "invalid", message: fault };
  const rollout = { id: rolloutId(record.app, release.number), to: release.number };
  return { code: "begin", record: fit, rollout, note, supersedes: record.rollout?.id ?? "" };
}

/** Its answer was lost, and it is said again: perhaps after the end of what it began. */
function takenBefore(
  { app, releases }: AppRecord,
  { submission }: DeployRequest,
): Pick<Rollout, "id" | "to"> | null {
  const taken = submission && releases.find((release) => release.submission === submission);
  return taken ? { id: rolloutId(app, taken.number), to: taken.number } : null;
}

function submitOver(record: AppRecord, request: DeployRequest, context: CommitContext): Submission {
  const free = withoutRepair(record);
  const others = request.apps.filter((candidate) => candidate.record.app !== request.app);
  const apps = [...others, { epoch: 0, record: free }];
  return submitDeploy({ ...request, apps, surplus: surplusOfMove(record) }, context);
}

function isOfItself({ kind }: Rollout): boolean {
  return kind === "repair" || kind === "move" || kind === "sleep" || kind === "wake";
}

/** What the coordinator does of itself makes room for what a person asks: the record itself if no repair and no move runs. */
export function withoutRepair(record: AppRecord): AppRecord {
  const running = runningOf(record);
  if (running === null || !isOfItself(running)) return record;
  if (running.kind === "sleep") return withSleepUndone(record, running);
  // What may run already is ended before another one of it is started.
  const started = record.vms.filter(({ phase }) => phase !== "starting").map(withOpeningClosed);
  const vms = isAlone(record) ? record.vms : started;
  return { ...record, vms, rollout: null };
}

/** What it closed serves on. */
function withSleepUndone(record: AppRecord, { targets }: Rollout): AppRecord {
  const vms = record.vms.map((vm) =>
    targets.includes(vm.vm) && vm.phase === "cordoned" ? { ...vm, phase: "serving" as const } : vm,
  );
  return { ...record, vms, rollout: null };
}

function releaseOf(
  number: number,
  { spec, specHash, submission }: DeployRequest,
  { wallMs }: CommitContext,
): Release {
  const named = submission === undefined ? {} : { submission };
  return { number, specHash, spec, ...named, vmsNamed: 0, submittedAtMs: wallMs };
}

function withRelease(record: AppRecord, request: DeployRequest, context: CommitContext): AppRecord {
  const { spec } = request;
  const number = record.lastRelease + 1;
  const release = releaseOf(number, request, context);
  // Until the rollout is over both releases serve under the names of both.
  const hostnames = [...new Set([...record.hostnames, ...spec.hostnames])];
  return {
    ...withNothingKept(withoutVainHome(record)),
    deleted: false,
    lastRelease: number,
    hostnames,
    releases: [...record.releases, release],
  };
}

export function submitStop(committed: CommittedApp | null, vm: VmName, context: CommitContext): Submission {
  const record = committed === null ? undefined : withoutRepair(committed.record);
  const found = record?.vms.find((candidate) => candidate.vm === vm);
  if (record === undefined || found === undefined) {
    return { code: "invalid", message: `no VM ${vm}: "grapevine vms" lists them` };
  }
  const running = runningOf(record);
  if (running !== null) {
    const isSame = running.kind === "stop" && running.targets.includes(vm);
    return { code: isSame ? "joined" : "locked", rollout: running };
  }
  // What a wake started is closed by this very word.
  const isOpening = committed?.record.vms.some((one) => one.vm === vm && one.phase === "opening") === true;
  if (found.phase === "cordoned" && !isOpening && !isKept(found, record)) {
    return {
      code: "invalid",
      message: `${vm} is being stopped already: "grapevine status" says who keeps it`,
    };
  }
  // Nothing else is being woken: what waits for it is told that nothing serves.
  const isLastWoken = isOpening && record.vms.every((one) => one.vm === vm);
  const left = isLastWoken ? withoutHoldBy("idle", record) : record;
  return begin(left, retireOf(committed as CommittedApp, "stop", [vm], context), context);
}

/** Of a rollout that waits for it. Said before that, it is refused: nobody can have looked yet. */
export function submitPromote(committed: CommittedApp | null, app: AppName): Submission {
  const found = deployUnderWay(committed, app);
  if (found.code === "invalid") return found;
  const { record, rollout } = found;
  if (rollout.state === "paused")
    return { code: "invalid", message: `${rollout.id} is paused: "grapevine resume ${app}" first` };
  if (rollout.approved === true) return { code: "joined", rollout };
  if (rollout.step?.kind !== "approve" || rollout.direction === "back") {
    const message = `${rollout.id} does not wait for approval now: "grapevine status ${app}" shows what it waits for`;
    return { code: "invalid", message };
  }
  const approved: Rollout = { ...rollout, approved: true };
  return { code: "begin", record: fitted({ ...record, rollout: approved }), rollout: approved };
}

/** A deploy that was to follow will not begin. What runs is as it is: said once more it is the one that is meant. */
function withdrawNext(record: AppRecord): Submission | null {
  const running = runningOf(record);
  if (running?.next === undefined) return null;
  const note = `${rolloutId(record.app, running.next)} will not begin; ${running.id} comes to its end`;
  return { code: "begin", record: withoutNext(record), rollout: running, note };
}

/** The rollout goes back to what ran before. Once all requests go to the new release, it only goes forward. */
export function submitAbort(
  committed: CommittedApp | null,
  app: AppName,
  context: CommitContext,
): Submission {
  const withdrawn = committed === null ? null : withdrawNext(committed.record);
  if (withdrawn !== null) return withdrawn;
  const found = deployUnderWay(committed, app);
  if (found.code === "invalid") return found;
  const { record, rollout } = found;
  if (rollout.direction === "back" && rollout.state === "running") return { code: "joined", rollout };
  if (onlyGoesForward(record, rollout)) {
    const next =
      rollout.kind === "deploy" ? `; once it is over "grapevine rollback ${app}" goes back` : " to its end";
    return { code: "invalid", message: `${rollout.id} has taken over: it only goes forward${next}` };
  }
  const turned = withTakenBack(
    committed as CommittedApp,
    { outcome: "aborted", message: "a person aborted it" },
    context,
  );
  return { code: "begin", record: turned, rollout: turned.rollout ?? rollout };
}

/** A deploy, or another rollout that somebody may halt, and take back. */
export function deployUnderWay(
  committed: CommittedApp | null,
  app: AppName,
):
  | { readonly code: "found"; readonly record: AppRecord; readonly rollout: Rollout }
  | { readonly code: "invalid"; readonly message: string } {
  const record = committed?.record;
  const rollout = record === undefined ? null : runningOf(record);
  const isMeant = rollout !== null && (rollout.kind === "deploy" || isScaleOrRestart(rollout));
  if (record === undefined || !isMeant) {
    return { code: "invalid", message: `no deploy of ${app} runs: "grapevine status" lists what does` };
  }
  return { code: "found", record, rollout };
}

export function submitDestroy(
  committed: CommittedApp | null,
  app: AppName,
  context: CommitContext,
  removesData = false,
): Submission {
  if (committed === null || committed.record.deleted) {
    return unknownApp(app);
  }
  const record = withDataRemoved(withoutRepair(committed.record), removesData);
  const running = runningOf(record);
  if (running !== null) {
    return { code: running.kind === "destroy" ? "joined" : "locked", rollout: running };
  }
  const targets = record.vms.filter((vm) => vm.phase !== "cordoned").map((vm) => vm.vm);
  const begun = begin(record, retireOf(committed, "destroy", targets, context), context);
  const { home } = record;
  return home === undefined ? begun : noted(begun, dataText(app, home));
}

function dataText(app: AppName, { host, isRemoved }: NonNullable<AppRecord["home"]>): string {
  const where = `${host}, in volumes/${app} of its state folder`;
  return isRemoved === true
    ? `its data is removed on ${where}, as soon as ${host} is connected: deploy ${app} again only after that`
    : `its data is kept on ${where}; a later deploy of ${app} goes there`;
}

export function unknownApp(app: AppName): Extract<Submission, { code: "invalid" }> {
  return { code: "invalid", message: `no app ${app}: "grapevine status" lists them` };
}

/** What was begun, with what to say of it. */
export function noted(submission: Submission, note: string): Submission {
  return submission.code === "begin" ? { ...submission, note } : submission;
}

function retireOf(
  { epoch, record }: CommittedApp,
  kind: "stop" | "destroy",
  targets: readonly VmName[],
  context: CommitContext,
): Rollout {
  return {
    ...emptyRollout(context),
    id: laterRolloutId(record.app, record.current ?? record.lastRelease, epoch),
    kind,
    from: record.current,
    to: kind === "stop" ? record.current : null,
    targets,
  };
}

export function begin(record: AppRecord, rollout: Rollout, context: CommitContext): Submission {
  const first = applyFirst(fitted({ ...record, rollout }), context);
  if (first.code === "no-host") return { code: "invalid", message: first.message };
  const fault = sizeFault(first.record, context);
  if (fault !== null) return { code: "invalid", message: fault };
  return { code: "begin", record: first.record, rollout: first.record.rollout ?? rollout };
}

function firstRecord(app: AppName, others: readonly AppRecord[]): AppRecord {
  const excluded = exclusionsEverywhere(others);
  return {
    ...(excluded.length === 0 ? {} : { excluded }),
    format: 1,
    app,
    deleted: false,
    hostnames: [],
    releases: [],
    current: null,
    lastRelease: 0,
    vms: [],
    rollout: null,
  };
}
