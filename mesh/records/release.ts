// Release: what is deployed, immutable: the packed folder, the command, how to check and how to stop it.

import { type ZodType, z } from "zod";
import type { BundleHash, EnvHash, MemberName } from "../core/ids.ts";
import { type VolumeSpec, volumesShape } from "./home.ts";
import { CUTOVERS, type Cutover, STRATEGY_NAMES } from "./rollout-words.ts";
import { bundleHashShape, countShape, envHashShape, memberNameShape, millisecondsShape } from "./shapes.ts";

/** Healthy at the first pass, also within grace; unhealthy after `CHECK_FAILURES_MAX` failures in a row after it. */
export interface Check {
  readonly type: "http" | "tcp";
  /** Of an http check: GET this, 2xx or 3xx passes. "/" for tcp, where it is not used. */
  readonly path: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Failures within this time of the VM's start do not count. */
  readonly gracePeriodMs: number;
}

export const CHECK_FAILURES_MAX: number = 3;

export interface StopSpec {
  /** "SIGTERM" and the like. */
  readonly signal: string;
  /** After this SIGKILL follows. */
  readonly timeoutMs: number;
}

export interface CanarySpec {
  /** Percents of the requests that the new release gets, one after the other, each higher than the one before. */
  readonly weights: readonly number[];
  /** Each weight stays for so long at least. */
  readonly bakeMs: number;
  /** And until each of the two releases answered so many. */
  readonly minRequests: number;
}

export const CANARY_WEIGHTS_MAX = 10;
export const CANARY_REQUESTS_MAX = 1_000_000;

/** What one proxy keeps of one app while its requests are held. What is over a bound is answered 503 at once. */
export interface HoldSpec {
  /** From the arrival of a request on: older than that it is answered 503. */
  readonly maxAgeMs: number;
  readonly maxRequests: number;
  /** Of the bodies that are kept. */
  readonly maxBytes: number;
}

export const HOLD_DEFAULTS: HoldSpec = { maxAgeMs: 30_000, maxRequests: 10_000, maxBytes: 64 * 1024 * 1024 };

/** Of an app that may sleep: no VM of it runs while nobody asks for it, and a request wakes it. */
export interface IdleSpec {
  /** No request came or ran for so long, at any proxy. */
  readonly afterMs: number;
}

export interface DeploySpec {
  readonly strategy: (typeof STRATEGY_NAMES)[number];
  /** What still runs on an old VM then is cut, and said. */
  readonly drainTimeoutMs: number;
  /** Without progress for so long a rollout returns to old. */
  readonly waitTimeoutMs: number;
  /** Rolling: VMs above `count` while it runs. A whole number counts, one between 0 and 1 is a share of `count`, rounded up. Default 1. */
  readonly maxSurge?: number;
  /** Rolling: VMs below `count` that may be missing while it runs, as `maxSurge`, rounded down. Default 0. */
  readonly maxUnavailable?: number;
  /** A started VM counts only once it was healthy for so long. Default 0. */
  readonly minHealthyMs?: number;
  /** Share of the proxies whose answers end a step that only adds, above 0 and below 1. Default: all. */
  readonly ackQuorum?: number;
  /** A proxy that has not acknowledged a step that only adds for so long is excluded from such steps. Default: never. */
  readonly excludeSilentAfterMs?: number;
  /** Bluegreen: `manual` waits for a person's `promote`. Default `auto`. */
  readonly approval?: "auto" | "manual";
  /** Bluegreen: the old VMs are kept, cordoned, for so long after the end. Default 0. */
  readonly keepOldMs?: number;
  /** Of a canary, always there. */
  readonly canary?: CanarySpec;
  /** Program and arguments, run once before anything else of a deploy, in a VM of its own. Default: nothing is. */
  readonly releaseCommand?: readonly string[];
  /** Default `fast`: each proxy changes over as it learns. */
  readonly cutover?: Cutover;
  /** Pinned: for so long after its navigation a page has its release. Default `PIN_MAX_AGE_MS`. */
  readonly pinMaxAgeMs?: number;
  /** Of `releaseCommand`, always beside it: still running then, it is stopped, and the deploy fails. */
  readonly releaseCommandTimeoutMs?: number;
}

/**
 * What every member may know of a release's env. The values are nobody's but of the hosts that run it, and of the one where it was
 * submitted: they travel there alone (`node/releases/envs.ts`).
 */
export interface EnvRef {
  /** Over a random salt, which travels with the values, and the values: who has not both cannot try values until they fit. */
  readonly hash: EnvHash;
  /** Where it was submitted: that host has it while a record names the release. */
  readonly host: MemberName;
}

/** What a person submits: a validated app file, with its folder packed, and its env put aside. */
export interface AppSpec {
  readonly name: string;
  readonly hostnames: readonly string[];
  /** VMs that shall run, 1 or more. */
  readonly count: number;
  readonly command: readonly string[];
  /** Absent: no variables of its own. */
  readonly env?: EnvRef;
  readonly checks: readonly Check[];
  readonly stop: StopSpec;
  readonly deploy: DeploySpec;
  readonly bundle: { readonly hash: BundleHash; readonly bytes: number };
  /** Absent: `HOLD_DEFAULTS`. */
  readonly hold?: HoldSpec;
  /** Absent: it never sleeps. */
  readonly idle?: IdleSpec;
  /** Its VMs are dialled by proxies themselves, past the gates of their hosts. Absent: through the gates. */
  readonly gate?: "off";
  /** Two VMs of it never run at once. Absent: as the strategy has it. */
  readonly exclusive?: true;
  /** Directories of its own on the host where it runs, which outlive its VMs. Absent: none. */
  readonly volumes?: readonly VolumeSpec[];
  /** A VM is killed by its own host so long after a majority of the voters was last asked for it. Absent: it runs on, whoever is reached. */
  readonly fence?: { readonly leaseMs: number };
}

