// App view: desired and observed side by side, as `status` shows it and `deploy` follows it. JSON through and through.

import type {
  AnswersReport,
  AppName,
  Hold,
  MemberName,
  Rollout,
  RolloutStep,
  VmHealth,
  VmName,
  VmState,
  WantedPhase,
  Weights,
} from "../../mesh/index.ts";

/** Someone a step waits for, and for what: "proxy-2" "to acknowledge epoch 7", "hello-v3-1" "to become healthy". */
export interface Waiting {
  readonly who: MemberName | VmName;
  readonly what: string;
  /** How long, milliseconds. */
  readonly forMs: number;
  /** Since when nothing at all was heard of it about this app, milliseconds. Absent: of who is not expected to say anything again. */
  readonly silentMs?: number;
}

/** A cordoned VM that outlived its rollout, and who keeps it. */
export interface LeftoverView extends Waiting {
  /** It was kept for a rollback, as `keep_old` asked, and its time is over: how a rollout ended does not rest on it. */
  readonly wasKept?: boolean;
}

export interface StepView {
  readonly number: number;
  readonly kind: RolloutStep["kind"];
  readonly vms: readonly VmName[];
  /** Of a `flip` and a `weigh`: the VMs that serve from then on. */
  readonly serves?: readonly VmName[];
  /** Of a `weigh`. */
  readonly weights?: Weights;
  readonly forMs: number;
  /** Of a step that needs proxies: how many have answered as needed. `slowest` is the last that did. */
  readonly acks: {
    readonly have: number;
    readonly need: number;
    /** So many of `need` suffice; absent: all. */
    readonly quorum?: number;
    readonly slowest: { readonly proxy: MemberName; readonly ms: number } | null;
  } | null;
  /** Empty: nothing is missing, the next step is about to be committed. */
  readonly waitingFor: readonly Waiting[];
  /** Who was asked, and answered when, so far. Absent: an agent of before does not say. */
  readonly answers?: AnswersReport & { readonly startedAtMs: number };
}

/** When the traffic moved: clocks of the hosts that say so, milliseconds since 1970: for people. */
export interface CutoverView {
  /** The last new VM became healthy. */
  readonly newHealthyAtMs: number | null;
  /** The last request that any proxy sent to a VM of the last cordon step; null: none said so. */
  readonly oldLastRequestAtMs: number | null;
}

/** The record's rollout, with its step as far as it is. */
export interface RolloutView extends Omit<Rollout, "step" | "reason" | "targets" | "proxies"> {
  /** Null when it does not run. */
  readonly step: StepView | null;
  /** `code` is open to whoever reads a view: an agent of another release may know more. */
  readonly reason: {
    readonly code: string;
    readonly message: string;
    readonly lastLines: readonly string[];
  } | null;
  /** Of a deploy, while the record has its release. */
  readonly strategy?: string | null;
  /** Known to the driver that saw it, until the next rollout begins. */
  readonly cutover?: CutoverView | null;
  /**
   * "cannot commit: no majority of the voters answers, host-2 missing", as the agent that answers found, or, of one that goes back and
   * has no step in force, for whom it waits; null: neither.
   */
  readonly stalled?: string | null;
}

export interface VmView {
  readonly vm: VmName;
  readonly app: AppName;
  readonly release: number;
  readonly host: MemberName;
  /** What the record wants; null: no record wants it, its host is stopping it. */
  readonly phase: WantedPhase | null;
  /** What its host observed; null: no word of it yet. */
  readonly state: VmState | null;
  readonly health: VmHealth | null;
  /** "127.0.0.1:20104". */
  readonly address: string | null;
  readonly reason: string | null;
  readonly restarts: number;
}

export interface ProxyAckView {
  readonly proxy: MemberName;
  readonly applied: number;
  readonly verified: number;
  readonly inFlight: number;
  /** "cannot dial …", or null. */
  readonly nack: string | null;
  /** In force here is what the record says. */
  readonly current: boolean;
}

export interface AppView {
  readonly app: AppName;
  readonly epoch: number;
  readonly deleted: boolean;
  /** "v3": the release that last became the whole app; null before the first. */
  readonly release: string | null;
  /** Share of new requests by release, percent, of the VMs that the record routes to: { "v3": 100 }. */
  readonly weights: Readonly<Record<string, number>>;
  /** The record says so, and each proxy keeps to it; false or absent: each VM counts alike. */
  readonly byWeight?: boolean;
  readonly hostnames: readonly string[];
  /** Names by which VMs on standby are reached; empty: there are none. */
  readonly previews?: readonly string[];
  readonly rollout: RolloutView | null;
  readonly vms: readonly VmView[];
  readonly proxies: readonly ProxyAckView[];
  /** Retired as soon as those who keep them answer. */
  readonly leftovers: readonly LeftoverView[];
  /** Proxies that the app's rollouts do not ask, and who said so. */
  readonly excluded?: readonly { readonly proxy: MemberName; readonly by: "person" | "silence" }[];
  /** Who has the app's requests held by its proxies, and for how long already; null or absent: nobody. */
  readonly held?: { readonly by: Hold["by"]; readonly atMs: number; readonly forMs: number } | null;
  /** Of an app that may sleep: for how long nobody must have asked, and what keeps it awake; null: nothing does, or it sleeps. */
  readonly idle?: { readonly afterMs: number; readonly awake: string | null } | null;
  /** Hosts that are off, as a person said, since then, milliseconds since 1970: their gates are not asked. */
  readonly fenced?: readonly {
    readonly host: MemberName;
    readonly atMs: number;
    readonly forMs: number;
  }[];
  /** The release that the app wants kept for a while, its VMs, and for how long; null: none is. */
  readonly kept?: {
    readonly release: string;
    readonly vms: readonly VmName[];
    readonly forMs: number;
  } | null;
}
