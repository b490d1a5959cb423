// Ack: a proxy's answer to an epoch, told to every voter over the standing stream and repeated for good.

import { type ZodType, z } from "zod";
import type { AppName, MemberName, VmName } from "../core/ids.ts";
import { APP_VMS_MAX } from "./app.ts";
import { appNameShape, countShape, memberNameShape, vmNameShape } from "./shapes.ts";

/** The `tell` topic that carries `AckMessage`. */
export const ACK_TOPIC = "ack";

/**
 * One proxy's standing on one app. It is a state, not an event: a later one replaces an earlier one whole, so that
 * a lost or repeated one does no harm.
 */
export interface Ack {
  readonly app: AppName;
  /** This epoch's table is in force here: every later dispatch uses it or a newer one. 0: none yet. */
  readonly applied: number;
  /**
   * This epoch is applied, and the serving VMs that it is about were dialled from here, now or earlier: of a `serve` step its
   * VMs, of a deploy's other steps those of the release that shall stay, else all. 0: none yet.
   */
  readonly verified: number;
  /** The newest epoch seen, when it is not applied or verified yet, and why: "cannot dial hello-v3-1 at …: timed out". */
  readonly nack: { readonly epoch: number; readonly reason: string } | null;
  /** VMs that the table in force does not route to, with requests still in flight here. A VM not named here is drained. */
  readonly inFlight: readonly { readonly vm: VmName; readonly requests: number }[];
  /** Requests that were cut at the drain deadline, by VM, since this proxy started; of VMs that left long ago not told. */
  readonly cut: readonly { readonly vm: VmName; readonly requests: number }[];
  /** From the first sight of the epoch here to the table in force, milliseconds; for people. */
  readonly applyMs: number;
  /** The last moment a request was sent to each VM that left the table, milliseconds since 1970 on this proxy's clock. */
  readonly lastDispatch: readonly { readonly vm: VmName; readonly atMs: number }[];
}

export interface AckMessage {
  readonly format: 1;
  readonly proxy: MemberName;
  /** Serial of the route table in force. */
  readonly serial: number;
  readonly acks: readonly Ack[];
}

const vmCount = z.array(z.strictObject({ vm: vmNameShape, requests: countShape })).max(APP_VMS_MAX);

export const ackMessageShape: ZodType<AckMessage> = z.strictObject({
  format: z.literal(1),
  proxy: memberNameShape,
  serial: countShape,
  acks: z
    .array(
      z.strictObject({
        app: appNameShape,
        applied: countShape,
        verified: countShape,
        nack: z.strictObject({ epoch: countShape, reason: z.string().max(1000) }).nullable(),
        inFlight: vmCount,
        cut: vmCount,
        applyMs: z.number(),
        lastDispatch: z.array(z.strictObject({ vm: vmNameShape, atMs: z.number() })).max(APP_VMS_MAX),
      }),
    )
    .max(2000),
});
