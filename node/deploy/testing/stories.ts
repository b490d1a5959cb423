// Stories: deploys of each strategy, for golden files of what is said before, during and after. Everybody answers, one after the other, 7 ms
// apart, so that each answer has a time of its own.

import {
  commandVmOf,
  type DeploySpec,
  type MemberName,
  memberName,
  type VmName,
  vmName,
} from "../../../mesh/index.ts";
import { isPrepared } from "./handed-over.ts";
import { type SpecOverrides, specOf } from "./specs.ts";
import { GOOD_COUNTS } from "./told-counts.ts";
import { HEALTHY, PREPARED } from "./vm-states.ts";
import { World } from "./world.ts";

export interface Story {
  readonly name: string;
  readonly isGated: boolean;
  /** What served before; null: nothing. */
  readonly before: SpecOverrides | null;
  readonly next: SpecOverrides;
  /** Proxies that a person excluded. */
  readonly excluded?: readonly string[];
}

const deployOf = (rest: Partial<DeploySpec> = {}): DeploySpec => ({
  strategy: "rolling",
  drainTimeoutMs: 30_000,
  waitTimeoutMs: 60_000,
  ...rest,
});

const bluegreen = { strategy: "bluegreen", approval: "manual", keepOldMs: 600_000 } as const;
const command = { releaseCommand: ["node", "migrate.js"], releaseCommandTimeoutMs: 300_000 };

function canaryOf(weights: readonly number[]): NonNullable<DeploySpec["canary"]> {
  return { weights, bakeMs: 5_000, minRequests: 50 };
}

/** One for each strategy at least, and for each kind of step. */
export const STORIES: readonly Story[] = [
  {
    name: "first-launch",
    isGated: true,
    before: null,
    next: { count: 2, deploy: deployOf({ minHealthyMs: 10_000 }) },
  },
  { name: "rolling-one-vm", isGated: true, before: {}, next: { deploy: deployOf() } },
  { name: "rolling", isGated: true, before: { count: 3 }, next: { count: 3, deploy: deployOf(command) } },
  {
    name: "rolling-without-gates",
    isGated: false,
    before: { count: 2 },
    next: { count: 2, deploy: deployOf({ maxSurge: 2, ackQuorum: 0.5 }) },
    excluded: ["proxy-3"],
  },
  {
    name: "immediate",
    isGated: true,
    before: { count: 2 },
    next: { count: 2, deploy: deployOf({ strategy: "immediate" }) },
  },
  {
    name: "canary",
    isGated: true,
    before: { count: 2 },
    next: { count: 2, deploy: deployOf({ strategy: "canary", canary: canaryOf([5, 50]) }) },
  },
  {
    name: "atomic",
    isGated: true,
    before: { count: 2 },
    next: { count: 2, deploy: deployOf({ strategy: "immediate", cutover: "atomic" }) },
  },
  {
    name: "handoff",
    isGated: true,
    before: { deploy: deployOf({ strategy: "handoff" }) },
    next: { deploy: deployOf({ strategy: "handoff" }), stop: { signal: "SIGTERM", timeoutMs: 60_000 } },
  },
  { name: "bluegreen", isGated: true, before: { count: 2 }, next: { count: 2, deploy: deployOf(bluegreen) } },
];

/** The app as it is before the deploy that the story is about. */
export function beginStory({ isGated, before, excluded = [] }: Story): World {
  const world = new World({ hosts: 3, proxies: isGated ? 2 : 3, isGated });
  if (before !== null) {
    world.submit(specOf("hello", before), "before");
    answerAll(world);
  }
  for (const proxy of excluded) world.exclude(memberName(proxy), "exclude");
  return world;
}

export interface Answering {
  /** Called before each round; default: until the rollout is over. */
  readonly until?: () => boolean;
  /** A proxy that hears and does not answer. */
  readonly silent?: MemberName;
}

export function answerAll(world: World, { until, silent }: Answering = {}): void {
  for (let round = 0; round < 200; round += 1) {
    if (until?.() === true || world.committed?.record.rollout?.state !== "running") return;
    answerOnce(world, silent);
  }
  throw new Error(`no end in sight: ${world.machine.describe()}`);
}

function answerOnce(world: World, silent: MemberName | undefined): void {
  const answers = [
    ...vmAnswers(world),
    ...gateAnswers(world),
    ...proxyAnswers(world, silent),
    ...countAnswers(world),
  ];
  const epoch = world.committed?.epoch;
  for (const answer of answers) {
    // What they say is about this step: the next one asks anew.
    if (world.committed?.epoch !== epoch) return;
    world.nowMs += 7;
    answer();
  }
  if (world.committed?.epoch !== epoch) return;
  if (world.committed?.record.rollout?.step?.kind === "approve") world.promote();
  else world.pass(10_000);
}

type Answer = () => void;

function vmAnswers(world: World): readonly Answer[] {
  const record = world.committed?.record;
  const command = record === undefined ? null : commandVmOf(record);
  const wanted = new Set<VmName>(record?.vms.map(({ vm }) => vm));
  const ended = { state: "exited", exit: { code: 0, signal: null } } as const;
  const gone = [...world.entries.keys()].filter((vm) => !wanted.has(vm)).map((vm) => () => world.gone(vm));
  // The host keeps the order.
  const isHandedOver = record?.rollout?.step?.kind === "handover";
  return [
    ...(command === null ? [] : [() => world.say(vmName(command.vm), ended)]),
    ...(isHandedOver ? gone : []),
    ...[...wanted]
      .filter((vm) => world.entries.get(vm)?.entry.state !== (isPrepared(world, vm) ? "prepared" : "running"))
      .map((vm) => () => world.say(vm, isPrepared(world, vm) ? PREPARED : HEALTHY)),
    ...(isHandedOver ? [] : gone),
  ];
}

function gateAnswers(world: World): readonly Answer[] {
  return world.gates === null ? [] : [...world.hosts].map((host) => () => world.closeGate(host));
}

function proxyAnswers(world: World, silent: MemberName | undefined): readonly Answer[] {
  // Also those that are not asked: they hear of it as all do.
  for (const proxy of world.proxies.keys()) world.apply(proxy);
  const answering = [...world.proxies.keys()].filter((proxy) => proxy !== silent);
  return answering.map((proxy) => () => {
    world.answer(proxy);
    world.deliver(proxy);
  });
}

function countAnswers(world: World): readonly Answer[] {
  const isBaking = world.committed?.record.rollout?.step?.kind === "bake";
  const proxies = isBaking ? [...world.proxies.keys()] : [];
  return proxies.map((proxy) => () => world.count({ proxy, startId: "1", ...GOOD_COUNTS }));
}
