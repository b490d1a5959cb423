// app/NAME: the desired record of one app. What hosts and proxies reconcile towards; changed only through the register.

import { type ZodType, z } from "zod";
import type { AppName, MemberName, VmName } from "../core/ids.ts";
import type { Version } from "../core/version.ts";
import type { Result } from "../result.ts";
import { FENCES_MAX, type Fence, type FenceReport, fenceReportsShape, fenceShape } from "./fence.ts";
import { type Home, homeShape } from "./home.ts";
import { type MayRun, mayRunShape } from "./may-run.ts";
import { decodeRecord, encodeRecord } from "./record-codec.ts";
import { type HoldSpec, holdSpecOf, type Release, releaseShape } from "./release.ts";
import {
  HOLDERS,
  isUnderWay,
  ROLLOUT_KINDS,
  ROLLOUT_STATES,
  type RolloutKind,
  type RolloutState,
} from "./rollout-words.ts";
import { appNameShape, countShape, memberNameShape, versionShape, vmNameShape } from "./shapes.ts";
import { type AnswersReport, askedListShape, sparedListShape } from "./step-report.ts";
import type { Weights } from "./weights.ts";
import { weightsShape } from "./weights-shape.ts";

export const APP_PREFIX = "app/";

export function appKey(app: AppName): string {
  return `${APP_PREFIX}${app}`;
}

/** The app of an `app/*` key, or of the register of that name; null: it is none. */
export function appOfKey(key: string): AppName | null {
  return key.startsWith(APP_PREFIX) ? (key.slice(APP_PREFIX.length) as AppName) : null;
}

/**
 * What the record wants of a VM.
 * - `prepared`: have all at hand that its start needs, and run nothing of it.
 * - `starting`: run it, route nothing to it yet.
 * - `opening`: run it. The app's requests are held, and a proxy sends them there once the VM's host says that it is healthy, without another
 *   commit: whoever waits does not wait for that too.
 * - `standby`: run it, and be ready to route to it: proxies dial it, and of requests it gets those for a preview name alone
 *   (`preview.ts`).
 * - `serving`: run it and route to it.
 * - `cordoned`: leave it running, route nothing new to it, let what runs finish.
 * A VM that is not in the record is stopped by its host.
 */
const VM_PHASES = ["prepared", "starting", "opening", "standby", "serving", "cordoned"] as const;
export type VmPhase = (typeof VM_PHASES)[number];

export interface DesiredVm {
  readonly vm: VmName;
  readonly release: number;
  readonly host: MemberName;
  readonly phase: VmPhase;
  /** A proxy acknowledges this record only once it holds the VM's entry at this version or a newer one; null: no matter. */
  readonly requires: Version | null;
}

const STEP_KINDS = [
  "command",
  "prepare",
  "start",
  "standby",
  "approve",
  "serve",
  "weigh",
  "bake",
  "flip",
  "hold",
  "handover",
  "cordon",
  "stop",
] as const;

/** One gated move of a rollout. Its change was committed together with it; the next follows when what it waits for was observed. */
export interface RolloutStep {
  /** 1, 2, …, over both directions. */
  readonly number: number;
  /**
   * `command`: the release command, in a VM that is only here, ⇢ ended with code 0 · `prepare` ⇢ all that its start needs is at hand · `start` ⇢ healthy · `standby` ⇢ verified · `approve` ⇢ a person's `promote` · `serve` ⇢ verified · `flip`: `serves` serve and
   * `vms` are cordoned, in one commit, ⇢ as a cordon · `hold`: proxies keep the app's requests and
   * `vms` are cordoned, in one commit, ⇢ closed by their gates and drained · `handover`:
   * `vms` leave the record and `serves` are to run, in one commit, on one host, which starts these once nothing of those runs, ⇢ gone, and healthy · `weigh`: requests are split by `weights`, `serves` come into routing for it and
   * `vms` leave it, in one commit, ⇢ verified · `bake` ⇢ what every proxy counted since passes the canary's rule · `cordon` ⇢ applied and drained, of a deploy on its way forward verified
   * too · `stop` ⇢ gone.
   */
  readonly kind: (typeof STEP_KINDS)[number];
  readonly vms: readonly VmName[];
  /** Of a `flip` and a `weigh`: the VMs that serve from then on; of a `handover`: those that run from then on. */
  readonly serves?: readonly VmName[];
  /** The split that comes with it. Of a `weigh` absent: none any more, each serving VM counts alike. */
  readonly weights?: Weights;
  /** Hosts of `vms`, by index: of a `stop` the record names its VMs no longer, and "gone" is their hosts' to say. */
  readonly hosts?: readonly MemberName[];
  /** Every proxy that was registered when the step was committed. Empty for `start` and `stop`. */
  readonly ackSet: readonly MemberName[];
  /** Clock of the driver, milliseconds since 1970: for people. */
  readonly startedAtMs: number;
}

