// Step clock: since when the step in force waits, when it last came nearer to its end, and who answered after how long.

import type {
  AppRecord,
  CommittedApp,
  MemberName,
  Rollout,
  RolloutStep,
  VmName,
} from "../../../mesh/index.ts";
import type { CutoverView } from "../app-view.ts";
import { describeEvidence, type Evidence, evidenceOf } from "./canary/evidence.ts";
import type { StepEnd } from "./commits.ts";
import { type Facts, lostHostsOf, observed } from "./facts.ts";
import { fencedOf } from "./fences.ts";
import { countRequests, type Standing } from "./standing.ts";

interface Now {
  readonly nowMs: number;
  readonly wallMs: number;
}

export class StepClock {
  #sinceMs = 0;
  #knownSinceMs = 0;
  #progressAtMs = 0;
  /** Progress is a score above this: a VM that crashes and comes back for ever makes none. */
  #scoreMax = -1;
  /** Since when nothing is missing; null: something is. */
  #settledAtMs: number | null = null;
  readonly #answeredMs = new Map<MemberName, number>();
  #cutover: CutoverView | null = null;

  get sinceMs(): number {
    return this.#sinceMs;
  }
  get progressAtMs(): number {
    return this.#progressAtMs;
  }
  /** Since when this driver knows the step: what only delays counts from there. */
  get knownSinceMs(): number {
    return this.#knownSinceMs;
  }
  get settledAtMs(): number | null {
    return this.#settledAtMs;
  }
  get cutover(): CutoverView | null {
    return this.#cutover;
  }

  /** The clock of `after`'s step: this one if the step is the same. A restarted driver counts its deadline anew. */
  next(before: AppRecord | null, after: AppRecord, now: Now): StepClock {
    if (before !== null && stepId(before) === stepId(after)) return this;
    const clock = new StepClock();
    const startedAtMs = after.rollout?.step?.startedAtMs ?? now.wallMs;
    const ageMs = before === null ? Math.max(0, now.wallMs - startedAtMs) : 0;
    clock.#sinceMs = now.nowMs - ageMs;
    clock.#knownSinceMs = now.nowMs;
    clock.#progressAtMs = now.nowMs;
    if (before?.rollout?.id === after.rollout?.id) clock.#cutover = this.#cutover;
    return clock;
  }

