// Plan view: what a deploy would do with the app as it is now, as `deploy --plan` shows it. JSON through and through.

import type {
  AppName,
  Asked,
  DeploySpec,
  MemberName,
  RolloutStep,
  Spared,
  VmName,
  Weights,
} from "../../mesh/index.ts";

/** One ask of a step, in words that follow the name: "proxy-2" "to have it in force, …". */
export interface AskView {
  readonly kind: Asked["kind"];
  readonly who: MemberName | VmName;
  readonly what: string;
}

export interface PlannedStepView {
  readonly number: number;
  readonly kind: RolloutStep["kind"];
  readonly vms: readonly VmName[];
  readonly serves: readonly VmName[];
  /** Of a `weigh`: the split that it brings; null: none, or none any more. */
  readonly weights: Weights | null;
  /** Of `vms`, by index. */
  readonly hosts: readonly MemberName[];
  readonly asks: readonly AskView[];
  /** Of the proxies that are asked so many suffice. */
  readonly quorum: number;
  readonly spared: readonly Spared[];
}

/**
 * What may fail a request though the release is healthy (`no-failed-request` in ARCHITECTURE.md), or hold the deploy up.
 * `steps`: numbers of those that it is about; empty: all.
 */
export interface CostView {
  readonly code:
    | "first-launch"
    | "drain-timeout"
    | "hold"
    | "crash"
    | "no-gate"
    | "excluded"
    | "fenced"
    | "unhealthy-release"
    | "canary";
  readonly steps: readonly number[];
  readonly what: string;
}

export interface PlanView {
  readonly app: AppName;
  readonly rollout: string;
  readonly strategy: DeploySpec["strategy"];
  /** "v1"; null: nothing serves. */
  readonly from: string | null;
  readonly to: string;
  /** Of the app as it was planned for; 0: there is none yet. */
  readonly epoch: number;
  /** It is on its way already: these are the steps that are left, the one in force first. */
  readonly joined: boolean;
  readonly steps: readonly PlannedStepView[];
  /** What is checked at the end. */
  readonly end: string;
  /** Without progress for so long a step goes back. */
  readonly waitTimeoutMs: number;
  readonly costs: readonly CostView[];
  /** Why it could not go on after the last step; null: it could. */
  readonly stuck: string | null;
}
