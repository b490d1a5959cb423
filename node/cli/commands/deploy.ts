// deploy, vm stop, destroy: submit, then follow to the end. What they return is what was seen, never what is hoped.

import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describeConfigErrors } from "../../../mesh/keys.ts";
import { nearestWord, STRATEGY_NAMES } from "../../../mesh/words.ts";
import { type AppFile, type AppSubmission, readAppFile } from "../../config/app-file.ts";
import { withCanary } from "../../config/canary-keys.ts";
import { deployProblem } from "../../config/deploy-keys.ts";
import { exclusiveProblem } from "../../config/exclusive-keys.ts";
import type { RolloutView } from "../../deploy/app-view.ts";
import { releaseName } from "../../deploy/core/describe.ts";
import { packFolder } from "../../releases/pack.ts";
import { type Submitted, submittedShape } from "../answers.ts";
import { type ApiClient, ApiError } from "../api-client.ts";
import { submitToApp } from "../ask-app.ts";
import { EXIT, type ExitCode, exitCodeOf, exitCodeOfMissed } from "../exit-code.ts";
import { type FollowEnd, followRollout } from "../follow.ts";
import { describeEnd, describeStepEnd, type Told } from "../narrator.ts";
import { planText } from "../plan-text.ts";
import { type ClientOptions, print, printJson, type Session, UsageError, withAgent } from "../session.ts";
import { planViewShape } from "../story-answers.ts";
import { plainText } from "../table.ts";
import { type Teller, tellerOf } from "../teller.ts";
import { waitTimeoutOf } from "../wait-timeout.ts";
import { onConflictOf, submitDespite } from "./conflict.ts";

export interface FollowedOptions extends ClientOptions {
  readonly detach?: boolean;
}

export interface DeployOptions extends FollowedOptions {
  readonly strategy?: string;
  readonly waitTimeout?: string;
  readonly plan?: boolean;
  readonly onConflict?: string;
}

/** The voter may be coming back, or the only agent with the bundle have died: both are worth another try. */
const SUBMIT_ATTEMPTS = 4;
const SUBMIT_RETRY_MS = 700;
/** The voter may have to fetch the bundle from another host first. */
const SUBMIT_TIMEOUT_MS = 60_000;

