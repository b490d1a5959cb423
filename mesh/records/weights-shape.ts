// Weights shape: what weights must look like in a record before anybody believes them.

import { type ZodType, z } from "zod";
import { countShape } from "./shapes.ts";
import { WEIGHTS_SUM, type Weights, weightsFault } from "./weights.ts";

/** More than a record has releases. */
const WEIGHTS_MAX = 8;

export const weightsShape: ZodType<Weights> = z
  .array(z.strictObject({ release: countShape, weight: z.number().int().min(0).max(WEIGHTS_SUM) }))
  .min(1)
  .max(WEIGHTS_MAX)
  .refine((weights) => weightsFault(weights) === null, "name each release once and sum to 100");
