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
  envHash,
  envRefShape,
  fail,
  isName,
  ok,
  type Result,
  submissionShape,
} from "../../mesh/index.ts";
import { type AppSubmission, envShape, specProblem } from "../config/app-file.ts";
import type { Deploys } from "../deploy/deploys.ts";
import { apiError, bodyTooLarge, noAppName, parseJson, readBounded } from "./answer.ts";
import { relayToVoter } from "./apps.ts";
import type { ApiDeps, ApiEnv } from "./ports.ts";
import { RELAY_BODY_BYTES_MAX } from "./relay.ts";
import { submitted } from "./submitted.ts";

/** A spec and an env at their bounds, each byte of them written as six (\u0001). */
const SUBMISSION_BYTES_MAX = 256 * 1024;

export function addDeployRoute(app: Hono<ApiEnv>, deps: ApiDeps): void {
  const taking = (answer: SpecAnswer) => (context: Context<ApiEnv>) => readSpec(deps, context, answer);
  app.post(
    "/v1/apps/:app/deploys",
    taking((...given) => (given[3].env?.isRelayed === true ? takeSealed(...given) : take(...given))),
  );
  app.post("/v1/apps/:app/plan", taking(plan));
}

type SpecAnswer = (
  deps: ApiDeps,
  name: AppName,
  bytes: Uint8Array,
  context: Context<ApiEnv>,
) => Promise<Response>;

async function readSpec(deps: ApiDeps, context: Context<ApiEnv>, answer: SpecAnswer): Promise<Response> {
  const name = context.req.param("app") ?? "";
  if (!isName(name)) return noAppName(name);
  const submission = submissionOf(context);
  if (submission !== undefined && !submissionShape.safeParse(submission).success)
    return apiError("invalid", "submission must be 16 to 64 letters, digits and dashes, for example a UUID");
  const onConflict = onConflictOf(context);
  if (onConflict !== "fail" && onConflict !== "supersede")
    return apiError("invalid", `on-conflict must be fail or supersede; found ${onConflict.slice(0, 100)}`);
  const bytesMax = context.env?.isRelayed === true ? RELAY_BODY_BYTES_MAX : SUBMISSION_BYTES_MAX;
  const bytes = await readBounded(context.req.raw.body, bytesMax);
  return bytes === null ? bodyTooLarge(bytesMax) : answer(deps, appName(name), bytes, context);
}

/** `?submission=`: the same each time that it is said again. */
function submissionOf({ req }: Context<ApiEnv>): string | undefined {
  return req.query("submission");
}

/** `?on-conflict=`: whether it takes the place of a rollout that runs. */
function onConflictOf({ req }: Context<ApiEnv>): string {
  return req.query("on-conflict") ?? "fail";
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
  if (deploys !== null) return submit(deps, deploys, spec, context);
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
  return problem === null ? submit(deps, deploys, spec.value, context) : apiError("invalid", problem);
}

/** What stands in a record for an env that was put nowhere: a plan has no need of the values. */
const NO_ENV_HASH = envHash("0".repeat(64));

/** The same submission, of which nothing is kept: it is only said what would come of it. */
async function plan(
  deps: ApiDeps,
  name: AppName,
  bytes: Uint8Array,
  context: Context<ApiEnv>,
): Promise<Response> {
  const isRelayed = context.env?.isRelayed === true;
  const parsed = isRelayed ? parseSpec(name, parseJson(bytes)?.json) : parseSubmission(name, bytes);
  if (!parsed.ok) return apiError("invalid", parsed.error);
  const { env = {}, ...rest } = parsed.value;
  const ref = { hash: NO_ENV_HASH, host: deps.self.host };
  const spec = withEnv(rest, Object.keys(env).length === 0 ? undefined : ref);
  const deploys = deps.deploys();
  if (deploys === null) return relayToVoter(deps, context, new TextEncoder().encode(JSON.stringify(spec)));
  const result = await deploys.plan(spec);
  return result.code === "planned" ? Response.json(result.plan) : submitted(result);
}

async function submit(
  deps: ApiDeps,
  deploys: Deploys,
  spec: AppSpec,
  context: Context<ApiEnv>,
): Promise<Response> {
  const fetched = await deps.fetchBundle(spec.bundle.hash, context.req.raw.signal);
  if (!fetched.ok) return apiError("unavailable", `the bundle is not to be had: ${fetched.error}`);
  const how = { submission: submissionOf(context), supersedes: onConflictOf(context) === "supersede" };
  return submitted(await deploys.submit(spec, how));
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
