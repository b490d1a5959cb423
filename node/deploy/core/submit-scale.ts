// Submit scale, submit restart: the release that serves gets more VMs, or fewer, or new ones in the place of those that it has. Neither makes
// a release: the spec, the env and the number stay.

import {
  APP_VMS_MAX,
  type AppName,
  type AppRecord,
  type CommittedApp,
  type DesiredVm,
  isExclusive,
  isUnderWay,
  type Rollout,
} from "../../../mesh/index.ts";
import { askedCount } from "./asked-count.ts";
import type { CommitContext } from "./commits.ts";
import { counted } from "./describe.ts";
import { isAlone } from "./handoff.ts";
import { rolloutWithin } from "./new-rollout.ts";
import { splitFault } from "./shares.ts";
import { paceOf } from "./strategies/pace.ts";
import { begin, noted, type Submission, unknownApp, withoutRepair } from "./submit.ts";
import { leastNeeded } from "./within.ts";

export interface ScaleRequest {
  readonly app: AppName;
  /** VMs that shall serve, 1 or more. */
  readonly count: number;
}

export function submitScale(
  committed: CommittedApp | null,
  { app, count }: ScaleRequest,
  context: CommitContext,
): Submission {
  const fault = countFault(app, count);
  if (fault !== null) return { code: "invalid", message: fault };
  const found = standingApp(committed, app, (rollout) => rollout.kind === "scale" && rollout.count === count);
  if (found.code !== "free") return found;
  const { record, serving, release, asked, replaced } = found;
  const present = replaced === null ? serving.length : asked;
  if (count === present)
    return { code: "unchanged", message: `v${release} serves with ${counted(count, "VM")} already` };
  // What it has let serve no proxy may have reached yet, and nothing here would wait for that.
  if (replaced !== null && serving.length !== asked) return { code: "locked", rollout: replaced };
  const spec = record.releases.find(({ number }) => number === release)?.spec;
  if (spec !== undefined && isExclusive(spec) && count !== 1)
    return { code: "invalid", message: aloneText(app) };
  // Its next VM is on its way, and its requests wait for that.
  if (replaced !== null && isAlone(record)) return { code: "joined", rollout: replaced };
  const more = count - serving.length;
  if (record.vms.length + more > APP_VMS_MAX) return { code: "invalid", message: roomText(record, more) };
  const targets = more > 0 ? [] : leastNeeded(serving, -more, context);
  const before = serving.length;
  const rollout = {
    ...rolloutWithin(found, found.release, context),
    kind: "scale",
    targets,
    count,
    before,
  } as const;
  const note =
    more > 0
      ? `v${release} gets ${counted(more, "VM")} more: ${count} in all`
      : `v${release} gets ${counted(-more, "VM")} fewer, ${count} in all: ${targets.join(", ")} ${more === -1 ? "goes" : "go"}`;
  return noted(begin(record, rollout, context), note);
}

export function submitRestart(
  committed: CommittedApp | null,
  app: AppName,
  context: CommitContext,
): Submission {
  const found = standingApp(committed, app, (rollout) => rollout.kind === "restart");
  if (found.code !== "free") return found;
  const { record, serving, release, asked: count } = found;
  const deploy = record.releases.find(({ number }) => number === release)?.spec.deploy;
  if (serving.length === 0 && record.hold?.by === "idle")
    return { code: "unchanged", message: `${app} sleeps: what a request wakes is a new VM` };
  if (serving.length === 0 || deploy === undefined)
    return { code: "invalid", message: `no VM of ${app} serves: "grapevine scale ${app} 1" starts one` };
  const surge = Math.min(count, paceOf(deploy, count).surge);
  if (record.vms.length + surge > APP_VMS_MAX) return { code: "invalid", message: roomText(record, surge) };
  const targets = serving.map(({ vm }) => vm);
  const rollout = {
    ...rolloutWithin(found, found.release, context),
    kind: "restart",
    targets,
    count,
    before: count,
  } as const;
  const note = `each VM of v${release} makes way for a new one (${deploy.strategy}): ${counted(count, "VM")}`;
  return noted(begin(record, rollout, context), note);
}

function aloneText(app: AppName): string {
  return `${app} never runs twice (strategy = "handoff"): it has one VM; for more deploy it with another strategy`;
}

function countFault(app: AppName, count: number): string | null {
  if (count === 0)
    return `${app} cannot have 0 VMs: "grapevine vm stop VM" stops one, "grapevine destroy ${app}" all of it; with min_running = 0 in its file it sleeps while nobody asks for it`;
  if (Number.isInteger(count) && count > 0 && count <= APP_VMS_MAX) return null;
  return `the count must be a whole number from 1 to ${APP_VMS_MAX}, for example "grapevine scale ${app} 3"`;
}

interface StandingApp {
  readonly code: "free";
  readonly epoch: number;
  readonly record: AppRecord;
  /** The release that is the whole app, and its VMs that serve. */
  readonly release: number;
  readonly serving: readonly DesiredVm[];
  /** So many of them shall: a move or a repair that runs, or that failed, may have one more. */
  readonly asked: number;
  /** The move or the repair that runs, and makes room for what is asked. */
  readonly replaced: Rollout | null;
}

/** The app with one release that is the whole of it, and no rollout; else why it cannot be meant. */
function standingApp(
  committed: CommittedApp | null,
  app: AppName,
  isSame: (rollout: Rollout) => boolean,
): StandingApp | Submission {
  if (committed === null || committed.record.deleted) return unknownApp(app);
  const record = withoutRepair(committed.record);
  const { rollout, current } = record;
  if (rollout !== null && isUnderWay(rollout)) {
    const isJoined = isSame(rollout) && rollout.direction === "forward" && rollout.next === undefined;
    return { code: isJoined ? "joined" : "locked", rollout };
  }
  if (current === null)
    return { code: "invalid", message: `no release of ${app} serves yet: "grapevine deploy FILE" first` };
  const fault = splitFault(record) ?? mixedFault(record, current);
  if (fault !== null) return { code: "invalid", message: fault };
  const serving = record.vms.filter(({ phase, release }) => phase === "serving" && release === current);
  const asked = askedCount(committed.record, current);
  const running = committed.record.rollout;
  const replaced = isUnderWay(running) ? running : null;
  return { code: "free", epoch: committed.epoch, record, release: current, serving, asked, replaced };
}

/** What a rollout left that could go neither on nor back, or a split of which one share is all. */
function mixedFault({ app, vms, weights }: AppRecord, current: number): string | null {
  const other = vms.find(({ phase, release }) => phase === "serving" && release !== current);
  if (weights === undefined && other === undefined) return null;
  const beside = other === undefined ? "" : ` beside v${current}`;
  return `v${other?.release ?? current} of ${app} serves${beside}: say first which of them it is, with "grapevine deploy FILE" or "grapevine traffic set ${app} v${current}=100"`;
}

function roomText({ vms }: AppRecord, more: number): string {
  return `${vms.length + more} VMs would run meanwhile, an app may have ${APP_VMS_MAX}`;
}