/** A step that is over: what it waited for, and how long. */
export interface RolloutStepReport extends AnswersReport {
  readonly number: number;
  readonly kind: RolloutStep["kind"];
  readonly vms: readonly VmName[];
  /** As the step said. */
  readonly serves?: readonly VmName[];
  /** On the way back. */
  readonly back?: true;
  /** As the step said. */
  readonly startedAtMs?: number;
  /** Of a `weigh`. */
  readonly weights?: Weights;
  readonly waitedMs: number;
  /** "acks 2/2, slowest proxy-2 14 ms", "healthy after 210 ms". */
  readonly outcome: string;
  /** Hosts of its VMs that were fenced, and since when: nobody else said that these were closed, or are gone. */
  readonly fenced?: readonly FenceReport[];
}

/** `start-failed`, `check-failed`, `canary-failed` and `command-failed` blame the release; `wait-timeout` who did not answer; `no-host` the cluster; `aborted`: a person. */
const ROLLOUT_FAILURES = [
  "start-failed",
  "check-failed",
  "canary-failed",
  "command-failed",
  "wait-timeout",
  "no-host",
  "aborted",
] as const;
type RolloutFailure = (typeof ROLLOUT_FAILURES)[number];

export interface Rollout {
  /** `APP-vNUMBER` for a deploy of a new release; with the epoch appended for the others. */
  readonly id: string;
  readonly kind: RolloutKind;
  /** The release that served before, and the one that shall serve; null: none. */
  readonly from: number | null;
  readonly to: number | null;
  readonly state: RolloutState;
  /** `back` once it failed and returns to `from`. */
  readonly direction: "forward" | "back";
  /** The agent that drives it. */
  readonly driver: MemberName;
  readonly step: RolloutStep | null;
  readonly history: readonly RolloutStepReport[];
  readonly reason: {
    readonly code: RolloutFailure;
    readonly message: string;
    readonly lastLines: readonly string[];
  } | null;
  /** Names of VMs that this rollout shall stop: of kind `stop` the VMs asked for. */
  readonly targets: readonly VmName[];
  /** Of a repair, a move, a scale, a restart, a wake: VMs of the release that shall serve at its end. */
  readonly count?: number;
  /** Of a move: the host that its targets leave. */
  readonly leaves?: MemberName;
  /** Of a scale, a restart, a sleep: VMs of the release that were to serve at its begin. Of a deploy, where fewer were than did: `targets` has all. */
  readonly before?: number;
  /** Of a wake: so many before it came to nothing, one after the other. Absent: none. */
  readonly tries?: number;
  /**
   * Of one that succeeded: proxies that have not confirmed it, because they were excluded or the quorum did without them, and dead
   * hosts of VMs that it replaced.
   */
  readonly except?: readonly MemberName[];
  /** The release command's step is over, however it ended: it is not run again. */
  readonly commandEnded?: boolean;
  /** A person said that the new release may take over. */
  readonly approved?: boolean;
  /** Of a canary: the highest weight whose bake is over. */
  readonly baked?: number;
  /** The release whose deploy begins in the commit in which this rollout ends: nobody else's comes between. */
  readonly next?: number;
  /** Of such a deploy: the rollout that it followed, how that ended, and its last step. */
  readonly superseded?: {
    readonly id: string;
    readonly state: RolloutState;
    readonly last?: RolloutStepReport;
  };
  /** Of one that is paused: why, for people, and since when by the clock of the agent that was told, milliseconds since 1970. */
  readonly pause?: { readonly why: string; readonly atMs: number };
  /** Proxies known to be registered at the last commit: a driver that restarts must not ask fewer than there were. */
  readonly proxies?: readonly MemberName[];
  /** Clock of the driver, milliseconds since 1970: for people. */
  readonly startedAtMs: number;
  readonly endedAtMs: number | null;
}

/**
 * A proxy that the app's rollouts do not ask. `person`: somebody said so; no step waits for it. `silence`: the app's
 * `exclude_silent_after` did; steps that only add do not wait for it, and it is over with the rollout.
 */
