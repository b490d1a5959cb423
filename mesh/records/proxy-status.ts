// Proxy status: what any member asks of a proxy about its table in force: does it route to this VM, and if not, why not?

import { type ZodType, z } from "zod";
import type { AppName, VmName } from "../core/ids.ts";
import { appNameShape, countShape, vmNameShape } from "./shapes.ts";

/** Answers a `ProxyStatusRequest` with one `ProxyStatusAnswer`. */
export const PROXY_STATUS_SERVICE = "proxy-status";

export interface ProxyStatusRequest {
  readonly format: 1;
  /** null: of the proxy alone. */
  readonly vm: VmName | null;
}

export interface VmRouting {
  /** It is in the table in force: requests may be sent there. */
  readonly isRouted: boolean;
  /** Of its app in the table in force; 0: none. */
  readonly epoch: number;
  readonly app: AppName | null;
  /** Why not, or what keeps requests away all the same; "": nothing does. For people. */
  readonly why: string;
}

export interface ProxyStatusAnswer {
  readonly format: 1;
  /** Its listener is open. */
  readonly serving: boolean;
  /** It serves what it knew before a crash: no voter has admitted it since. */
  readonly stale: boolean;
  readonly serial: number;
  readonly vm: VmRouting | null;
}

export const proxyStatusRequestShape: ZodType<ProxyStatusRequest> = z.strictObject({
  format: z.literal(1),
  vm: vmNameShape.nullable(),
});

export const proxyStatusAnswerShape: ZodType<ProxyStatusAnswer> = z.strictObject({
  format: z.literal(1),
  serving: z.boolean(),
  stale: z.boolean(),
  serial: countShape,
  vm: z
    .strictObject({
      isRouted: z.boolean(),
      epoch: countShape,
      app: appNameShape.nullable(),
      why: z.string().max(2_000),
    })
    .nullable(),
});
