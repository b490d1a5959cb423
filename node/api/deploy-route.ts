// Deploy route: a release that is submitted. The agent that is asked puts the env on its own disk, and a hash in its place: who
// commits the release, and everybody who reads its record, has the hash alone.

import type { Context, Hono } from "hono";
import { z } from "zod";
import {
  type AppName,
  type AppSpec,
  appName,
  appSpecShape,
  type EnvRef,
  envRefShape,
  fail,
  isName,
  ok,
  type Result,
} from "../../mesh/index.ts";
import { type AppSubmission, envShape, specProblem } from "../config/app-file.ts";
import type { Deploys } from "../deploy/deploys.ts";
import { apiError, bodyTooLarge, parseJson, readBounded } from "./answer.ts";
import { relayToVoter } from "./apps.ts";
import type { ApiDeps, ApiEnv } from "./ports.ts";
import { RELAY_BODY_BYTES_MAX } from "./relay.ts";
import { submitted } from "./submitted.ts";

/** A spec and an env at their bounds, each byte of them written as six (\u0001). */
const SUBMISSION_BYTES_MAX = 256 * 1024;

export function addDeployRoute(app: Hono<ApiEnv>, deps: ApiDeps): void {
  app.post("/v1/apps/:app/deploys", async (context) => {
    const name = context.req.param("app");
    if (!isName(name)) return apiError("invalid", "this is no app's name");
    const isRelayed = context.env?.isRelayed === true;
    const bytesMax = isRelayed ? RELAY_BODY_BYTES_MAX : SUBMISSION_BYTES_MAX;
    const bytes = await readBounded(context.req.raw.body, bytesMax);
    if (bytes === null) return bodyTooLarge(bytesMax);
    return isRelayed
      ? takeSealed(deps, appName(name), bytes, context)
      : take(deps, appName(name), bytes, context);
  });
}

/** From a client. */
async function take(
  deps: ApiDeps,
  name: AppName,
  bytes: Uint8Array,
  context: Context<ApiEnv>,
): Promise<Response> {
  const parsed = parseSubmission(name, bytes);
  if (!parsed.ok) return apiError("invalid", parsed.error);
  const { env: values, ...spec } = parsed.value;
  const sealed = await deps.envs.seal(values);
  if (!sealed.ok) return apiError("unavailable", sealed.error);
  const response = await commit(deps, withEnv(spec, sealed.value), context);
  const rival = await envOnItsWay(response);
  if (rival === null) return response;
  // The same file once more has another hash: its salt is another.
  const isSame = await deps.envs.isSame(rival, values, context.req.raw.signal);
  return isSame === true ? commit(deps, withEnv(spec, rival), context) : response;
}

function withEnv(spec: Omit<AppSpec, "env">, env: EnvRef | undefined): AppSpec {
  return env === undefined ? spec : { ...spec, env };
}

const lockedShape = z.object({ error: z.object({ code: z.literal("locked"), env: envRefShape }) });

/** Of the rollout in whose way it came, if that may be of the same file. */
async function envOnItsWay(response: Response): Promise<EnvRef | null> {
  if (response.ok) return null;
  const read = lockedShape.safeParse(await response.clone().json());
  return read.success ? read.data.error.env : null;
}

/** By ourselves if we vote, else by a voter. */
async function commit(deps: ApiDeps, spec: AppSpec, context: Context<ApiEnv>): Promise<Response> {
  const deploys = deps.deploys();
  if (deploys !== null) return submit(deps, deploys, spec, context.req.raw.signal);
  return relayToVoter(deps, context, new TextEncoder().encode(JSON.stringify(spec)));
}

/** From another agent, which holds the env. */
async function takeSealed(
  deps: ApiDeps,
  name: AppName,
  bytes: Uint8Array,
  context: Context<ApiEnv>,
): Promise<Response> {
  const deploys = deps.deploys();
  if (deploys === null) return relayToVoter(deps, context);
  const spec = parseSpec(name, parseJson(bytes)?.json);
  if (!spec.ok) return apiError("invalid", spec.error);
  const problem = specProblem({ ...spec.value, env: {} });
  return problem === null
    ? submit(deps, deploys, spec.value, context.req.raw.signal)
    : apiError("invalid", problem);
}

async function submit(
  deps: ApiDeps,
  deploys: Deploys,
  spec: AppSpec,
  signal: AbortSignal,
): Promise<Response> {
  const fetched = await deps.fetchBundle(spec.bundle.hash, signal);
  if (!fetched.ok) return apiError("unavailable", `the bundle is not to be had: ${fetched.error}`);
  return submitted(await deploys.submit(spec));
}

/** What a client submits, or what is wrong with it: never with a value of the env. */
function parseSubmission(name: AppName, bytes: Uint8Array): Result<AppSubmission> {
  const json = parseJson(bytes)?.json;
  if (typeof json !== "object" || json === null) return fail(NO_SPEC);
  const { env: values = {}, ...rest } = json as { readonly env?: unknown };
  const env = envShape.safeParse(values);
  if (!env.success) {
    const issue = env.error.issues[0];
    const told = issue?.code === "invalid_key" ? issue.issues[0] : issue;
    return fail(`env ${told?.message ?? "is not valid"}`);
  }
  const spec = parseSpec(name, rest);
  if (!spec.ok) return spec;
  const submission = { ...spec.value, env: env.data };
  const problem = specProblem(submission);
  return problem === null ? ok(submission) : fail(problem);
}

const NO_SPEC = "the body must be an app's spec in JSON";

function parseSpec(name: AppName, json: unknown): Result<AppSpec> {
  if (json === undefined) return fail(NO_SPEC);
  const spec = appSpecShape.safeParse(json);
  if (!spec.success) {
    const issue = spec.error.issues[0];
    return fail(`the spec is not valid: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`);
  }
  if (spec.data.name !== name) return fail(`the spec is of ${spec.data.name}, the address of ${name}`);
  return ok(spec.data);
}
