// Canary message: what a proxy counted of an app's releases while a canary bakes, told to every voter as acks are, again and again.

import { type ZodType, z } from "zod";
import type { AppName, MemberName } from "../core/ids.ts";
import { RELEASES_MAX } from "./app.ts";
import { type ReleaseCounts, WAIT_BOUNDS_MS } from "./canary.ts";
import { appNameShape, countShape, memberNameShape } from "./shapes.ts";

/** The `tell` topic that carries `CanaryMessage`. */
export const CANARY_TOPIC = "canary";

/** What one proxy counted in one `bake` step. A state: a later one replaces an earlier one of the same start whole. */
export interface CanaryCounts {
  readonly app: AppName;
  /** Of the rollout, and its step: counts of another are of no use. */
  readonly rollout: string;
  readonly step: number;
  readonly releases: readonly ReleaseCounts[];
}

export interface CanaryMessage {
  readonly format: 1;
  readonly proxy: MemberName;
  /** Random, of this start of the proxy: counts of two starts add up. */
  readonly startId: string;
  readonly counts: readonly CanaryCounts[];
}

/** In one message: of more apps more messages are sent. 200 of two releases are 60 KB. */
export const CANARIES_PER_MESSAGE_MAX: number = 200;

const releaseCountsShape: ZodType<ReleaseCounts> = z.strictObject({
  release: countShape,
  requests: countShape,
  errors: countShape,
  waits: z.array(countShape).length(WAIT_BOUNDS_MS.length + 1),
});

export const canaryMessageShape: ZodType<CanaryMessage> = z.strictObject({
  format: z.literal(1),
  proxy: memberNameShape,
  startId: z.string().min(1).max(32),
  counts: z
    .array(
      z.strictObject({
        app: appNameShape,
        rollout: z.string().max(128),
        step: countShape,
        releases: z.array(releaseCountsShape).max(RELEASES_MAX),
      }),
    )
    .max(CANARIES_PER_MESSAGE_MAX),
});
