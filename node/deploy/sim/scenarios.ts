// Scenarios: what is deployed, and what becomes of it. Each is a deploy over one that serves.

import type { DeploySpec } from "../../../mesh/index.ts";

/** What the VMs of the new release do: come up, never come up, or break once they have served. */
export type Fate = "healthy" | "exits" | "breaks-late";

/**
 * What happens on the way, besides the driver's faults. `proxy-cut`: one proxy hears and says nothing, and goes on routing by the
 * table that it has. `proxy-joins`: one more is admitted.
 */
type Disturbance = "none" | "proxy-cut" | "proxy-joins";

export interface Scenario {
  readonly name: string;
  readonly deploy: DeploySpec;
  /** VMs of the release that serves, and of the new one. */
  readonly before: number;
  readonly count: number;
  readonly fate: Fate;
  readonly disturbance: Disturbance;
}

const TIMES = { drainTimeoutMs: 30_000, waitTimeoutMs: 60_000 };

const DEPLOYS: readonly (readonly [string, DeploySpec])[] = [
  ["rolling", { ...TIMES, strategy: "rolling" }],
  ["rolling, 2 more and 1 fewer", { ...TIMES, strategy: "rolling", maxSurge: 2, maxUnavailable: 1 }],
  ["immediate", { ...TIMES, strategy: "immediate", minHealthyMs: 1_000 }],
  ["bluegreen", { ...TIMES, strategy: "bluegreen" }],
  ["bluegreen, by hand, kept", { ...TIMES, strategy: "bluegreen", approval: "manual", keepOldMs: 90_000 }],
];

const COURSES: readonly Pick<Scenario, "before" | "count" | "fate" | "disturbance">[] = [
  { before: 1, count: 1, fate: "healthy", disturbance: "none" },
  { before: 2, count: 3, fate: "healthy", disturbance: "none" },
  { before: 1, count: 1, fate: "exits", disturbance: "none" },
  { before: 2, count: 2, fate: "breaks-late", disturbance: "none" },
  { before: 1, count: 1, fate: "healthy", disturbance: "proxy-cut" },
  { before: 1, count: 1, fate: "healthy", disturbance: "proxy-joins" },
];

/** Of what proxies answer only those make a difference that do not. */
const LENIENT: readonly [string, DeploySpec] = [
  "rolling, half of the proxies, silence excluded",
  { ...TIMES, strategy: "rolling", ackQuorum: 0.5, excludeSilentAfterMs: 5_000 },
];

function coursesOf(
  [strategy, deploy]: readonly [string, DeploySpec],
  courses: typeof COURSES,
): readonly Scenario[] {
  return courses.map((course) => {
    const { before, count, fate, disturbance } = course;
    const name = `${strategy}: ${before} to ${count}, ${fate}, ${disturbance}`;
    return { ...course, name, deploy };
  });
}

/** It runs before anything that the strategies differ in; that of a release that `exits` fails. */
const WITH_COMMAND: readonly [string, DeploySpec] = [
  "rolling after a release command",
  { ...TIMES, strategy: "rolling", releaseCommand: ["migrate"], releaseCommandTimeoutMs: 60_000 },
];

export const SCENARIOS: readonly Scenario[] = [
  ...DEPLOYS.flatMap((deploy) => coursesOf(deploy, COURSES)),
  ...coursesOf(
    LENIENT,
    COURSES.filter(({ disturbance }) => disturbance !== "none"),
  ),
  ...coursesOf(
    WITH_COMMAND,
    COURSES.filter(({ before, count, disturbance }) => disturbance === "none" && before + count === 2),
  ),
];
