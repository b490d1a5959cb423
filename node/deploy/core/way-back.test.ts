// Way back: while nothing changes but what each step brings about, planning it comes to an end, wherever the VMs are and however little room there is.

import fc from "fast-check";
import { expect, it } from "vitest";
import { type AppRecord, type DesiredVm, memberName, type VmName, vmName } from "../../../mesh/index.ts";
import { deployOf } from "../testing/any-deploy.ts";
import { entryOf } from "../testing/fake-host.ts";
import { specOf } from "../testing/specs.ts";
import { HEALTHY } from "../testing/vm-states.ts";
import { World } from "../testing/world.ts";
import { type CommitContext, rolloutOf, withStep, withStepEnded } from "./commits.ts";
import type { Facts } from "./facts.ts";
import { missingBefore } from "./last-sound.ts";
import { isDone, planBack, retiringOf } from "./plan-next.ts";

const STEPS_MAX = 60;
const RUNS = { numRuns: Number(process.env["PROPERTY_RUNS"] ?? 300) };
/** Nothing here waits: this only bounds a machine that is busy with other things. */
const TIMEOUT_MS = 60_000 + RUNS.numRuns * 100;

const host = fc.record({
  state: fc.constantFrom("open", "open", "cordoned", "dead", "lost"),
  capacity: fc.nat({ max: 5 }),
});

const vm = fc.record({
  release: fc.constantFrom(1, 1, 2),
  phase: fc.constantFrom("starting", "standby", "serving", "serving", "cordoned"),
  host: fc.nat({ max: 3 }),
});

const situation = fc.record({
  hosts: fc.array(host, { minLength: 4, maxLength: 4 }),
  vms: fc.array(vm, { maxLength: 8 }),
  count: fc.integer({ min: 1, max: 4 }),
  isOfMove: fc.boolean(),
  deploy: fc
    .nat({ max: 15 })
    .map(deployOf)
    .filter(({ strategy }) => strategy !== "handoff"),
  isAnswered: fc.boolean(),
  areWell: fc.boolean(),
});

type Situation = typeof situation extends fc.Arbitrary<infer One> ? One : never;

const nameOf = (index: number) => memberName(`host-${index + 1}`);

/** A deploy of v2 that a person aborted, and its context. */
function abortedDeploy({ count, deploy, vms, isOfMove }: Situation): {
  readonly record: AppRecord;
  readonly context: CommitContext;
} {
  const world = new World({ hosts: 4, proxies: 1 });
  world.submit(specOf("hello", { count }), "1");
  world.cooperate();
  world.submit(specOf("hello", { count, deploy }), "2");
  world.abort();
  const record = world.committed?.record;
  if (record === undefined) throw new Error("nothing was committed");
  const rollout = {
    ...rolloutOf(record),
    direction: "back" as const,
    step: null,
    ...(isOfMove ? { before: count } : {}),
  };
  const placed = vms.map(
    (one, index): DesiredVm => ({
      ...{ vm: vmName(`hello-v${one.release}-x${index}`), release: one.release, phase: one.phase },
      ...{ host: nameOf(one.host), requires: null },
    }),
  );
  return { record: { ...record, rollout, vms: placed }, context: world.machine.context(0) };
}

function factsOf(record: AppRecord, { hosts, areWell }: Situation, facts: Facts): Facts {
  const all = hosts.map(({ state, capacity }, index) => {
    const isDead = state === "dead" || state === "lost";
    const vms = record.vms.filter((one) => one.host === nameOf(index)).length;
    const fact = { host: nameOf(index), open: !isDead, vms, capacity, cordoned: state === "cordoned" };
    return { ...fact, ...(isDead ? { deadSinceMs: 1 } : {}) };
  });
  const version = { incarnation: 1, startId: 1, counter: 1 };
  const seen = record.vms.map((one) => {
    const entry = { ...entryOf(one, record.app), ...(areWell ? HEALTHY : {}) };
    return [one.vm, new Map([[one.host, { entry, version }]])] as const;
  });
  return {
    ...facts,
    vms: new Map(seen),
    hosts: new Map(all.map((fact) => [fact.host, fact])),
    lost: new Set(all.filter((_, index) => hosts[index]?.state === "lost").map((fact) => fact.host)),
  };
}

/** Each step as text, until none follows or one must wait. */
function stepsBack(at: Situation): readonly string[] {
  let { record, context } = abortedDeploy(at);
  let retiring: readonly VmName[] = [];
  const steps: string[] = [];
  while (steps.length <= STEPS_MAX) {
    context = { ...context, facts: factsOf(record, at, context.facts) };
    const planned = planBack(record, retiring, context);
    if (planned === null || isDone(record, planned)) return steps;
    if (missingBefore(record, planned, context.facts).length > 0) return steps;
    const applied = withStep(withStepEnded(record, { waitedMs: 0, outcome: "" }), planned, context);
    if (applied.code === "no-host") return steps;
    record = applied.record;
    retiring = at.isAnswered ? retiringOf(rolloutOf(record).step) : [];
    steps.push(`${planned.kind} ${planned.vms.join(" ")}`);
  }
  return steps;
}

it(
  "comes to an end wherever the VMs are",
  () => {
    fc.assert(
      fc.property(situation, (at) => {
        const steps = stepsBack(at);
        expect(steps.length, steps.join("\n")).toBeLessThanOrEqual(STEPS_MAX);
      }),
      RUNS,
    );
  },
  TIMEOUT_MS,
);
