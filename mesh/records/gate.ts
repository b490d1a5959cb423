// Gate: what a gate and its agent say to each other over their link, and what the gate confirms to the voters.

import { type ZodType, z } from "zod";
import type { HistogramView } from "../core/histogram.ts";
import type { AppName, MemberName, VmName } from "../core/ids.ts";
import { APP_VMS_MAX } from "./app.ts";
import { appNameShape, countShape, memberNameShape, portShape, vmNameShape } from "./shapes.ts";

/**
 * Where a gate stands on one app. A state, not an event: a later one replaces an earlier one whole, so that a lost or repeated one
 * does no harm.
 */
export interface GateStanding {
  readonly app: AppName;
  /**
   * The record of this epoch is on the gate's disk: a VM of its host to which that sends nothing gets no request any more, whoever
   * asks, also after a restart; until a later record says otherwise.
   */
  readonly epoch: number;
  /** VMs that were closed, with requests that still run there. One that is not named here has none. */
  readonly inFlight: readonly { readonly vm: VmName; readonly requests: number }[];
  /** Proxies of its host that keep it from confirming what its disk has, for people; not there: none. */
  readonly awaits?: readonly string[];
  /** A later record is in force there and cannot be written down: why, for people. Absent: none is, or it is on its way. */
  readonly fault?: string;
}

/** The `tell` topic that carries `GateMessage`. */
export const GATE_TOPIC = "gate";

/** What a host's agent tells every voter of what its gate confirms. */
export interface GateMessage {
  readonly format: 1;
  readonly host: MemberName;
  readonly standings: readonly GateStanding[];
}

/** Of a fault, in characters: it is a disk's word. */
export const GATE_FAULT_CHARS_MAX: number = 300;
/**
 * Signed entries of one app's VMs that go with a refusal: a host of a thousand entries takes 35 KB, so thirty of those. What is above it is
 * left off, whole hosts, those of VMs that serve come first: of them a proxy learns by the mesh, or of another gate.
 */
export const GATE_ENTRIES_BYTES_MAX: number = 1024 * 1024;
/** In one message: of more apps more messages are sent. */
export const GATE_STANDINGS_MAX: number = 200;
/** Proxies that keep a gate from confirming: more are not named. */
export const GATE_AWAITS_MAX: number = 32;
/** VMs of one host. */
const HOST_VMS_MAX = 10_000;

/** Where a VM of this host listens, as its driver placed it. */
export interface VmPlace {
  readonly vm: VmName;
  readonly app: AppName;
  readonly host: string;
  readonly port: number;
  /** It gets no request from then on, by `uptimeMs`: its lease is over. Absent: it has none. */
  readonly untilMs?: number;
}

/** What an agent tells its gate. */
export type ToGate =
  /** A link of the voter chain, in order. */
  | { readonly format: 1; readonly kind: "voter-link"; readonly link: Uint8Array }
  /** The value of an `app/*` entry. */
  | { readonly format: 1; readonly kind: "record"; readonly key: string; readonly value: Uint8Array }
  /** All VMs of the host that have an address. */
  | { readonly format: 1; readonly kind: "vms"; readonly vms: readonly VmPlace[] }
  /** All records that a majority of the voters had, at a moment after the gate said that it is blank, came before this. */
  | { readonly format: 1; readonly kind: "current" }
  /** The answer to `ask-entries` of that app: `proveEntries` of each host of its VMs, as far as they are known and there is room. */
  | {
      readonly format: 1;
      readonly kind: "entries";
      readonly app: AppName;
      readonly proofs: readonly Uint8Array[];
    };

/** What a gate tells its agent. */
export type ToAgent =
  /** First. `isBlank`: its disk knows nothing, it stays shut until `current`. */
  | {
      readonly format: 1;
      readonly kind: "hello";
      readonly cluster: string;
      readonly host: MemberName;
      readonly pid: number;
      readonly isBlank: boolean;
    }
  /** Of apps where it changed; of all after `hello`. */
  | { readonly format: 1; readonly kind: "standings"; readonly standings: readonly GateStanding[] }
  /** A proxy handed it in: the agent may not have it yet. */
  | { readonly format: 1; readonly kind: "record"; readonly key: string; readonly value: Uint8Array }
  /** A proxy lacks what is said of the VMs of this app. */
  | { readonly format: 1; readonly kind: "ask-entries"; readonly app: AppName }
  /** For the metrics, by name. */
  | {
      readonly format: 1;
      readonly kind: "counters";
      readonly counters: Readonly<Record<string, number>>;
      /** Of each VM that was closed: seconds until that was on disk. */
      readonly closings?: HistogramView;
    };

export const vmPlaceShape: ZodType<VmPlace> = z.strictObject({
  vm: vmNameShape,
  app: appNameShape,
  host: z.string().min(1).max(255),
  port: portShape,
  untilMs: z.exactOptional(countShape),
});

const bytesShape = z.instanceof(Uint8Array);
const format = z.literal(1);
const recordShape = z.strictObject({ format, kind: z.literal("record"), key: z.string(), value: bytesShape });

/** Of the hosts of one app's VMs. */
export const gateProofsShape: ZodType<readonly Uint8Array[]> = z.array(bytesShape).max(APP_VMS_MAX);

export const toGateShape: ZodType<ToGate> = z.discriminatedUnion("kind", [
  z.strictObject({ format, kind: z.literal("voter-link"), link: bytesShape }),
  recordShape,
  z.strictObject({
    format,
    kind: z.literal("vms"),
    vms: z.array(vmPlaceShape).max(HOST_VMS_MAX),
  }),
  z.strictObject({ format, kind: z.literal("current") }),
  z.strictObject({ format, kind: z.literal("entries"), app: appNameShape, proofs: gateProofsShape }),
]);

const standingsShape: ZodType<readonly GateStanding[]> = z
  .array(
    z.strictObject({
      app: appNameShape,
      epoch: countShape,
      inFlight: z.array(z.strictObject({ vm: vmNameShape, requests: countShape })).max(APP_VMS_MAX),
      awaits: z.exactOptional(z.array(z.string().max(512)).max(GATE_AWAITS_MAX)),
      fault: z.exactOptional(z.string().max(GATE_FAULT_CHARS_MAX)),
    }),
  )
  .max(GATE_STANDINGS_MAX);

export const gateMessageShape: ZodType<GateMessage> = z.strictObject({
  format,
  host: memberNameShape,
  standings: standingsShape,
});

/** Far more than there are. */
const BUCKETS_MAX = 64;
const sizesShape = z.array(z.number().nonnegative()).max(BUCKETS_MAX);
const histogramShape: ZodType<HistogramView> = z.strictObject({
  bounds: sizesShape,
  counts: sizesShape,
  sum: z.number().nonnegative(),
});

export const toAgentShape: ZodType<ToAgent> = z.discriminatedUnion("kind", [
  z.strictObject({
    format,
    kind: z.literal("hello"),
    cluster: z.string().max(255),
    host: memberNameShape,
    pid: countShape,
    isBlank: z.boolean(),
  }),
  z.strictObject({ format, kind: z.literal("standings"), standings: standingsShape }),
  recordShape,
  z.strictObject({ format, kind: z.literal("ask-entries"), app: appNameShape }),
  z.strictObject({
    format,
    kind: z.literal("counters"),
    counters: z.record(z.string().max(64), countShape),
    closings: z.exactOptional(histogramShape),
  }),
]);