export async function deploy(file: string, options: DeployOptions): Promise<ExitCode> {
  return withAgent("deploy", options, async (session) => {
    const onConflict = onConflictOf(options.onConflict);
    if (options.plan === true && options.onConflict !== undefined)
      throw new UsageError("--plan changes nothing, so there is no conflict: leave --on-conflict out");
    const spec = specOf(file, options);
    const folder = await mkdtemp(path.join(tmpdir(), "grapevine-bundle-"));
    try {
      const bundleFile = path.join(folder, "bundle.tar");
      const { dir, base } = path.parse(path.resolve(file));
      const { hash, bytes } = await packFolder(dir, bundleFile, { without: base });
      const submission = { ...spec, bundle: { hash, bytes } };
      if (options.plan === true) return await showPlan(session, submission, options);
      const submitted = await submitDespite(session, submitterOf(session, submission, bundleFile), {
        app: spec.name,
        onConflict,
        waitMs: spec.deploy.waitTimeoutMs,
        teller: tellerOf(options),
      });
      return await followToEnd(session, submitted, options);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

/** No file is sent, and the agent keeps nothing of what it is asked. */
async function showPlan(
  { client, signal }: Session,
  spec: AppSubmission,
  { json }: DeployOptions,
): Promise<ExitCode> {
  const asked = { method: "POST", path: `/v1/apps/${spec.name}/plan`, json: spec } as const;
  const plan = planViewShape.parse(await client.json(asked, signal));
  if (json === true) printJson(plan);
  else print(planText(plan));
  return EXIT.done;
}

export async function stopVm(vm: string, options: FollowedOptions): Promise<ExitCode> {
  return withAgent("vm stop", options, async (session) => {
    const asked = { method: "POST", path: `/v1/vms/${encodeURIComponent(vm)}/stop` } as const;
    const submitted = submittedShape.parse(await session.client.json(asked, session.signal));
    return followToEnd(session, submitted, options);
  });
}

export async function promote(app: string, options: FollowedOptions): Promise<ExitCode> {
  return askedOfApp("promote", app, options);
}

export async function abort(app: string, options: FollowedOptions): Promise<ExitCode> {
  return askedOfApp("abort", app, options);
}

export async function resume(app: string, options: FollowedOptions): Promise<ExitCode> {
  return askedOfApp("resume", app, options);
}

function askedOfApp(
  verb: "promote" | "abort" | "resume",
  app: string,
  options: FollowedOptions,
): Promise<ExitCode> {
  return withAgent(verb, options, async (session) => {
    return followToEnd(session, await submitToApp(session, app, verb), options);
  });
}

export interface DestroyOptions extends FollowedOptions {
  readonly removeData?: boolean;
}

export async function destroy(app: string, options: DestroyOptions): Promise<ExitCode> {
  return withAgent("destroy", options, async (session) => {
    const query = options.removeData === true ? "?data=remove" : "";
    const asked = { method: "DELETE", path: `/v1/apps/${encodeURIComponent(app)}${query}` } as const;
    const submitted = submittedShape.parse(await session.client.json(asked, session.signal));
    return followToEnd(session, submitted, options);
  });
}

/** The file's spec with what the command line says in its place. Throws `UsageError`. */
function specOf(file: string, { strategy, waitTimeout }: DeployOptions): AppFile {
  const read = readAppFile(file);
  if (!read.ok) throw new UsageError(`the app file has mistakes:\n${describeConfigErrors(read.error)}`);
  const deploy = {
    ...read.value.deploy,
    ...(strategy === undefined ? {} : { strategy: knownStrategy(strategy) }),
    ...(waitTimeout === undefined ? {} : { waitTimeoutMs: waitTimeoutOf(waitTimeout) }),
  };
  const spec = { ...read.value, deploy: withCanary(deploy) };
  const problem = exclusiveProblem(spec) ?? deployProblem(spec);
  if (problem !== null)
    throw new UsageError(`with --strategy ${strategy}: ${problem.key} ${problem.message}`);
  return spec;
}

function knownStrategy(name: string): AppFile["deploy"]["strategy"] {
  const known = STRATEGY_NAMES.find((strategy) => strategy === name);
  if (known !== undefined) return known;
  const nearest = nearestWord(name, STRATEGY_NAMES);
  const hint = nearest === undefined ? "" : `; did you mean ${nearest}?`;
  throw new UsageError(`--strategy must be one of ${STRATEGY_NAMES.join(", ")}; found ${name}${hint}`);
}

function submitterOf(
  { client, signal }: Session,
  spec: AppSubmission,
  bundleFile: string,
): (how: { readonly supersedes: boolean }) => Promise<Submitted> {
  const submission = randomUUID();
  return async ({ supersedes }) => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await submitOnce(client, { spec, submission, supersedes, bundleFile }, signal);
      } catch (error) {
        const isPassing = error instanceof ApiError && error.code === "unavailable";
        if (!isPassing || attempt >= SUBMIT_ATTEMPTS) throw error;
        await sleep(SUBMIT_RETRY_MS, undefined, { signal });
      }
    }
  };
}

/** Said once more under the same name it is the same release, also if that is over by then: an answer that was lost does no harm. */
async function submitOnce(
  client: ApiClient,
  {
    spec,
    submission,
    supersedes,
    bundleFile,
  }: {
    readonly spec: AppSubmission;
    readonly submission: string;
    readonly supersedes: boolean;
    readonly bundleFile: string;
  },
  signal: AbortSignal,
): Promise<Submitted> {
  const bundlePath = `/v1/bundles/${spec.bundle.hash}`;
  if (!(await client.exists(bundlePath, signal))) {
    const stream = () => createReadStream(bundleFile);
    await client.json(
      { method: "PUT", path: bundlePath, stream, answerTimeoutMs: SUBMIT_TIMEOUT_MS },
      signal,
    );
  }
  const conflict = supersedes ? "&on-conflict=supersede" : "";
  const path = `/v1/apps/${spec.name}/deploys?submission=${submission}${conflict}`;
  const asked = { method: "POST", path, json: spec, answerTimeoutMs: SUBMIT_TIMEOUT_MS } as const;
  return submittedShape.parse(await client.json(asked, signal));
}

export async function followToEnd(
  { client, signal }: Session,
  submitted: Submitted,
  options: FollowedOptions,
): Promise<ExitCode> {
  const teller = tellerOf(options);
  try {
    const { app, rollout, step, supersedes } = submitted;
    teller.tell(toldOfBegin(submitted));
    if (options.detach === true) return finish(submitted, { code: "detached" }, teller);
    await client.learnAgents(signal);
    const what = { app, rollout, untilStep: step, supersedes };
    const end = await followRollout(client, { ...what, teller, signal });
    return finish(submitted, end, teller);
  } finally {
    teller.close();
  }
}

function toldOfBegin({ app, release, rollout, joined, note, supersedes }: Submitted): Told {
  const asked = {
    ...(note === undefined ? {} : { note }),
    ...(supersedes === undefined ? {} : { supersedes }),
  };
  const facts = { app, release: releaseName(release), rollout, joined, ...asked };
  const text = joined ? `${rollout}: on its way already; joined it` : `${rollout}: submitted`;
  const lines = note === undefined ? text : `${plainText(note)}\n${text}`;
  return { event: "submitted", text: lines, facts };
}

function finish(submitted: Submitted, end: FollowEnd, teller: Teller): ExitCode {
  const exitCode = exitCodeOfEnd(submitted, end);
  teller.end(endLines(submitted, end, exitCode), endJson(submitted, end, exitCode));
  return exitCode;
}

function exitCodeOfEnd(submitted: Submitted, end: FollowEnd): ExitCode {
  if (end.code === "detached") return EXIT.timedOut;
  if (end.code === "replaced") return exitCodeOf(end.rollout, []);
  const { rollout, leftovers, release } = end.view;
  if (end.code === "stepped" && rollout?.direction === "back") return backCode(rollout);
  // What it was to follow runs, or is over, and it is not what follows: somebody took it back.
  if (submitted.supersedes !== undefined && end.code === "superseded" && rollout?.id === submitted.supersedes)
    return EXIT.aborted;
  // Another split took the place of this one: whether every proxy had it is not known.
  if (end.code === "stepped") return isSplitReplaced(rollout, submitted.step) ? EXIT.timedOut : EXIT.done;
  if (submitted.step !== undefined && end.code === "superseded") return EXIT.timedOut;
  return end.code === "ended" && rollout !== null
    ? exitCodeOf(rollout, leftovers)
    : exitCodeOfMissed(submitted, release);
}

/** After a split that every proxy has the deploy waits for approval again; another split comes at once. */
function isSplitReplaced(rollout: RolloutView | null, step = 0): boolean {
  const steps = [...(rollout?.history ?? []), ...(rollout?.step == null ? [] : [rollout.step])];
  return steps.some(({ number, kind }) => number === step + 1 && kind === "weigh");
}

/** Of a rollout that goes back, as if it were there. */
function backCode({ reason }: RolloutView): ExitCode {
  return exitCodeOf({ state: reason?.code === "aborted" ? "aborted" : "rolled-back", reason }, []);
}

function endLines(
  { app, rollout, step, supersedes }: Submitted,
  end: FollowEnd,
  exitCode: ExitCode,
): readonly string[] {
  if (end.code === "ended") return describeEnd(end.view, exitCode);
  if (end.code === "stepped") return describeStepEnd(end.view, step, exitCode);
  if (end.code === "replaced") return [`${rollout}: ${end.rollout.state}; ${end.by} took its place`];
  if (end.code === "superseded" && end.view.rollout?.id === supersedes)
    return [`${rollout}: withdrawn: it does not begin (exit code ${exitCode})`];
  if (end.code === "superseded")
    return [
      `${rollout}: over; ${end.view.rollout?.id ?? "nothing"} followed it${exitCode === EXIT.timedOut ? " (exit code 3: its end is not known)" : ""}`,
    ];
  return [
    `detached; the rollout goes on; follow it with \`grapevine status ${app}\` (exit code 3: its end is not known)`,
  ];
}

function endJson(submitted: Submitted, end: FollowEnd, exitCode: ExitCode): object {
  const { app, release, rollout } = submitted;
  const { supersedes } = submitted;
  const shown = {
    app,
    release: releaseName(release),
    rollout,
    ...(supersedes === undefined ? {} : { supersedes }),
  };
  if (end.code === "detached") return { ...shown, state: "running", exitCode, steps: [] };
  const isOther = end.code === "superseded" || end.code === "replaced";
  const seen = isOther ? null : end.view.rollout;
  const replaced = end.code === "replaced" ? end.rollout : null;
  return {
    ...shown,
    ...(end.code === "replaced" ? { supersededBy: end.by } : {}),
    state: seen?.state ?? replaced?.state ?? end.code,
    exitCode,
    steps: seen?.history ?? [],
    reason: seen?.reason ?? replaced?.reason ?? null,
    serving: end.view.release,
    weights: end.view.weights,
    leftovers: end.view.leftovers,
    except: seen?.except ?? [],
  };
}
