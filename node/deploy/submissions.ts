// Submissions: from a request to the first commit of its rollout, or the reason why there is none. What stands is read at a
// majority first, and the names that the record uses are claimed before it is swapped.

import {
  type AppName,
  type AppRecord,
  type AppSpec,
  appName,
  type Claim,
  type ClaimedName,
  type CommittedApp,
  claimedNames,
  describeClaimedName,
  type EnvRef,
  isName,
  messageOf,
  NoMajorityError,
  type Register,
  type Rollout,
  type VmName,
} from "../../mesh/index.ts";
import type { CommitContext } from "./core/commits.ts";
import { planViewOf } from "./core/forecast.ts";
import type { KeptRollout } from "./core/kept-rollouts.ts";
import { withDeparted } from "./core/may-run.ts";
import { type MoveRequest, submitMove } from "./core/move.ts";
import { rolloutId } from "./core/new-rollout.ts";
import { pastTimesOf } from "./core/past-times.ts";
import {
  type Submission,
  submitAbort,
  submitDeploy,
  submitDestroy,
  submitPromote,
  submitStop,
} from "./core/submit.ts";
import { submitPause, submitResume } from "./core/submit-pause.ts";
import { type RollbackRequest, submitRollback } from "./core/submit-rollback.ts";
import { type ScaleRequest, submitRestart, submitScale } from "./core/submit-scale.ts";
import { submitTraffic, type TrafficRequest } from "./core/submit-traffic.ts";
import type { PlanResult, SubmitHow, SubmitResult } from "./deploys.ts";
import { isSameButEnv, specHash } from "./spec-hash.ts";

/** Swaps of one submission that may lose against our own machine before it is given up. */
const SUBMIT_TRIES_MAX = 10;

export interface SubmissionsDeps {
  readonly register: Register;
  /** A commit that was made or found. */
  readonly learn: (committed: CommittedApp | null) => void;
  /** What is known of this app, and of the cluster, now. */
  readonly context: (app: AppName) => CommitContext;
  /** Its rollouts as this voter saw them, oldest first. */
  readonly history: (app: AppName) => Promise<readonly Pick<KeptRollout, "rollout">[]>;
  /** Aborts when nothing is submitted any more. */
  readonly signal: AbortSignal;
}

export class Submissions {
  readonly #deps: SubmissionsDeps;
  /** One after the other: each places its VMs knowing of those before. */
  #submitting: Promise<unknown> = Promise.resolve();

  constructor(deps: SubmissionsDeps) {
    this.#deps = deps;
  }

  async submit(spec: AppSpec, { submission, supersedes = false }: SubmitHow = {}): Promise<SubmitResult> {
    if (!isName(spec.name)) return { code: "invalid", message: `"${spec.name}" cannot name an app` };
    const app = appName(spec.name);
    const hash = specHash(spec);
    const result = await this.#submitted(app, (apps, context) =>
      submitDeploy({ app, spec, specHash: hash, submission, supersedes, apps }, context),
    );
    return result.code === "locked" ? { ...result, ...this.#envOnItsWay(app, spec) } : result;
  }

