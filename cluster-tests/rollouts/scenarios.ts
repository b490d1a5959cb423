// Scenarios: what is deployed, and what becomes of it. Each begins with a release that serves.

import type { AppSpec, DeploySpec } from "../../mesh/index.ts";

/** What the VMs of the new release do: come up, after a while, never, without an end, break once they have served, or answer with errors. */
export type Fate = "healthy" | "slow" | "exits" | "hangs" | "breaks-late" | "errs";

/**
 * What happens on the way, besides the faults. `proxy-cut`: one proxy hears and says nothing, and goes on routing by the table that it
 * has. `proxy-behind`: the same, before the new VMs serve. `proxy-joins`: one more is admitted. `host-dies`: nothing is deployed; a host that runs a VM is gone for good. `host-fenced`: it is off, and a
 * person says so; much later it starts, and nobody hears it for a while. `host-drains`: nor
 * is there, and it is drained. By hand:
 * `climbs`: more and more of the requests go to the new release before it takes over. `holds`: the app is held while the new ones come. `holds-within`: while the rollout itself holds it, and for a
 * moment. `splits`: half of the requests go to the new release before it takes over. `pauses`: the deploy stands still for a while.
 * `browses`: clients go on asking while old VMs are kept for their pages.
 * `rolls-back`: what it brought is taken back while the old is kept. `host-parted`: its agent is cut off for long, and its VMs go on.
 * `sleeps`: nobody asks for it, then many at once. `launches`: nothing is there yet, and clients ask as soon as they may. In place of a deploy: `scales`: as many VMs as there shall be.
 * `restarts`: new VMs of the same release.
 */
type Disturbance =
  | "none"
  | "proxy-cut"
  | "proxy-behind"
  | "proxy-joins"
  | "host-dies"
  | "host-fenced"
  | "host-parted"
  | "host-drains"
  | "sleeps"
  | "launches"
  | "climbs"
  | "splits"
  | "pauses"
  | "holds"
  | "holds-within"
  | "browses"
  | "rolls-back"
  | "scales"
  | "restarts";

/** Of which members the faults are: `driver` and the register it swaps in; `all` the others too. */
type Breadth = "driver" | "all";

export interface Scenario {
  readonly name: string;
  readonly deploy: DeploySpec;
  readonly gate: "on" | "off";
  /** VMs of the release that serves, and of the new one. */
  readonly before: number;
  readonly count: number;
  readonly fate: Fate;
  readonly disturbance: Disturbance;
  readonly breadth: Breadth;
  /** What else its file says. */
  readonly spec?: Pick<AppSpec, "idle" | "fence">;
  /** Every day each fault before each event; of the others `npm run sim:rollouts` makes all runs. */
  readonly isWhole?: true;
}

type Course = Pick<Scenario, "before" | "count" | "fate" | "disturbance" | "breadth" | "spec">;

/** Short against what agents are given, long against what a step takes: a run that waits does little, and that for long. */
const TIMES = { drainTimeoutMs: 8_000, waitTimeoutMs: 10_000 };

export const ROLLING: DeploySpec = { ...TIMES, strategy: "rolling" };
const IMMEDIATE: DeploySpec = { ...TIMES, strategy: "immediate", minHealthyMs: 1_000 };
const BLUEGREEN: DeploySpec = { ...TIMES, strategy: "bluegreen" };
const WIDE: DeploySpec = { ...ROLLING, maxSurge: 2, maxUnavailable: 1 };
const BY_HAND: DeploySpec = { ...TIMES, strategy: "bluegreen", approval: "manual", keepOldMs: 20_000 };
/** One weight: each more bakes as the first does. Few requests, and a short bake: it waits for what proxies tell. */
const CANARY: DeploySpec = {
  ...TIMES,
  strategy: "canary",
  canary: { weights: [50], bakeMs: 200, minRequests: 3 },
};
const DEPLOYS: readonly (readonly [string, DeploySpec])[] = [
  ["rolling", ROLLING],
  ["immediate", IMMEDIATE],
  ["bluegreen", BLUEGREEN],
  ["bluegreen, by hand, kept", BY_HAND],
  ["canary", CANARY],
];

