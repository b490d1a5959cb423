// Drain answers: what an agent tells of a host that is drained must look like this before a command believes it.

import { type ZodType, z } from "zod";
import type { DrainView } from "../deploy/drain-view.ts";
import { appViewShape } from "./answers.ts";

// Names are branded in ours; an agent's word for them is only ever printed here.
export const drainViewShape: ZodType<DrainView> = z.looseObject({
  host: z.string(),
  use: z.enum(["open", "cordoned", "draining"]),
  connected: z.boolean(),
  empty: z.boolean(),
  apps: z.array(
    z.looseObject({
      app: z.string(),
      vms: z.array(z.string()),
      state: z.enum(["moves", "due", "waits", "stuck"]),
      why: z.string(),
      advice: z.string().nullable(),
      rollout: z.string().nullable(),
      inMs: z.number().nullable(),
      view: appViewShape.nullable(),
    }),
  ),
}) as unknown as ZodType<DrainView>;
