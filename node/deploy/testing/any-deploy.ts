// Any deploy: one of every strategy with each of its keys, for tests of whatever may happen.

import type { AppSpec, DeploySpec } from "../../../mesh/index.ts";
import { specOf } from "./specs.ts";

const HANDOFF = { drainTimeoutMs: 30_000, waitTimeoutMs: 60_000 };

/** Of an app that never runs twice one. */
export function countOf(deploy: DeploySpec, count: number): number {
  return deploy.strategy === "handoff" ? 1 : count;
}

/** Every strategy, with each of its keys. */
export function deployOf(pick: number): DeploySpec {
  const command = { releaseCommand: ["migrate"], releaseCommandTimeoutMs: 60_000 };
  const common = {
    drainTimeoutMs: 30_000,
    waitTimeoutMs: 60_000,
    minHealthyMs: pick % 2 === 0 ? 0 : 500,
    ...(pick % 5 === 0 ? command : {}),
  };
  const all: readonly DeploySpec[] = [
    { ...common, strategy: "rolling" },
    { ...common, strategy: "rolling", maxSurge: 2, maxUnavailable: 0.5 },
    { ...common, strategy: "rolling", maxSurge: 0, maxUnavailable: 1 },
    { ...common, strategy: "immediate" },
    { ...common, strategy: "bluegreen" },
    { ...common, strategy: "canary", canary: { weights: [10, 60], bakeMs: 5_000, minRequests: 50 } },
    { ...common, strategy: "bluegreen", approval: "manual", keepOldMs: 60_000 },
    { ...common, strategy: "bluegreen", cutover: "pinned", keepOldMs: 60_000, pinMaxAgeMs: 60_000 },
    { ...common, strategy: "immediate", cutover: "pinned", pinMaxAgeMs: 60_000 },
    { ...common, strategy: "immediate", cutover: "atomic" },
    { ...common, strategy: "bluegreen", cutover: "atomic", approval: "manual", keepOldMs: 60_000 },
    { ...common, strategy: "bluegreen", cutover: "atomic", keepOldMs: 60_000 },
    { ...HANDOFF, strategy: "handoff" },
    { ...HANDOFF, strategy: "handoff" },
    {
      ...common,
      strategy: "canary",
      cutover: "atomic",
      canary: { weights: [50], bakeMs: 1_000, minRequests: 50 },
    },
    {
      ...common,
      strategy: "canary",
      cutover: "sticky",
      canary: { weights: [10], bakeMs: 0, minRequests: 1 },
    },
  ];
  return all[pick % all.length] as DeploySpec;
}

export function deployed(pick: number): AppSpec {
  const deploy = deployOf(pick);
  // One of three may sleep.
  const idle = pick % 3 === 0 ? { idle: { afterMs: 5_000 } } : {};
  return specOf("hello", { count: countOf(deploy, 1 + (pick % 3)), deploy, ...idle });
}