const ONE: Course = { before: 1, count: 1, fate: "healthy", disturbance: "none", breadth: "all" };
const CUT: Course = { ...ONE, disturbance: "proxy-cut" };
const MORE: Course = { ...ONE, before: 2, count: 3, breadth: "driver" };
const BROKEN: Course = { ...ONE, before: 2, count: 2, fate: "breaks-late", breadth: "driver" };
const CUT_OF_DRIVER: Course = { ...CUT, breadth: "driver" };
const JOINS: Course = { ...ONE, disturbance: "proxy-joins", breadth: "driver" };
/** Of each strategy. */
const COURSES: readonly Course[] = [ONE, CUT_OF_DRIVER];
/** Of some: where the strategy makes no other steps of it. */
const SOME_COURSES: readonly (readonly [string, DeploySpec, Course])[] = [
  ["rolling", ROLLING, MORE],
  ["rolling, 2 more and 1 fewer", WIDE, MORE],
  ["rolling, 2 more and 1 fewer", WIDE, BROKEN],
  ["rolling", ROLLING, BROKEN],
  ["immediate", IMMEDIATE, BROKEN],
  ["bluegreen", BLUEGREEN, BROKEN],
  ["canary", CANARY, { ...ONE, fate: "errs", breadth: "driver" }],
  ["rolling", ROLLING, JOINS],
  ["bluegreen", BLUEGREEN, JOINS],
  ["bluegreen, by hand, kept", BY_HAND, { ...ONE, disturbance: "splits", breadth: "driver" }],
  ["bluegreen, by hand, kept", BY_HAND, { ...ONE, disturbance: "rolls-back", breadth: "driver" }],
  ["rolling", ROLLING, { ...ONE, disturbance: "pauses", breadth: "driver" }],
];
/** The same whatever the strategy: one of them is enough. */
const ONCE: readonly Course[] = [
  CUT,
  { ...ONE, fate: "exits", breadth: "driver" },
  { ...ONE, fate: "slow", breadth: "driver" },
  { ...ONE, fate: "hangs", breadth: "driver" },
  { ...ONE, before: 2, count: 2, disturbance: "host-dies" },
  { ...ONE, disturbance: "host-drains" },
];
/** Within the release that serves, which was deployed by a rolling one. */
const WITHIN: readonly Course[] = [
  { ...ONE, before: 1, count: 3, disturbance: "scales", breadth: "driver" },
  { ...ONE, before: 3, count: 1, disturbance: "scales", breadth: "driver" },
  { ...ONE, disturbance: "restarts" },
];
/** Of what proxies answer only those make a difference that do not. */
const LENIENT: DeploySpec = { ...TIMES, strategy: "rolling", ackQuorum: 0.5 };
const LENIENT_TO_SILENCE: DeploySpec = { ...LENIENT, excludeSilentAfterMs: 2_000 };

/** It runs before anything that the strategies differ in; that of a release that `exits` fails. */
const WITH_COMMAND: DeploySpec = { ...ROLLING, releaseCommand: ["migrate"], releaseCommandTimeoutMs: 5_000 };

const HANDOFF: DeploySpec = { ...TIMES, strategy: "handoff" };
const LEASED: Pick<Scenario, "spec"> = { spec: { fence: { leaseMs: 5_000 } } };
/** It falls asleep when nobody asks, and wakes for who does; and a first launch is asked for before it is there. */
const IDLE: readonly (readonly [string, DeploySpec, Course])[] = [
  ["idle", ROLLING, { ...ONE, spec: { idle: { afterMs: 2_000 } }, disturbance: "sleeps" }],
  ["idle, exclusive", HANDOFF, { ...ONE, spec: { idle: { afterMs: 2_000 } }, disturbance: "sleeps" }],
  ["rolling", ROLLING, { ...ONE, before: 0, disturbance: "launches" }],
  ["bluegreen", BLUEGREEN, { ...ONE, before: 0, count: 2, disturbance: "launches", breadth: "driver" }],
];
/** No two VMs of it ever run at once. */
const EXCLUSIVE: readonly (readonly [string, DeploySpec, Course])[] = [
  ["handoff", HANDOFF, ONE],
  ["handoff", HANDOFF, { ...ONE, fate: "exits" }],
  ["handoff", HANDOFF, { ...ONE, fate: "hangs", breadth: "driver" }],
  ["handoff", HANDOFF, { ...ONE, disturbance: "restarts", breadth: "driver" }],
  ["handoff", HANDOFF, { ...ONE, disturbance: "host-drains", breadth: "driver" }],
  ["handoff", HANDOFF, { ...ONE, disturbance: "host-fenced" }],
  ["handoff", HANDOFF, { ...ONE, disturbance: "holds-within", breadth: "driver" }],
  ["handoff, leased", HANDOFF, { ...ONE, ...LEASED }],
  ["handoff, leased", HANDOFF, { ...ONE, ...LEASED, disturbance: "host-parted" }],
  ["handoff, leased", HANDOFF, { ...ONE, ...LEASED, disturbance: "host-dies", breadth: "driver" }],
];
/** One client is never sent back, through whatever proxy it comes. */
const STICKY: readonly (readonly [string, DeploySpec, Course])[] = [
  ["sticky, by hand", { ...BY_HAND, cutover: "sticky" }, { ...ONE, disturbance: "climbs" }],
  [
    "sticky, by hand",
    { ...BY_HAND, cutover: "sticky" },
    { ...ONE, disturbance: "rolls-back", breadth: "driver" },
  ],
  ["sticky, rolling", { ...ROLLING, cutover: "sticky" }, { ...MORE, count: 2 }],
  ["sticky, rolling", { ...ROLLING, cutover: "sticky" }, { ...ONE, disturbance: "proxy-behind" }],
  ["sticky, canary", { ...CANARY, cutover: "sticky" }, { ...ONE, breadth: "driver" }],
];

