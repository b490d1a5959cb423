// Story view: a rollout as `explain` tells it, step by step: what was wanted, who was asked and answered when, what came of it. JSON through and
// through.

import type { AppName, MemberName, Rollout, RolloutStep, Spared, VmName, Weights } from "../../mesh/index.ts";
import type { AskView } from "./plan-view.ts";

/** `ms`: from the step's begin to the answer, by the driver's clock; null: it had not answered when the step was over, or has not yet. */
export interface AskedView extends AskView {
  readonly ms: number | null;
}

export interface StepStory {
  readonly number: number;
  readonly kind: RolloutStep["kind"];
  readonly vms: readonly VmName[];
  readonly serves: readonly VmName[];
  /** Of a `weigh`: the split that it brings; null: none, or none any more. */
  readonly weights: Weights | null;
  /** On the way back. */
  readonly back: boolean;
  /** It is not over. */
  readonly running: boolean;
  /** From the rollout's begin, by the driver's clock; null: the record does not say any more. */
  readonly afterMs: number | null;
  readonly waitedMs: number;
  /** That those who were asked had to confirm; null: not kept. */
  readonly epoch: number | null;
  /** Null: it is not kept any more who was asked. */
  readonly asked: readonly AskedView[] | null;
  /** More were asked, and answered sooner. */
  readonly askedMore: number;
  /** Of the proxies that were asked so many sufficed; null: all. */
  readonly quorum: number | null;
  readonly spared: readonly Spared[];
  readonly fenced: readonly MemberName[];
  /** Hosts that a person had not waited for, with `--force-unsafe`: nobody knew that they were off. */
  readonly forced: readonly MemberName[];
  /** What was seen, or, of one that runs, what it waits for. */
  readonly outcome: string;
  /** What was decided then: "step 3 cordon hello-v1-1", "succeeded"; null: nothing yet. */
  readonly decided: string | null;
}

export interface RolloutStory
  extends Pick<Rollout, "kind" | "state" | "direction" | "driver" | "startedAtMs" | "endedAtMs"> {
  readonly app: AppName;
  readonly rollout: string;
  /** Null: it is no deploy, or the record does not say any more. */
  readonly strategy: string | null;
  readonly from: string | null;
  readonly to: string | null;
  /** Of a move: the host that it empties. */
  readonly leaves?: string;
  /** Of a scale, a restart: how many VMs served at its begin, and shall at its end; else null. */
  readonly count: { readonly before: number; readonly after: number } | null;
  /** The rollout that this deploy superseded, and how that ended. */
  readonly superseded: { readonly rollout: string; readonly state: string } | null;
  /** The deploy that begins when this one is over. */
  readonly next: string | null;
  readonly reason: {
    readonly code: string;
    readonly message: string;
    readonly lastLines: readonly string[];
  } | null;
  readonly except: readonly MemberName[];
  /** Steps before the first of these that are not kept any more. */
  readonly dropped: number;
  readonly steps: readonly StepStory[];
}

/** Of one app, as one voter has them: those that it saw. Oldest first. */
export interface StoriesView {
  readonly app: AppName;
  readonly answeredBy: MemberName;
  readonly rollouts: readonly RolloutStory[];
}
