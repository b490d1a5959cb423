// Demand message: of apps that may sleep, what a proxy says of who asks for them: that nobody does for a while, and that somebody does again.
// Told to every voter, since any of them may drive the app. While requests come and go it says nothing, and silence never counts as quiet.

import { type ZodType, z } from "zod";
import type { AppName, MemberName } from "../core/ids.ts";
import { appNameShape, countShape, memberNameShape } from "./shapes.ts";

/** The `tell` topic that carries `DemandMessage`. */
export const DEMAND_TOPIC = "demand";

/** A state: a later one of the same proxy replaces it whole. */
export interface Demand {
  readonly app: AppName;
  /** Requests that this proxy keeps because the app sleeps: it is to wake. */
  readonly wanted: number;
  /** Since its last request came or ended, milliseconds; null: one is under way. A proxy that has just started knows of none before. */
  readonly quietMs: number | null;
}

export interface DemandMessage {
  readonly format: 1;
  readonly proxy: MemberName;
  readonly demands: readonly Demand[];
}

/** In one message: of more apps more messages are sent. 500 are 30 KB. */
export const DEMANDS_PER_MESSAGE_MAX: number = 500;
/** How often a proxy repeats that it keeps requests of an app that sleeps: a message may be lost, a driver have started anew. */
export const WANTED_REPEAT_MS: number = 100;
/** The same of an app that nobody asks for. */
export const QUIET_REPEAT_MS: number = 5_000;
/** For so long it counts: some may be lost. */
export const QUIET_KEPT_MS: number = 2.5 * QUIET_REPEAT_MS;

export const demandMessageShape: ZodType<DemandMessage> = z.strictObject({
  format: z.literal(1),
  proxy: memberNameShape,
  demands: z
    .array(
      z.strictObject({
        app: appNameShape,
        wanted: countShape,
        quietMs: z.number().min(0).nullable(),
      }),
    )
    .max(DEMANDS_PER_MESSAGE_MAX),
});