  /** Takes in how far the step is now. */
  note(input: {
    readonly committed: CommittedApp;
    readonly standing: Standing;
    readonly facts: Facts;
    readonly nowMs: number;
  }): void {
    const { committed, standing, facts, nowMs } = input;
    if (standing.score > this.#scoreMax) {
      this.#scoreMax = standing.score;
      this.#progressAtMs = nowMs;
    }
    this.#settledAtMs = standing.wants.length > 0 ? null : (this.#settledAtMs ?? nowMs);
    for (const proxy of standing.acks?.have ?? []) {
      if (!this.#answeredMs.has(proxy)) this.#answeredMs.set(proxy, nowMs - this.#sinceMs);
    }
    const { rollout } = committed.record;
    const step = rollout?.step;
    const isCutover = step?.kind === "cordon" || step?.kind === "flip";
    if (isCutover && rollout?.direction === "forward" && rollout.kind === "deploy") {
      const seen = cutoverOf(committed.record, rollout, step, facts);
      // A later answer may tell less: proxies remember what left their tables for a while only.
      this.#cutover = {
        newHealthyAtMs: latest(this.#cutover?.newHealthyAtMs, seen.newHealthyAtMs),
        oldLastRequestAtMs: latest(this.#cutover?.oldLastRequestAtMs, seen.oldLastRequestAtMs),
      };
    }
  }

  /** The last that answered, of those that must. */
  slowest(standing: Standing): { readonly proxy: MemberName; readonly ms: number } | null {
    let slowest: { readonly proxy: MemberName; readonly ms: number } | null = null;
    for (const proxy of standing.acks?.have ?? []) {
      const ms = this.#answeredMs.get(proxy) ?? 0;
      if (slowest === null || ms > slowest.ms) slowest = { proxy, ms: Math.round(ms * 10) / 10 };
    }
    return slowest;
  }

  endOf(record: AppRecord, standing: Standing, facts: Facts, nowMs: number): StepEnd {
    const waitedMs = nowMs - this.#sinceMs;
    const step = record.rollout?.step;
    if (step == null) return { waitedMs, outcome: "" };
    const evidence = step.kind === "bake" ? evidenceOf(record, facts) : null;
    const outcome = this.#outcome(step, { standing, facts, waitedMs, evidence });
    return { waitedMs, outcome, ...fencedOfStep(step, record, facts) };
  }

  #outcome(
    step: RolloutStep,
    {
      standing,
      facts,
      waitedMs,
      evidence,
    }: {
      readonly standing: Standing;
      readonly facts: Facts;
      readonly waitedMs: number;
      readonly evidence: Evidence | null;
    },
  ): string {
    if (step.kind === "command") return `ended well after ${Math.round(waitedMs)} ms`;
    if (step.kind === "start") return `healthy after ${Math.round(waitedMs)} ms`;
    if (step.kind === "stop") return `gone after ${Math.round(waitedMs)} ms${leftList(step, facts)}`;
    if (step.kind === "approve") return "promoted";
    if (step.kind === "bake") return evidence === null ? "" : describeEvidence(evidence);
    const { acks } = standing;
    if (acks === null) return "no hostname: no proxy to ask";
    const slowest = this.slowest(standing);
    const named = slowest === null ? "" : `, slowest ${slowest.proxy} ${Math.round(slowest.ms)} ms`;
    return `acks ${acks.have.length}/${acks.need.length}${named}${cutList(step, facts)}`;
  }
}

function stepId({ rollout }: AppRecord): string {
  return `${rollout?.id} ${rollout?.state} ${rollout?.direction} ${rollout?.step?.number}`;
}

/** What only a lost host could stop is said. */
function leftList({ vms }: RolloutStep, facts: Facts): string {
  const left = vms.flatMap((vm) =>
    lostHostsOf(facts, vm).map((host) => `${vm} is left to ${host}, which is dead`),
  );
  return listed(left);
}

/** Of a step that takes VMs away. */
function fencedOfStep(step: RolloutStep, record: AppRecord, facts: Facts): Pick<StepEnd, "fenced"> {
  const takesAway = step.kind === "cordon" || step.kind === "flip" || step.kind === "stop";
  const fenced = takesAway ? fencedOf(record, facts, step.hosts ?? []) : [];
  return fenced.length === 0 ? {} : { fenced };
}

/** The first few. */
function listed(texts: readonly string[]): string {
  return texts
    .slice(0, 4)
    .map((text) => `; ${text}`)
    .join("");
}

/** What ran into the drain deadline is said. */
function cutList(step: RolloutStep, facts: Facts): string {
  if (step.kind !== "cordon" && step.kind !== "flip") return "";
  const cuts = [...facts.acks].flatMap(([proxy, ack]) =>
    ack.cut
      .filter(({ vm, requests }) => requests > 0 && step.vms.includes(vm))
      .map(({ vm, requests }) => `${countRequests(requests)} to ${vm} cut at the drain deadline by ${proxy}`),
  );
  return listed(cuts);
}

/** From the moment when the last new VM was healthy to the last request that any proxy sent to an old one. */
function cutoverOf(record: AppRecord, rollout: Rollout, step: RolloutStep, facts: Facts): CutoverView {
  const ofNew = record.vms.filter((vm) => vm.release === rollout.to && vm.phase === "serving");
  const healthy = ofNew.flatMap((vm) => observed(facts, vm)?.entry.healthyAtMs ?? []);
  return {
    newHealthyAtMs: latest(...healthy),
    oldLastRequestAtMs: latest(...lastDispatches(step.vms, facts)),
  };
}

function lastDispatches(vms: readonly VmName[], facts: Facts): readonly number[] {
  return [...facts.acks.values()].flatMap((ack) =>
    ack.lastDispatch.filter(({ vm }) => vms.includes(vm)).map(({ atMs }) => atMs),
  );
}

function latest(...times: readonly (number | null | undefined)[]): number | null {
  const known = times.filter((time) => time != null);
  return known.length === 0 ? null : Math.max(...known);
}
