// Submit rollback: back to a release from before. While its VMs are kept that is one step that sends all requests to them and touches no
// VM; after that it is a deploy of that release, under its own number: its files and its env are in the record still.

import {
  type AppName,
  type AppRecord,
  type CommittedApp,
  isUnderWay,
  type Release,
  type Rollout,
  WEIGHTS_SUM,
} from "../../../mesh/index.ts";
import { surplusOfMove } from "./asked-count.ts";
import { type CommitContext, servedBefore, withNothingKept } from "./commits.ts";
import { isHealthy, observed } from "./facts.ts";
import { isHeldByStep } from "./held-step.ts";
import { deployOf, laterRolloutId } from "./new-rollout.ts";
import { readyVms } from "./ready.ts";
import { splitFault } from "./shares.ts";
import { begin, noted, type Submission, unknownApp, withoutRepair } from "./submit.ts";
import { countFault } from "./submit-faults.ts";
import { submitTraffic } from "./submit-traffic.ts";

export interface RollbackRequest {
  readonly app: AppName;
  /** Null: the last that was the whole app before the one that is. */
  readonly to: number | null;
}

export function submitRollback(
  committed: CommittedApp | null,
  { app, to }: RollbackRequest,
  context: CommitContext,
): Submission {
  if (committed === null || committed.record.deleted) return unknownApp(app);
  const record = withoutRepair(committed.record);
  const target = targetOf(record, to);
  const { rollout } = record;
  // Before anything that is wrong with the target: who is in a bad deploy and says so shall hear of "abort".
  const isInTheWay = rollout?.kind !== "weigh" || rollout.next !== undefined || isHeldByStep(record);
  if (isUnderWay(rollout) && isInTheWay) return lockedOrJoined(rollout as Rollout, target);
  if (typeof target === "string") return { code: "invalid", message: target };
  const { number } = target;
  if (isWhole(record, number) && rollout?.state === "running") return { code: "joined", rollout };
  if (isWhole(record, number))
    return { code: "invalid", message: `v${number} is what serves ${app}: there is nothing to go back to` };
  const surplus = surplusOfMove(committed.record);
  const submission = isReady(record, number, context)
    ? flipped({ ...committed, record }, target, context)
    : deployedAgain({ ...committed, record }, { target, surplus }, context);
  const warning = to === null ? takenBackAlready(record) : null;
  if (submission.code !== "begin" || warning === null) return submission;
  return noted(submission, `${warning}; ${submission.note}`);
}

/** Who asks for it in haste may mean a deploy that has gone back by itself. */
function takenBackAlready({ rollout, current }: AppRecord): string | null {
  const isBack = rollout?.state === "rolled-back" || rollout?.state === "aborted";
  if (rollout?.kind !== "deploy" || !isBack || rollout.to === current) return null;
  return `v${rollout.to} was taken back already, and v${current} serves: this goes one release further`;
}

/** All requests go there, or shall as soon as all proxies have said so. */
function isWhole({ current, rollout, vms }: AppRecord, release: number): boolean {
  const serving = vms.filter(({ phase }) => phase === "serving");
  const isOn = current === release || (isUnderWay(rollout) && rollout?.to === release);
  return isOn && serving.length > 0 && serving.every((vm) => vm.release === release);
}

function lockedOrJoined(rollout: Rollout, target: Release | string): Submission {
  const number = typeof target === "string" ? null : target.number;
  const isSame = rollout.kind === "deploy" && rollout.to === number && rollout.direction === "forward";
  return { code: isSame ? "joined" : "locked", rollout };
}

/** The release, or why there is none. */
function targetOf(record: AppRecord, to: number | null): Release | string {
  const { app, releases, current, lastRelease } = record;
  const known = releases.map(({ number }) => `v${number}`).join(", ");
  const dropped = to !== null && to <= lastRelease ? " any more" : "";
  if (to !== null)
    return (
      releases.find(({ number }) => number === to) ??
      `${app} has no release v${to}${dropped}: ${known} ${releases.length === 1 ? "is" : "are"} known`
    );
  const why = current === null ? "it serves nothing yet" : `none is known that served before v${current}`;
  const others = releases.flatMap(({ number }) => (number === current ? [] : [`v${number}`]));
  const next =
    others.length === 0
      ? "one from before has to be deployed from its files"
      : `name one with --to, of ${others.join(", ")}`;
  return servedBefore(record) ?? `${app} has no release to go back to (${why}): ${next}`;
}

/** Its VMs are up, and all of them are healthy; of a release that serves already one is enough. */
function isReady(record: AppRecord, release: number, { facts }: CommitContext): boolean {
  const vms = readyVms(record, release);
  const healthy = vms.filter((vm) => isHealthy(observed(facts, vm)));
  const serves = healthy.some(({ phase }) => phase === "serving");
  return serves || (vms.length > 0 && healthy.length === vms.length);
}

function flipped(committed: CommittedApp, { number }: Release, context: CommitContext): Submission {
  const { app } = committed.record;
  const weights = [{ release: number, weight: WEIGHTS_SUM }];
  const submission = submitTraffic(committed, { app, weights }, context);
  const isAtomic = submission.code === "begin" && isHeldByStep(submission.record);
  const how = isAtomic
    ? "requests are held until all others are closed, then go"
    : "one step sends all requests";
  return noted(submission, `the VMs of v${number} are up: ${how} to them`);
}

/** Its command ran when it was deployed first, and a person asked for it: neither is asked for again. */
function deployedAgain(
  { epoch, record }: CommittedApp,
  { target: { number, spec }, surplus }: { readonly target: Release; readonly surplus: number },
  context: CommitContext,
): Submission {
  const fault = splitFault(record) ?? countFault(record, spec);
  if (fault !== null) return { code: "invalid", message: fault };
  const rollout: Rollout = {
    ...deployOf(record, number, context, surplus),
    id: laterRolloutId(record.app, number, epoch),
    approved: true,
    commandEnded: true,
  };
  const hostnames = [...new Set([...record.hostnames, ...spec.hostnames])];
  const note = `no VMs of v${number} are kept that could serve: it is deployed again`;
  return noted(begin({ ...withNothingKept(record), hostnames }, rollout, context), note);
}
