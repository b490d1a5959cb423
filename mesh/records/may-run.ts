// May run: of an app of which two VMs never run at once, what left its record and may run still. It is written down in the very commit by
// which a VM leaves, so that whoever drives later, and knows nothing else of that VM, starts no other one beside it.

import { type ZodType, z } from "zod";
import type { AppName, MemberName, VmName } from "../core/ids.ts";
import { appNameShape, countShape, memberNameShape, vmNameShape } from "./shapes.ts";

/** All of one host: it is over once that host confirms this epoch, and nothing there of the app that the record does not name. */
export interface MayRun {
  readonly host: MemberName;
  /** The last by which one of them left. */
  readonly epoch: number;
  /** The last few, for people. */
  readonly vms: readonly VmName[];
  /** None of them runs longer than for so long after that commit, whoever can be reached. Absent: nobody can say so. */
  readonly leaseMs?: number;
}

/** Names that are kept of one host. */
export const MAY_RUN_VMS_MAX = 8;
/** Hosts of one app of which none has confirmed: more than one loses before somebody looks. */
export const MAY_RUN_HOSTS_MAX = 64;

/** What a host confirms of an app by its entry: it starts nothing of it any more but what a record of this epoch or a later one names. */
export interface AloneStanding {
  readonly app: AppName;
  readonly epoch: number;
  /** VMs of the app that run there, or may. */
  readonly vms: readonly VmName[];
}

/** Apps of which one host confirms something: those that wait for its word. */
export const ALONE_STANDINGS_MAX = 256;

export const mayRunShape: ZodType<readonly MayRun[]> = z
  .array(
    z.strictObject({
      host: memberNameShape,
      epoch: countShape,
      vms: z.array(vmNameShape).max(MAY_RUN_VMS_MAX),
      leaseMs: z.exactOptional(countShape),
    }),
  )
  .max(MAY_RUN_HOSTS_MAX);

export const aloneShape: ZodType<readonly AloneStanding[]> = z
  .array(
    z.strictObject({ app: appNameShape, epoch: countShape, vms: z.array(vmNameShape).max(MAY_RUN_VMS_MAX) }),
  )
  .max(ALONE_STANDINGS_MAX);