  /** What `submit` would make of it now. Nothing is committed, and no name is claimed. */
  async plan(spec: AppSpec): Promise<PlanResult> {
    if (!isName(spec.name)) return { code: "invalid", message: `"${spec.name}" cannot name an app` };
    const app = appName(spec.name);
    const lack = await this.#readAnew(app);
    if (lack !== null) return lack;
    const apps = this.#deps.register.known();
    const context = this.#deps.context(app);
    const submission = submitDeploy({ app, spec, specHash: specHash(spec), apps }, context);
    const found = find(apps, app);
    const before = (await this.#deps.history(app)).map(({ rollout }) => rollout);
    const past = pastTimesOf(before, found?.record, context.facts);
    if (submission.code === "begin") {
      const begun = { epoch: (found?.epoch ?? 0) + 1, record: submission.record };
      return { code: "planned", plan: planViewOf(begun, { joined: false, past }, context) };
    }
    if (submission.code === "joined" && submission.rollout.id !== found?.record.rollout?.id) {
      const message = `${submission.rollout.id} is on its way already, and has not begun: \`grapevine status ${app}\` says for what it waits`;
      return { code: "invalid", message };
    }
    if (submission.code === "joined" && found !== null)
      return { code: "planned", plan: planViewOf(found, { joined: true, past }, context) };
    return answerTo(app, submission);
  }

  #envOnItsWay(app: AppName, spec: AppSpec): { readonly env?: EnvRef } {
    const record = find(this.#deps.register.known(), app)?.record;
    const { kind, to, next } = record?.rollout ?? {};
    const onItsWay = next ?? (kind === "deploy" ? to : null);
    const target = record?.releases.find(({ number }) => number === onItsWay)?.spec;
    if (spec.env === undefined || target?.env === undefined) return {};
    return isSameButEnv(spec, target) ? { env: target.env } : {};
  }

  async stopVm(vm: VmName): Promise<SubmitResult> {
    const apps = this.#deps.register.known();
    const owner = apps.find(({ record }) => record.vms.some((candidate) => candidate.vm === vm));
    if (owner === undefined) return { code: "invalid", message: `no VM ${vm}: "grapevine vms" lists them` };
    const { app } = owner.record;
    return this.#submitted(app, (all, context) => submitStop(find(all, app), vm, context));
  }

  /** The coordinator's own. */
  move(request: MoveRequest): Promise<SubmitResult> {
    return this.#submitted(request.app, (all, context) =>
      submitMove(find(all, request.app), request, context),
    );
  }

  promote(app: AppName): Promise<SubmitResult> {
    return this.#submitted(app, (all) => submitPromote(find(all, app), app));
  }

  abort(app: AppName): Promise<SubmitResult> {
    return this.#submitted(app, (all, context) => submitAbort(find(all, app), app, context));
  }

  pause(app: AppName): Promise<SubmitResult> {
    return this.#submitted(app, (all, context) => submitPause(find(all, app), app, context));
  }

  resume(app: AppName): Promise<SubmitResult> {
    return this.#submitted(app, (all) => submitResume(find(all, app), app));
  }

  setTraffic(request: TrafficRequest): Promise<SubmitResult> {
    const { app } = request;
    return this.#submitted(app, (all, context) => submitTraffic(find(all, app), request, context));
  }

  rollback(request: RollbackRequest): Promise<SubmitResult> {
    const { app } = request;
    return this.#submitted(app, (all, context) => submitRollback(find(all, app), request, context));
  }

  scale(request: ScaleRequest): Promise<SubmitResult> {
    const { app } = request;
    return this.#submitted(app, (all, context) => submitScale(find(all, app), request, context));
  }

  restart(app: AppName): Promise<SubmitResult> {
    return this.#submitted(app, (all, context) => submitRestart(find(all, app), app, context));
  }

  destroy(app: AppName, removesData: boolean): Promise<SubmitResult> {
    return this.#submitted(app, (all, context) => submitDestroy(find(all, app), app, context, removesData));
  }

