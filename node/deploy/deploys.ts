// Deploys: what the API asks of the coordinator. Answered by the agent that drives; other agents relay to it.

import type { AppName, AppSpec, EnvRef, MemberName, VmName } from "../../mesh/index.ts";
import type { AppView } from "./app-view.ts";
import type { RecordsResult } from "./change-records.ts";
import type { RollbackRequest } from "./core/submit-rollback.ts";
import type { ScaleRequest } from "./core/submit-scale.ts";
import type { TrafficRequest } from "./core/submit-traffic.ts";
import type { HostDrains } from "./drain-view.ts";
import type { ExclusionRequest } from "./exclude-proxies.ts";
import type { FenceRequest } from "./fence-host.ts";
import type { HoldRequest, HoldResult } from "./hold-app.ts";
import type { PlanView } from "./plan-view.ts";
import type { StoriesView } from "./story-view.ts";

/**
 * - `accepted`: committed; the rollout runs. `joined`: the same spec was on its way already, or this very
 *   submission was taken before: this is that rollout.
 * - `locked`: another rollout of this app runs (exit code 4).
 * - `unchanged`: it is so already, as `note` says; nothing was committed.
 * - `invalid`: the request cannot be meant (no such app or VM, a hostname that another app has, no host to run on); `message` says what to do.
 * - `unavailable`: no majority of voters; `message` names the missing.
 */
export type SubmitResult =
  | {
      readonly code: "accepted";
      readonly app: AppName;
      readonly rollout: string;
      readonly release: number | null;
      readonly joined: boolean;
      /** What was asked for is over when this step of the rollout is; absent: when the rollout is. */
      readonly step?: number;
      /** What was made of it, for people. */
      readonly note?: string;
      /** The rollout that comes to its end first. */
      readonly supersedes?: string;
    }
  | {
      readonly code: "locked";
      readonly app: AppName;
      readonly rollout: string;
      readonly driver: MemberName;
      readonly message: string;
      /** That rollout's release is what was submitted, but for its env, which is this one: it may have the same values. */
      readonly env?: EnvRef;
    }
  | { readonly code: "unchanged"; readonly app: AppName; readonly note: string }
  | { readonly code: "invalid"; readonly message: string }
  | { readonly code: "unavailable"; readonly message: string };

/** Nothing was changed. Otherwise as `submit` would answer now. */
export type PlanResult = { readonly code: "planned"; readonly plan: PlanView } | SubmitResult;

export interface SubmitHow {
  /** As in `Release`. */
  readonly submission?: string | undefined;
  /** It takes the place of what runs; else that locks it out. */
  readonly supersedes?: boolean | undefined;
}

export interface Deploys {
  /** Hosts that are drained, and what is left there. */
  readonly drains: HostDrains;
  /** Starts a rollout to `spec`. Its bundle must be on this host already. */
  submit(spec: AppSpec, how?: SubmitHow): Promise<SubmitResult>;
  /** What a rollout to `spec` would do now; its bundle may be anywhere. */
  plan(spec: AppSpec): Promise<PlanResult>;
  /** Cordons, drains and stops one VM; the app goes on with one less until its next deploy. */
  stopVm(vm: VmName): Promise<SubmitResult>;
  /**
   * Cordons, drains and stops all VMs of an app, then removes its routes. Release numbers are kept. `removesData`: what its volumes have is
   * removed too; else that is kept.
   */
  destroy(app: AppName, removesData?: boolean): Promise<SubmitResult>;
  /** The new release of a deploy that waits for approval takes over. */
  promote(app: AppName): Promise<SubmitResult>;
  /** The deploy that runs goes back to what served before. */
  abort(app: AppName): Promise<SubmitResult>;
  /** The deploy that runs takes no step until it is resumed, or aborted. */
  pause(app: AppName): Promise<SubmitResult>;
  resume(app: AppName): Promise<SubmitResult>;
  /** Requests are split over the releases that could serve, as said. */
  setTraffic(request: TrafficRequest): Promise<SubmitResult>;
  /** The release that serves gets as many VMs. */
  scale(request: ScaleRequest): Promise<SubmitResult>;
  /** Each VM of the release that serves makes way for a new one. */
  restart(app: AppName): Promise<SubmitResult>;
  /** A release from before is the whole app again. */
  rollback(request: RollbackRequest): Promise<SubmitResult>;
  /** Rollouts do not ask this proxy any more, or do again. */
  excludeProxy(request: ExclusionRequest): Promise<RecordsResult>;
  /** Proxies keep the app's requests, or send them on again. */
  hold(request: HoldRequest): Promise<HoldResult>;
  /** This host is off: no step waits for its gate, and its VMs count as stopped, until it is back. */
  fenceHost(request: FenceRequest): Promise<RecordsResult>;
  /** Apps that are not deleted, by name. */
  views(): readonly AppView[];
  /** Deleted apps have a view too, so that `destroy` can be followed to its end; null: the app never was. */
  view(app: AppName): AppView | null;
  /** The app's rollouts as this voter saw them, the running one among them; null: the app never was. */
  stories(app: AppName): Promise<StoriesView | null>;
  /** The view now, and again after each change of it, until `signal` aborts. Slow readers get the newest only. */
  watch(app: AppName, signal: AbortSignal): AsyncIterable<AppView>;
}