export interface Exclusion {
  readonly proxy: MemberName;
  readonly by: "person" | "silence";
  /** Said of the whole cluster: an app that is deployed for the first time takes it over. */
  readonly everywhere: boolean;
  /** Clock of the driver, milliseconds since 1970: for people. */
  readonly atMs: number;
}

export interface Hold {
  readonly by: (typeof HOLDERS)[number];
  /** Clock of who committed it, milliseconds since 1970: for people. */
  readonly atMs: number;
  /** Of `idle`: hosts that its VMs ran on last, and that have what it needs to run. Absent: none is known. */
  readonly ranOn?: readonly MemberName[];
}

/** More proxies than one excludes by hand. */
export const EXCLUSIONS_MAX: number = 64;
/** Steps of one rollout that are kept; older ones are dropped from the front. */
export const ROLLOUT_HISTORY_MAX: number = 64;
/** Releases that a record keeps: the serving one, the one on its way, and those before them. */
export const RELEASES_MAX: number = 4;
/** Hosts that are remembered of an app that sleeps. */
export const RAN_ON_MAX: number = 16;
export const APP_VMS_MAX: number = 200;

/** `command`: it runs the release command, and nothing routes to it. */
export type WantedPhase = VmPhase | "command";
export type PlacedVm = Pick<DesiredVm, "vm" | "release" | "host"> & { readonly phase: WantedPhase };

/**
 * The VM of the release command. It is in no list of VMs: nothing routes to it, nothing replaces it. Its host runs it while the step is
 * in force, and never twice.
 */
export function commandVmOf({ rollout }: AppRecord): PlacedVm | null {
  const { step, to } = rollout ?? {};
  const [vm] = step?.vms ?? [];
  const [host] = step?.hosts ?? [];
  if (!isUnderWay(rollout) || step?.kind !== "command" || to == null) return null;
  return vm === undefined || host === undefined ? null : { vm, host, release: to, phase: "command" };
}

/** VMs that the record gives to hosts. */
export function placedVms(record: AppRecord): readonly PlacedVm[] {
  const command = commandVmOf(record);
  return command === null ? record.vms : [...record.vms, command];
}

export interface AppRecord {
  readonly format: 1;
  readonly app: AppName;
  /** `destroy` ended: nothing of it runs or routes. The record stays, so that its epoch and release numbers do. */
  readonly deleted: boolean;
  readonly hostnames: readonly string[];
  /** Newest last. */
  readonly releases: readonly Release[];
  /** Number of the release that last became the whole app, or null before the first. */
  readonly current: number | null;
  /** The highest number ever given. */
  readonly lastRelease: number;
  readonly vms: readonly DesiredVm[];
  /** How each proxy splits requests over the releases that serve; absent: each serving VM counts alike. */
  readonly weights?: Weights;
  /** Absent: requests are sent on as they come. */
  readonly hold?: Hold;
  readonly excluded?: readonly Exclusion[];
  readonly fenced?: readonly Fence[];
  /** Where its volumes are; absent: it has none. Its VMs run there, and nowhere else. */
  readonly home?: Home;
  /** Of one of which two VMs never run at once. Absent: nothing. */
  readonly mayRun?: readonly MayRun[];
  /**
   * Cordoned VMs of this release are kept until then, by the clock of whoever drives, milliseconds since 1970: it only delays. `over`: no page
   * is sent there any more.
   */
  readonly kept?: { readonly release: number; readonly untilMs: number; readonly over?: true };
  /** How often a person gave a newer release less than it had: what a sticky client saw before the last time binds nobody. Absent: never. */
  readonly backs?: number;
  /** The running one, or the last that ended. */
  readonly rollout: Rollout | null;
}

/** How much of the app's requests each proxy keeps. The newest release says it: who deploys it knows what its requests are. */
export function holdBoundsOf({ releases }: Pick<AppRecord, "releases">): HoldSpec {
  return holdSpecOf(releases.at(-1)?.spec);
}

/** A record as the register committed it. */
export interface CommittedApp {
  /** The number of commits of this app; also the fencing token. */
  readonly epoch: number;
  readonly record: AppRecord;
}

const stepKinds = z.enum(STEP_KINDS);

export const stepReportShape: ZodType<RolloutStepReport> = z.strictObject({
  number: countShape,
  kind: stepKinds,
  vms: z.array(vmNameShape).max(APP_VMS_MAX),
  serves: z.exactOptional(z.array(vmNameShape).max(APP_VMS_MAX)),
  weights: z.exactOptional(weightsShape),
  back: z.exactOptional(z.literal(true)),
  startedAtMs: z.exactOptional(z.number()),
  waitedMs: z.number(),
  outcome: z.string().max(1000),
  epoch: z.exactOptional(countShape),
  asked: z.exactOptional(askedListShape),
  askedMore: z.exactOptional(countShape),
  quorum: z.exactOptional(countShape),
  spared: z.exactOptional(sparedListShape),
  fenced: z.exactOptional(fenceReportsShape),
});