  /** Without a majority each hears it after one read, however many ask at once. */
  async #submitted(
    app: AppName,
    submission: (apps: readonly CommittedApp[], context: CommitContext) => Submission,
  ): Promise<SubmitResult> {
    const lack = await this.#readAnew(app);
    if (lack !== null) return lack;
    const result = this.#submitting.then(() => this.#trySubmit(app, submission));
    this.#submitting = result.catch(() => undefined);
    return result;
  }

  async #trySubmit(
    app: AppName,
    submission: (apps: readonly CommittedApp[], context: CommitContext) => Submission,
  ): Promise<SubmitResult> {
    const { register, learn, context, signal } = this.#deps;
    for (let tries = 0; tries < SUBMIT_TRIES_MAX && !signal.aborted; tries += 1) {
      const lack = tries === 0 ? null : await this.#readAnew(app);
      if (lack !== null) return lack;
      const apps = register.known();
      const submitted = submission(apps, context(app));
      if (submitted.code !== "begin") return answerTo(app, submitted);
      const epoch = find(apps, app)?.epoch ?? 0;
      const refused = await this.#claimNames({ app, epoch: epoch + 1 }, submitted.record);
      if (refused !== null) return refused;
      const { facts } = context(app);
      const before = find(apps, app)?.record ?? null;
      const record = withDeparted(before, submitted.record, { epoch: epoch + 1, facts });
      const result = await register.swap(app, epoch, record);
      if (result.code === "committed") {
        learn(result.committed);
        return { ...accepted(app, submitted.rollout), joined: false, ...factsOf(submitted) };
      }
      if (result.code === "unavailable") return unavailable(new NoMajorityError(result.missing));
    }
    return { code: "unavailable", message: `the record of ${app} could not be changed: try again` };
  }

  /** What stands is known here from then on. Else why it cannot be read, as an answer. */
  async #readAnew(app: AppName): Promise<SubmitResult | null> {
    try {
      this.#deps.learn(await this.#deps.register.read(app));
      return null;
    } catch (error) {
      return unavailable(error);
    }
  }

  /** Null: they are the app's. */
  async #claimNames(claim: Claim, record: AppRecord): Promise<SubmitResult | null> {
    const names = claimedNames(record);
    const claimed = await this.#deps.register.claimNames(claim, names);
    switch (claimed.code) {
      case "claimed":
        return null;
      case "taken":
        return { code: "invalid", message: describeTaken(claimed.name, claimed.by) };
      case "full":
        return {
          code: "invalid",
          message: "there is no room for more hostnames: destroy apps that nobody needs",
        };
      case "unavailable":
        return { code: "unavailable", message: claimed.reason };
    }
  }
}

function unavailable(error: unknown): SubmitResult {
  return { code: "unavailable", message: messageOf(error) };
}

function describeTaken(name: ClaimedName, by: AppName): string {
  return `${describeClaimedName(name)} belongs to app ${by}: choose another, or destroy ${by} first`;
}

function find(apps: readonly CommittedApp[], app: AppName): CommittedApp | null {
  return apps.find(({ record }) => record.app === app) ?? null;
}

/** What of it is there. */
function factsOf({
  step,
  note,
  supersedes,
}: Extract<Submission, { code: "begin" }>): Pick<
  Extract<SubmitResult, { code: "accepted" }>,
  "step" | "note" | "supersedes"
> {
  return {
    ...(step === undefined ? {} : { step }),
    ...(note === undefined ? {} : { note }),
    ...(supersedes === undefined ? {} : { supersedes }),
  };
}

function accepted(
  app: AppName,
  { id, to }: { readonly id: string; readonly to: number | null },
): {
  readonly code: "accepted";
  readonly app: AppName;
  readonly rollout: string;
  readonly release: number | null;
} {
  return { code: "accepted", app, rollout: id, release: to };
}

function answerTo(app: AppName, submission: Exclude<Submission, { code: "begin" }>): SubmitResult {
  if (submission.code === "invalid") return submission;
  if (submission.code === "unchanged") return { code: "unchanged", app, note: submission.message };
  if (submission.code === "joined") return { ...accepted(app, submission.rollout), joined: true };
  const { rollout } = submission;
  const message = `app ${app}: ${whyLocked(app, rollout)}`;
  return { code: "locked", app, rollout: rollout.id, driver: rollout.driver, message };
}

function whyLocked(app: AppName, { id, kind, state, driver, next }: Rollout): string {
  if (next !== undefined)
    return `rollout ${id} comes to its end, and ${rolloutId(app, next)} begins in its place: wait for that, or \`grapevine abort ${app}\` withdraws it`;
  const back =
    kind === "deploy" || kind === "scale" || kind === "restart" ? `, or \`grapevine abort ${app}\`` : "";
  if (state === "paused") return `rollout ${id} is paused: \`grapevine resume ${app}\`${back}`;
  return `rollout ${id} runs, driven by ${driver}: wait for its end${back}`;
}
