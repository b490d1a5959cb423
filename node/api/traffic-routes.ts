// Traffic routes: what a person asks of an app between and within its deploys: a split of its requests, a way back, more VMs.

import type { Context } from "hono";
import { z } from "zod";
import type { AppName, Weights } from "../../mesh/index.ts";
import type { Deploys } from "../deploy/deploys.ts";
import { apiError, bodyTooLarge, parseJson, readBounded } from "./answer.ts";
import type { ApiEnv } from "./ports.ts";
import { RELAY_BODY_BYTES_MAX } from "./relay.ts";
import { submitted } from "./submitted.ts";

const weightsShape = z.strictObject({
  weights: z.record(z.string().regex(/^v[1-9]\d{0,9}$/), z.number().int().min(0).max(100)),
});

const NO_WEIGHTS = 'the body must be whole percents by release, {"weights": {"v1": 90, "v2": 10}}';

/** Whether they sum to 100, and who of them can serve, the record says. */
export async function setTraffic(
  deploys: Deploys,
  app: AppName,
  context: Context<ApiEnv>,
): Promise<Response> {
  const bytes = await readBounded(context.req.raw.body, RELAY_BODY_BYTES_MAX);
  if (bytes === null) return bodyTooLarge(RELAY_BODY_BYTES_MAX);
  const read = weightsShape.safeParse(parseJson(bytes)?.json);
  if (!read.success) return apiError("invalid", NO_WEIGHTS);
  const weights: Weights = Object.entries(read.data.weights).map(([release, weight]) => {
    return { release: Number(release.slice(1)), weight };
  });
  return submitted(await deploys.setTraffic({ app, weights }));
}

const countShape = z.strictObject({ count: z.number() });

/** Which counts there can be, and what to say in place of 0, the core says. */
export async function scale(deploys: Deploys, app: AppName, context: Context<ApiEnv>): Promise<Response> {
  const bytes = await readBounded(context.req.raw.body, RELAY_BODY_BYTES_MAX);
  if (bytes === null) return bodyTooLarge(RELAY_BODY_BYTES_MAX);
  const read = countShape.safeParse(parseJson(bytes)?.json);
  if (!read.success) return apiError("invalid", 'the body must be a count of VMs, {"count": 3}');
  return submitted(await deploys.scale({ app, count: read.data.count }));
}

export async function rollback(deploys: Deploys, app: AppName, context: Context<ApiEnv>): Promise<Response> {
  const named = context.req.query("to");
  const [, number] = /^v([1-9]\d{0,9})$/.exec(named ?? "") ?? [];
  if (named !== undefined && number === undefined)
    return apiError("invalid", `"to" must name a release, for example v7; found ${named.slice(0, 100)}`);
  return submitted(await deploys.rollback({ app, to: number === undefined ? null : Number(number) }));
}