export const rolloutShape: ZodType<Rollout> = z.strictObject({
  id: z.string().max(128),
  kind: z.enum(ROLLOUT_KINDS),
  from: countShape.nullable(),
  to: countShape.nullable(),
  state: z.enum(ROLLOUT_STATES),
  direction: z.enum(["forward", "back"]),
  driver: memberNameShape,
  step: z
    .strictObject({
      number: countShape,
      kind: stepKinds,
      vms: z.array(vmNameShape).max(APP_VMS_MAX),
      serves: z.exactOptional(z.array(vmNameShape).max(APP_VMS_MAX)),
      weights: z.exactOptional(weightsShape),
      hosts: z.exactOptional(z.array(memberNameShape).max(APP_VMS_MAX)),
      ackSet: z.array(memberNameShape).max(2000),
      startedAtMs: z.number(),
    })
    .nullable(),
  history: z.array(stepReportShape).max(ROLLOUT_HISTORY_MAX),
  reason: z
    .strictObject({
      code: z.enum(ROLLOUT_FAILURES),
      message: z.string().max(2000),
      lastLines: z.array(z.string().max(500)).max(20),
    })
    .nullable(),
  targets: z.array(vmNameShape).max(APP_VMS_MAX),
  commandEnded: z.exactOptional(z.boolean()),
  approved: z.exactOptional(z.boolean()),
  baked: z.exactOptional(z.number().int().min(0).max(100)),
  pause: z.exactOptional(z.strictObject({ why: z.string().max(1000), atMs: z.number() })),
  next: z.exactOptional(countShape),
  superseded: z.exactOptional(
    z.strictObject({
      id: z.string().max(128),
      state: z.enum(ROLLOUT_STATES),
      last: z.exactOptional(stepReportShape),
    }),
  ),
  count: z.exactOptional(countShape),
  leaves: z.exactOptional(memberNameShape),
  before: z.exactOptional(countShape),
  tries: z.exactOptional(countShape),
  except: z.exactOptional(z.array(memberNameShape).max(2000)),
  proxies: z.exactOptional(z.array(memberNameShape).max(2000)),
  startedAtMs: z.number(),
  endedAtMs: z.number().nullable(),
});

const exclusionShape: ZodType<Exclusion> = z.strictObject({
  proxy: memberNameShape,
  by: z.enum(["person", "silence"]),
  everywhere: z.boolean(),
  atMs: z.number(),
});

const holdShape: ZodType<Hold> = z.strictObject({
  by: z.enum(HOLDERS),
  atMs: z.number(),
  ranOn: z.exactOptional(z.array(memberNameShape).max(RAN_ON_MAX)),
});

const appRecordShape: ZodType<AppRecord> = z.strictObject({
  format: z.literal(1),
  app: appNameShape,
  deleted: z.boolean(),
  hostnames: z.array(z.string().max(253)).max(32),
  releases: z.array(releaseShape).max(RELEASES_MAX),
  current: countShape.nullable(),
  lastRelease: countShape,
  vms: z
    .array(
      z.strictObject({
        vm: vmNameShape,
        release: countShape,
        host: memberNameShape,
        phase: z.enum(VM_PHASES),
        requires: versionShape.nullable(),
      }),
    )
    .max(APP_VMS_MAX),
  weights: z.exactOptional(weightsShape),
  hold: z.exactOptional(holdShape),
  excluded: z.exactOptional(z.array(exclusionShape).max(EXCLUSIONS_MAX)),
  fenced: z.exactOptional(z.array(fenceShape).max(FENCES_MAX)),
  mayRun: z.exactOptional(mayRunShape),
  home: z.exactOptional(homeShape),
  kept: z.exactOptional(
    z.strictObject({ release: countShape, untilMs: z.number(), over: z.exactOptional(z.literal(true)) }),
  ),
  backs: z.exactOptional(countShape),
  rollout: rolloutShape.nullable(),
});

export function encodeAppRecord(record: AppRecord): Uint8Array {
  return encodeRecord(record);
}

export function decodeAppRecord(bytes: Uint8Array): Result<AppRecord> {
  return decodeRecord(appRecordShape, bytes);
}
