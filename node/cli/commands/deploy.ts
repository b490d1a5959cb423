// deploy: pack and submit, then follow to the end.

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
import { packFolder } from "../../releases/pack.ts";
import { type Submitted, submittedShape } from "../answers.ts";
import { type ApiClient, ApiError } from "../api-client.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { type FollowedOptions, followToEnd } from "../follow-to-end.ts";
import { planText } from "../plan-text.ts";
import { print, printJson, type Session, UsageError, withAgent } from "../session.ts";
import { planViewShape } from "../story-answers.ts";
import { tellerOf } from "../teller.ts";
import { waitTimeoutOf } from "../wait-timeout.ts";
import { onConflictOf, submitDespite } from "./conflict.ts";

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
