// Drain answers: what an agent tells of a host that is drained must look like this before a command believes it.

import type { DrainView } from "../deploy/drain-view.ts";
import { appViewShape } from "./answers.ts";
import { type Shape, s } from "./shape.ts";

// Names are branded in ours; an agent's word for them is only ever printed here.
export const drainViewShape: Shape<DrainView> = s.object({
  host: s.string(),
  use: s.enum(["open", "cordoned", "draining"]),
  connected: s.boolean(),
  empty: s.boolean(),
  apps: s.array(
    s.object({
      app: s.string(),
      vms: s.array(s.string()),
      state: s.enum(["moves", "due", "waits", "stuck"]),
      why: s.string(),
      advice: s.string().nullable(),
      rollout: s.string().nullable(),
      inMs: s.number().nullable(),
      view: appViewShape.nullable(),
    }),
  ),
}) as unknown as Shape<DrainView>;
