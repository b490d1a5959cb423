// Canary keys: [canary] of an app file: which shares of the requests a new release gets before it is the whole app, and for how long.

import { type ZodType, z } from "zod";
import {
  CANARY_REQUESTS_MAX,
  CANARY_WEIGHTS_MAX,
  type CanarySpec,
  type DeploySpec,
  durationShape,
  told,
} from "../../mesh/keys.ts";
import { type KeyProblem, notTable, upToAnHour } from "./key-shapes.ts";

/**
 * Of what is not written. Half a minute is longer than most VMs are slow for having just started. Fewer than 50 requests prove little:
 * three percent of errors are one or two of them.
 */
const CANARY_DEFAULT: CanarySpec = { weights: [5, 25, 50], bakeMs: 30_000, minRequests: 50 };

const weightsText = `must be 1 to ${CANARY_WEIGHTS_MAX} whole percents from 1 to 99, each higher than the one before, for example weights = [5, 25, 50]`;
const requestsText = `must be a whole number from 1 to ${CANARY_REQUESTS_MAX}, for example min_requests = 50`;

const isRising = (weights: readonly number[]) =>
  weights.every((weight, index) => index === 0 || weight > (weights[index - 1] ?? 0));

const weightsShape = z
  .array(z.int(weightsText).min(1, weightsText).max(99, weightsText), weightsText)
  .min(1, weightsText)
  .max(CANARY_WEIGHTS_MAX, weightsText)
  .refine(isRising, weightsText);

export const canaryShape: ZodType<CanarySpec> = z
  .strictObject(
    {
      weights: told(weightsShape.default([...CANARY_DEFAULT.weights]), {
        type: `1 to ${CANARY_WEIGHTS_MAX} rising percents, 1 to 99`,
        raised: "more requests meet a bad release before it is found",
        lowered: "a deploy has more steps, each with few requests to judge by",
      }),
      bake: told(durationShape({ ...upToAnHour, example: 'bake = "30s"' }).default(CANARY_DEFAULT.bakeMs), {
        raised: "a deploy takes that much longer with each weight",
        lowered: "what goes wrong only after a while is not seen",
      }),
      min_requests: told(
        z
          .int(requestsText)
          .min(1, requestsText)
          .max(CANARY_REQUESTS_MAX, requestsText)
          .default(CANARY_DEFAULT.minRequests),
        { raised: "a weight lasts until each release got so many", lowered: "fewer say less" },
      ),
    },
    { error: notTable("[canary] and below it weights = [5, 25, 50]") },
  )
  .transform(({ weights, bake, min_requests }) => ({ weights, bakeMs: bake, minRequests: min_requests }));

/** With what `[canary]` says, or its defaults where the strategy needs them. */
export function withCanary(deploy: DeploySpec, canary: CanarySpec | undefined = deploy.canary): DeploySpec {
  const given = canary ?? (deploy.strategy === "canary" ? CANARY_DEFAULT : undefined);
  return given === undefined ? deploy : { ...deploy, canary: given };
}

/** Null: nothing is wrong. */
export function canaryProblem({ strategy, canary }: DeploySpec): KeyProblem | null {
  const key = "canary";
  if (strategy !== "canary") {
    const message = 'is of strategy = "canary" alone: remove it, or write strategy = "canary" below [deploy]';
    return canary === undefined ? null : { key, message };
  }
  if (canary === undefined) return { key, message: "must be there with strategy canary" };
  const issue = weightsShape.safeParse(canary.weights).error?.issues[0];
  return issue === undefined ? null : { key: "canary.weights", message: issue.message };
}