/** Requests to its VMs go through the gates of their hosts, where those have one. */
export function isGated({ gate }: AppSpec): boolean {
  return gate !== "off";
}

/** What a proxy keeps of an app while its requests are held: as its file says, or the defaults. */
export function holdSpecOf(spec: Pick<AppSpec, "hold"> | undefined): HoldSpec {
  return spec?.hold ?? HOLD_DEFAULTS;
}

/** Two VMs of it never run at once. */
export function isExclusive({
  deploy,
  exclusive,
  volumes = [],
}: Pick<AppSpec, "deploy" | "exclusive" | "volumes">): boolean {
  return exclusive === true || volumes.length > 0 || deploy.strategy === "handoff";
}

/** An `AppSpec` that got its number. */
export interface Release {
  /** v1, v2, …: grows with each deploy of the app, never used twice. */
  readonly number: number;
  /** SHA-256 over the spec in canonical form: two submissions with one hash are the same spec. */
  readonly specHash: string;
  readonly spec: AppSpec;
  /** Who submitted it named the submission so: said again, also after its end, it is this release. */
  readonly submission?: string;
  /** VMs named so far: the next is `APP-vNUMBER-(vmsNamed + 1)`. */
  readonly vmsNamed: number;
  /** Clock of the agent that took it, milliseconds since 1970: for people. */
  readonly submittedAtMs: number;
  /**
   * It was the whole app once, and nobody went back from it: `rollback` goes to the last of those. Absent: it never was, the app went back
   * from it, or a record of an earlier cut says nothing of it.
   */
  readonly served?: true;
}

const checkShape: ZodType<Check> = z.strictObject({
  type: z.enum(["http", "tcp"]),
  path: z.string().max(1024),
  intervalMs: millisecondsShape,
  timeoutMs: millisecondsShape,
  gracePeriodMs: millisecondsShape,
});

/** A count, or a share between 0 and 1. */
const quantityShape = z
  .number()
  .min(0)
  .max(100)
  .refine((value) => Number.isInteger(value) || value < 1, "neither a count nor a share");

/** Also what a record of an earlier cut runs into, which had the values themselves. */
const envRefText = "is not a hash and a host: an earlier release of Grapevine wrote it; deploy the app anew";

export const envRefShape: ZodType<EnvRef> = z.strictObject(
  { hash: envHashShape, host: memberNameShape },
  envRefText,
);

const canaryShape: ZodType<CanarySpec> = z.strictObject({
  weights: z.array(z.number().int().min(1).max(99)).min(1).max(CANARY_WEIGHTS_MAX),
  bakeMs: millisecondsShape,
  minRequests: z.number().int().min(1).max(CANARY_REQUESTS_MAX),
});

const holdSpecShape: ZodType<HoldSpec> = z.strictObject({
  maxAgeMs: millisecondsShape,
  maxRequests: countShape,
  maxBytes: countShape,
});

const commandShape = z.array(z.string().max(4096)).min(1).max(64);

export const appSpecShape: ZodType<AppSpec> = z.strictObject({
  name: z.string(),
  hostnames: z.array(z.string().max(253)).max(32),
  count: z.number().int().min(1).max(100),
  command: commandShape,
  env: z.exactOptional(envRefShape),
  checks: z.array(checkShape).max(8),
  stop: z.strictObject({ signal: z.string().max(20), timeoutMs: millisecondsShape }),
  deploy: z.strictObject({
    strategy: z.enum(STRATEGY_NAMES),
    drainTimeoutMs: millisecondsShape,
    waitTimeoutMs: millisecondsShape,
    maxSurge: z.exactOptional(quantityShape),
    maxUnavailable: z.exactOptional(quantityShape),
    minHealthyMs: z.exactOptional(millisecondsShape),
    ackQuorum: z.exactOptional(z.number().gt(0).lt(1)),
    excludeSilentAfterMs: z.exactOptional(millisecondsShape),
    approval: z.exactOptional(z.enum(["auto", "manual"])),
    keepOldMs: z.exactOptional(millisecondsShape),
    canary: z.exactOptional(canaryShape),
    releaseCommand: z.exactOptional(commandShape),
    releaseCommandTimeoutMs: z.exactOptional(millisecondsShape),
    cutover: z.exactOptional(z.enum(CUTOVERS)),
    pinMaxAgeMs: z.exactOptional(millisecondsShape),
  }),
  bundle: z.strictObject({ hash: bundleHashShape, bytes: countShape }),
  hold: z.exactOptional(holdSpecShape),
  idle: z.exactOptional(z.strictObject({ afterMs: millisecondsShape })),
  gate: z.exactOptional(z.literal("off")),
  exclusive: z.exactOptional(z.literal(true)),
  volumes: z.exactOptional(volumesShape),
  fence: z.exactOptional(z.strictObject({ leaseMs: millisecondsShape })),
});

/** Random, as a UUID is: two submissions never have the same by accident. */
export const submissionShape: ZodType<string> = z.string().regex(/^[A-Za-z0-9-]{16,64}$/);

export const releaseShape: ZodType<Release> = z.strictObject({
  number: countShape,
  specHash: z.string().max(64),
  spec: appSpecShape,
  submission: z.exactOptional(submissionShape),
  vmsNamed: countShape,
  submittedAtMs: z.number(),
  served: z.exactOptional(z.literal(true)),
});
