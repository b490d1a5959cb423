// Fence: a person's word about a host, in the record of an app.

import { type ZodType, z } from "zod";
import type { MemberName } from "../core/ids.ts";
import type { Start } from "../core/version.ts";
import { memberNameShape, startShape } from "./shapes.ts";

/**
 * A person's word that a host is off: its gate is not waited for, and its VMs count as stopped. It is about one start of its agent,
 * the one that was lost: when the host is connected again, or has started anew, it is over.
 */
export interface Fence {
  readonly host: MemberName;
  readonly start: Start;
  /** Clock of the agent that was told, milliseconds since 1970: for people. */
  readonly atMs: number;
  /** Said with `--force-unsafe`: nobody knows that it is off. */
  readonly unsafe?: true;
}

/** What is kept of one in the report of a step. */
export type FenceReport = Pick<Fence, "host" | "atMs" | "unsafe">;

/** More hosts than one loses and fences by hand. */
export const FENCES_MAX: number = 64;

export const fenceShape: ZodType<Fence> = z.strictObject({
  host: memberNameShape,
  start: startShape,
  atMs: z.number(),
  unsafe: z.exactOptional(z.literal(true)),
});

export const fenceReportsShape: ZodType<readonly FenceReport[]> = z
  .array(
    z.strictObject({ host: memberNameShape, atMs: z.number(), unsafe: z.exactOptional(z.literal(true)) }),
  )
  .max(FENCES_MAX);