/** Shorter than `wait_timeout`. */
const PINNED_DEPLOY = { cutover: "pinned", pinMaxAgeMs: 5_000 } as const;
/** What a page loads comes from the release of the page. */
const PINNED: readonly (readonly [string, DeploySpec, Course])[] = [
  ["pinned", { ...IMMEDIATE, ...PINNED_DEPLOY }, { ...ONE, disturbance: "browses" }],
  ["pinned", { ...IMMEDIATE, ...PINNED_DEPLOY }, CUT_OF_DRIVER],
  [
    "pinned, by hand, kept",
    { ...BY_HAND, ...PINNED_DEPLOY },
    { ...ONE, disturbance: "rolls-back", breadth: "driver" },
  ],
];

/** No request is sent to the old side once one was to the new. */
const HELD: Course = { ...ONE, disturbance: "holds", breadth: "driver" };
const ATOMIC: readonly (readonly [string, DeploySpec, Course])[] = [
  ["atomic", { ...IMMEDIATE, cutover: "atomic" }, ONE],
  ["atomic", { ...IMMEDIATE, cutover: "atomic" }, CUT_OF_DRIVER],
  ["atomic", { ...IMMEDIATE, cutover: "atomic" }, BROKEN],
  [
    "atomic, by hand, kept",
    { ...BY_HAND, cutover: "atomic" },
    { ...ONE, disturbance: "splits", breadth: "driver" },
  ],
  ["atomic, by hand, kept", { ...BY_HAND, cutover: "atomic" }, { ...ONE, disturbance: "rolls-back" }],
  ["atomic", { ...IMMEDIATE, cutover: "atomic" }, HELD],
  ["atomic", { ...IMMEDIATE, cutover: "atomic" }, { ...HELD, disturbance: "holds-within" }],
  ["rolling", ROLLING, HELD],
  ["atomic, canary", { ...CANARY, cutover: "atomic" }, { ...ONE, breadth: "driver" }],
];

function scenarioOf(strategy: string, deploy: DeploySpec, course: Course, gate: Scenario["gate"]): Scenario {
  const { before, count, fate, disturbance } = course;
  const past = gate === "off" ? ", past the gates" : "";
  const name = `${strategy}${past}: ${before} to ${count}, ${fate}, ${disturbance}`;
  return { ...course, name, deploy, gate };
}

export const SCENARIOS: readonly Scenario[] = [
  ...DEPLOYS.flatMap(([name, deploy]) =>
    COURSES.map((course): Scenario => {
      const scenario = scenarioOf(name, deploy, course, "on");
      return deploy === ROLLING && course === ONE ? { ...scenario, isWhole: true } : scenario;
    }),
  ),
  ...SOME_COURSES.map(([name, deploy, course]) => scenarioOf(name, deploy, course, "on")),
  ...ONCE.map((course) => scenarioOf("rolling, once", ROLLING, course, "on")),
  ...WITHIN.map((course) => scenarioOf("within a release", ROLLING, course, "on")),
  scenarioOf("rolling, half of the proxies, silence excluded", LENIENT_TO_SILENCE, CUT_OF_DRIVER, "on"),
  ...[ONE, CUT_OF_DRIVER].map((course) => scenarioOf("rolling", ROLLING, course, "off")),
  scenarioOf("bluegreen", BLUEGREEN, { ...ONE, breadth: "driver" }, "off"),
  ...[ONE, { ...ONE, fate: "exits", breadth: "driver" } as const].map((course) =>
    scenarioOf("rolling after a command", WITH_COMMAND, course, "on"),
  ),
  ...[...ATOMIC, ...EXCLUSIVE, ...IDLE, ...STICKY, ...PINNED].map(([name, deploy, course]) =>
    scenarioOf(name, deploy, course, "on"),
  ),
  scenarioOf("rolling, half of the proxies", LENIENT, CUT_OF_DRIVER, "off"),
];
