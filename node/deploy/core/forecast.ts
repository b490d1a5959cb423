// Forecast: the steps that a rollout takes from its record on, if each is answered, and whom each asks. The same functions lead the rollout:
// `planNext` says what follows, `withStep` makes the record of it, `standingOf` says what it waits for. Only the facts stand still.

import {
  type AppRecord,
  type CommittedApp,
  describeDuration,
  type MemberName,
  type RolloutStep,
} from "../../../mesh/index.ts";
import type { PlannedStepView, PlanView } from "../plan-view.ts";
import { describeAsk } from "./asks.ts";
import { type CommitContext, keepOldMs, rolloutOf, withStep, withStepEnded } from "./commits.ts";
import { costsOf } from "./costs.ts";
import { counted, releaseName } from "./describe.ts";
import type { Facts, HostFact } from "./facts.ts";
import type { PastTimes } from "./past-times.ts";
import { planNext, retiringOf } from "./plan-next.ts";
import { isReplacing } from "./replacing.ts";
import { sparedOf, standingOf } from "./standing.ts";

/** A step in force, with the record that it was committed in. */
export interface ForeseenStep {
  readonly step: RolloutStep;
  readonly committed: CommittedApp;
}

/** Each VM is started, served, cordoned and stopped, one at a time: with as many VMs as an app may have. */
const STEPS_MAX = 1_000;

/** Of a deploy's record as it would be committed, or is: its step in force comes first. */
export function planViewOf(
  begun: CommittedApp,
  { joined, past }: Pick<PlanView, "joined"> & { readonly past: PastTimes },
  context: CommitContext,
): PlanView {
  const { record } = begun;
  const { id, from, to } = rolloutOf(record);
  const release = record.releases.find(({ number }) => number === to);
  if (release === undefined) throw new Error(`${record.app}: a deploy without a release`);
  const { deploy } = release.spec;
  const { foreseen, stuck } = foresee(begun, context);
  const steps = foreseen.map((one) => stepViewOf(one, context.facts));
  return {
    app: record.app,
    rollout: id,
    strategy: deploy.strategy,
    from: releaseName(from),
    to: `v${to}`,
    epoch: joined ? begun.epoch : begun.epoch - 1,
    joined,
    steps,
    end: describeEnd(record, release),
    waitTimeoutMs: deploy.waitTimeoutMs,
    costs: costsOf(record, foreseen, context.facts, past),
    stuck,
  };
}

function describeEnd(record: AppRecord, release: AppRecord["releases"][number]): string {
  const { count } = release.spec;
  const keepMs = keepOldMs(release);
  const { from } = rolloutOf(record);
  const isKept = keepMs > 0 && from !== null;
  const old = isKept
    ? `, v${from} is kept for ${describeDuration(keepMs)}`
    : ", nothing else of the app runs";
  return `${counted(count, "VM")} of v${release.number} healthy and in routing${old}`;
}

function foresee(
  begun: CommittedApp,
  context: CommitContext,
): { readonly foreseen: readonly ForeseenStep[]; readonly stuck: string | null } {
  const foreseen: ForeseenStep[] = [];
  let now = begun;
  while (foreseen.length < STEPS_MAX) {
    const { step } = rolloutOf(now.record);
    if (step !== null) foreseen.push({ step, committed: now });
    const planned = planNext(approved(now.record), retiringOf(step), context.facts);
    if (planned === null) return { foreseen, stuck: null };
    const ended = withStepEnded(approved(now.record), { waitedMs: 0, outcome: "" });
    const facts = { ...context.facts, hosts: loaded(context.facts, begun.record, now.record) };
    const applied = withStep(ended, planned, { ...context, facts });
    if (applied.code === "no-host") return { foreseen, stuck: applied.message };
    now = { epoch: now.epoch + 1, record: applied.record };
  }
  throw new Error(`${begun.record.app}: no end after ${STEPS_MAX} steps`);
}

/** A person's word comes with its step. */
function approved(record: AppRecord): AppRecord {
  const rollout = rolloutOf(record);
  return rollout.step?.kind === "approve" ? { ...record, rollout: { ...rollout, approved: true } } : record;
}

/** The hosts with what the rollout has placed there since, and taken away: placement looks at it. */
function loaded({ hosts }: Facts, before: AppRecord, { vms }: AppRecord): ReadonlyMap<MemberName, HostFact> {
  const countOf = (list: AppRecord["vms"], host: MemberName) => list.filter((vm) => vm.host === host).length;
  return new Map(
    [...hosts].map(([name, host]) => {
      const change = countOf(vms, name) - countOf(before.vms, name);
      return [name, { ...host, vms: Math.max(0, host.vms + change) }];
    }),
  );
}

function stepViewOf({ step, committed }: ForeseenStep, facts: Facts): PlannedStepView {
  const { asks, acks } = standingOf(step, committed, facts);
  const asked = { ...step, isReplacing: isReplacing(committed.record) };
  return {
    number: step.number,
    kind: step.kind,
    vms: step.vms,
    serves: step.serves ?? [],
    weights: step.weights ?? null,
    hosts: step.hosts ?? [],
    asks: asks.map((ask) => ({ kind: ask.kind, who: ask.who, what: describeAsk(ask, asked) })),
    quorum: acks?.quorum ?? 0,
    spared: acks === null ? [] : sparedOf(step, committed.record, acks.need, facts),
  };
}
