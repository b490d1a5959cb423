// vm/NAME: what the host of a VM observed of it. Believed only from the host that the app's record names.

import { type ZodType, z } from "zod";
import type { AppName, MemberName, VmName } from "../core/ids.ts";
import { appNameShape, countShape, memberNameShape, portShape, vmNameShape } from "./shapes.ts";

export const VM_PREFIX = "vm/";

export function vmKey(vm: VmName): string {
  return `${VM_PREFIX}${vm}`;
}

/**
 * - `preparing`: its bundle is being fetched and unpacked.
 * - `prepared`: all that its start needs is here, and nothing of it runs: the record wants no more yet, or another VM of its app, which
 *   never runs twice, has not ended.
 * - `running`: its process runs; `health` says whether its checks pass.
 * - `stopping`: it got its stop signal and has until the stop deadline.
 * - `exited`: its process ended by itself; the host starts it again, with backoff, while the record wants it.
 * - `failed`: it could not be started at all (command not found, bundle not to be had).
 * A VM that was stopped because no record wants it has no entry: its host deletes it once the process is gone.
 */
const VM_STATES = ["preparing", "prepared", "running", "stopping", "exited", "failed"] as const;
export type VmState = (typeof VM_STATES)[number];

/** `unknown` until the first verdict: within the grace period failures do not count. */
const VM_HEALTHS = ["unknown", "healthy", "unhealthy"] as const;
export type VmHealth = (typeof VM_HEALTHS)[number];

/** Lines of a VM's output that travel with a failure. */
export const VM_LAST_LINES_MAX: number = 20;
/** One such line is cut here. */
export const VM_LINE_CHARS_MAX: number = 500;

export interface VmEntry {
  readonly format: 1;
  readonly vm: VmName;
  readonly app: AppName;
  readonly release: number;
  readonly host: MemberName;
  readonly state: VmState;
  readonly health: VmHealth;
  /** Where proxies dial it; null until it runs. */
  readonly address: { readonly host: string; readonly port: number } | null;
  /** How its last process ended; null if none did. A code or a signal; both null when it could not be learned. */
  readonly exit: { readonly code: number | null; readonly signal: string | null } | null;
  /** Why it is unhealthy, exited or failed, for people; null otherwise. */
  readonly reason: string | null;
  /** The last lines of its output, oldest first, when it exited, failed or is unhealthy; else empty. */
  readonly lastLines: readonly string[];
  /** How often its host started it again. */
  readonly restarts: number;
  /** Clock of its host, milliseconds since 1970: for people, never for a decision. */
  readonly startedAtMs: number | null;
  readonly healthyAtMs: number | null;
  /** Its process was started where only the gate of its host reaches it. Absent: proxies may have dialled it themselves. */
  readonly gated?: true;
}

/** Of a VM of which nothing is known yet but that it is wanted. */
export function newVmEntry(of: Pick<VmEntry, "vm" | "app" | "release" | "host">): VmEntry {
  return {
    format: 1,
    ...of,
    state: "preparing",
    health: "unknown",
    address: null,
    exit: null,
    reason: null,
    lastLines: [],
    restarts: 0,
    startedAtMs: null,
    healthyAtMs: null,
  };
}

export const vmEntryShape: ZodType<VmEntry> = z.strictObject({
  format: z.literal(1),
  vm: vmNameShape,
  app: appNameShape,
  release: countShape,
  host: memberNameShape,
  state: z.enum(VM_STATES),
  health: z.enum(VM_HEALTHS),
  address: z.strictObject({ host: z.string().min(1).max(255), port: portShape }).nullable(),
  exit: z
    .strictObject({ code: z.number().int().nullable(), signal: z.string().max(20).nullable() })
    .nullable(),
  reason: z.string().max(1000).nullable(),
  lastLines: z.array(z.string().max(VM_LINE_CHARS_MAX)).max(VM_LAST_LINES_MAX),
  restarts: countShape,
  startedAtMs: z.number().nullable(),
  healthyAtMs: z.number().nullable(),
  gated: z.exactOptional(z.literal(true)),
});
