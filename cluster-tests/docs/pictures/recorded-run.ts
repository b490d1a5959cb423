// Recorded run: what was seen in one deploy of an app of one VM, under load. A picture is drawn from it and from nothing else.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { DeploySpec } from "../../../mesh/index.ts";
import type { RolloutStory } from "../../../node/deploy/story-view.ts";

/** A handoff has no picture yet: the page tells of it in words. */
export type StrategyName = Exclude<DeploySpec["strategy"], "handoff">;

export interface RecordedRun {
  /** Tells runs apart. */
  readonly id: string;
  readonly strategy: StrategyName;
  /** The app file of the release that was deployed. */
  readonly appFile: readonly string[];
  readonly cluster: { readonly hosts: number; readonly proxies: number };
  readonly ratePerSecond: number;
  /** How long the app takes to answer a request. */
  readonly answerMs: number;
  readonly failed: number;
  /** What `explain --json` printed when it was over. */
  readonly story: RolloutStory;
  /** Where the VMs of the story ran. */
  readonly hosts: Readonly<Record<string, string>>;
  readonly requests: readonly RecordedRequests[];
  /** Requests by the preview name. */
  readonly previews: readonly Preview[];
}

export interface Preview {
  readonly atMs: number;
  readonly proxy: string;
  /** That answered. */
  readonly vm: string;
}

/** Requests through one proxy that reached VMs of one release, by when, as the VM itself wrote down: milliseconds from the rollout's begin. */
export interface RecordedRequests {
  readonly proxy: string;
  readonly release: string;
  readonly atMs: readonly number[];
}

/** What the app of each run says of its deploy. A new strategy breaks the build until it has one, and then the test of the pictures. */
export const DEPLOYS: Readonly<Record<StrategyName, readonly string[]>> = {
  rolling: ['strategy = "rolling"'],
  immediate: ['strategy = "immediate"'],
  bluegreen: ['strategy = "bluegreen"', 'approval = "manual"', 'keep_old = "10m"'],
  canary: ['strategy = "canary"', "[canary]", "weights = [10, 50]", 'bake = "2s"', "min_requests = 30"],
};

export const STRATEGY_NAMES: readonly StrategyName[] = Object.keys(DEPLOYS) as StrategyName[];

const ROOT = new URL("../../../", import.meta.url);

export function runPath(strategy: StrategyName): string {
  return fileURLToPath(new URL(`cluster-tests/docs/pictures/runs/${strategy}.json`, ROOT));
}

export function picturePath(strategy: StrategyName): string {
  return fileURLToPath(new URL(`docs/pictures/${strategy}.svg`, ROOT));
}

/** As it was checked in. */
export function readRun(strategy: StrategyName): RecordedRun {
  return JSON.parse(readFileSync(runPath(strategy), "utf8")) as RecordedRun;
}
