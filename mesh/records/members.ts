// host/NAME and proxy/NAME: what a host agent and a proxy agent say of themselves. Written once at their start.

import { type ZodType, z } from "zod";
import type { MemberName } from "../core/ids.ts";
import { type AloneStanding, aloneShape } from "./may-run.ts";
import { countShape, memberNameShape, portShape } from "./shapes.ts";

export const HOST_PREFIX = "host/";
export const PROXY_PREFIX = "proxy/";

export function hostKey(host: MemberName): string {
  return `${HOST_PREFIX}${host}`;
}
export function proxyKey(proxy: MemberName): string {
  return `${PROXY_PREFIX}${proxy}`;
}

export interface HostEntry {
  readonly format: 1;
  readonly host: MemberName;
  readonly region: string;
  readonly labels: Readonly<Record<string, string>>;
  /** URL of its HTTP API, as reached on that host itself. */
  readonly api: string;
  readonly pid: number;
  /** It keeps registers. */
  readonly voter: boolean;
  /** Where proxies reach the gate before its VMs. Absent: it has none, they dial the VMs themselves. */
  readonly gate?: { readonly host: string; readonly port: number };
  /** A person said that nothing new is placed here. */
  readonly cordoned?: boolean;
  /** A person said that what runs here shall run elsewhere; only of one that is cordoned. */
  readonly draining?: boolean;
  /** VMs that can run here at once. */
  readonly capacity?: number;
  /** Of apps whose records say that something may run here still. Absent: it confirms nothing of the kind. */
  readonly alone?: readonly AloneStanding[];
}

/** A proxy that has this entry is registered: it is in the ack set of every step that is committed from then on. */
export interface ProxyEntry {
  readonly format: 1;
  readonly proxy: MemberName;
  readonly region: string;
  readonly labels: Readonly<Record<string, string>>;
  /** URL at which clients reach it. */
  readonly http: string;
  /** URL of its admin API, as reached on that host itself. */
  readonly admin: string;
  readonly pid: number;
}

const labelsShape = z.record(z.string().max(63), z.string().max(255));

export const hostEntryShape: ZodType<HostEntry> = z.strictObject({
  format: z.literal(1),
  host: memberNameShape,
  region: z.string().max(63),
  labels: labelsShape,
  api: z.string().max(255),
  pid: z.number().int(),
  voter: z.boolean(),
  gate: z.exactOptional(z.strictObject({ host: z.string().min(1).max(255), port: portShape })),
  cordoned: z.exactOptional(z.boolean()),
  draining: z.exactOptional(z.boolean()),
  capacity: z.exactOptional(countShape),
  alone: z.exactOptional(aloneShape),
});

export const proxyEntryShape: ZodType<ProxyEntry> = z.strictObject({
  format: z.literal(1),
  proxy: memberNameShape,
  region: z.string().max(63),
  labels: labelsShape,
  http: z.string().max(255),
  admin: z.string().max(255),
  pid: z.number().int(),
});
