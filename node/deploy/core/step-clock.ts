// Step clock: since when the step in force waits, when it last came nearer to its end, and who answered after how long.

import {
  type AnswersReport,
  type AppRecord,
  ASKED_MAX,
  type Asked,
  type CommittedApp,
  type MemberName,
  type Rollout,
  type RolloutStep,
  SPARED_MAX,
  type VmName,
} from "../../../mesh/index.ts";
import type { CutoverView } from "../app-view.ts";
import type { Ask } from "./asks.ts";
import { describeEvidence, type Evidence, evidenceOf } from "./canary/evidence.ts";
import type { StepEnd } from "./commits.ts";
import { counted } from "./describe.ts";
import { type Facts, lostHostsOf, observed } from "./facts.ts";
import { fencedOf } from "./fences.ts";
import { isLeaving } from "./quorum.ts";
import { type Standing, sparedOf } from "./standing.ts";

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
  #hasSettled = false;
  /** Its time runs from the begin, whatever else is missing. */
  #isBake = false;
  /** By ask, of those that stand answered: what is asked anew, as after another commit, is answered anew. */
  readonly #answeredMs = new Map<string, number>();
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
  /** Once nothing was missing. */
  get hasSettled(): boolean {
    return this.#hasSettled;
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
    clock.#isBake = after.rollout?.step?.kind === "bake";
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
    this.#hasSettled ||= this.#settledAtMs !== null;
    for (const { isAnswered, ...ask } of standing.asks) {
      if (!isAnswered) this.#answeredMs.delete(keyOf(ask));
      else if (!this.#answeredMs.has(keyOf(ask))) this.#answeredMs.set(keyOf(ask), nowMs - this.#sinceMs);
    }
    const { rollout } = committed.record;
    const step = rollout?.step;
    if (
      step != null &&
      isLeaving(step.kind) &&
      rollout?.direction === "forward" &&
      rollout.kind === "deploy"
    ) {
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
      const ms = this.#answeredAfterMs({ kind: "proxy", who: proxy });
      if (slowest === null || ms > slowest.ms) slowest = { proxy, ms: Math.round(ms * 10) / 10 };
    }
    return slowest;
  }

  /** All that the step asks, and after how long each answer that stands came. */
  askedOf({ asks }: Pick<Standing, "asks">, nowMs: number): readonly Asked[] {
    return asks.map(({ isAnswered: _isAnswered, ...ask }) => ({ ...ask, ms: this.#answerOf(ask, nowMs) }));
  }

  #answerOf(ask: Ask, nowMs: number): number | null {
    if (ask.kind !== "clock") return rounded(this.#answeredMs.get(keyOf(ask)) ?? null);
    const fromMs = this.#isBake ? this.#knownSinceMs : (this.#settledAtMs ?? Number.POSITIVE_INFINITY);
    const atMs = fromMs + (ask.forMs ?? 0);
    return atMs > nowMs ? null : rounded(atMs - this.#sinceMs);
  }

  endOf({ epoch, record }: CommittedApp, standing: Standing, facts: Facts, nowMs: number): StepEnd {
    const waitedMs = nowMs - this.#sinceMs;
    const step = record.rollout?.step;
    if (step == null) return { waitedMs, outcome: "" };
    const evidence = step.kind === "bake" ? evidenceOf(record, facts) : null;
    const outcome = this.#outcome(step, { record, standing, facts, waitedMs, evidence });
    const answers = {
      epoch,
      ...this.#answers(standing, nowMs),
      ...sparedReport(step, record, standing, facts),
    };
    return { waitedMs, outcome, ...answers, ...fencedOfStep(step, record, facts) };
  }

  /** Bounded: those who have not answered, then the slowest. */
  #answers(standing: Standing, nowMs: number): AnswersReport {
    const all = this.askedOf(standing, nowMs);
    const { acks } = standing;
    const share = acks === null || acks.quorum >= acks.need.length ? {} : { quorum: acks.quorum };
    if (all.length <= ASKED_MAX) return { asked: all, ...share };
    const slowFirst = [...all].sort((left, right) => (right.ms ?? Infinity) - (left.ms ?? Infinity));
    const named = new Set(slowFirst.slice(0, ASKED_MAX));
    return { asked: all.filter((one) => named.has(one)), askedMore: all.length - named.size, ...share };
  }

  #outcome(
    step: RolloutStep,
    {
      record,
      standing,
      facts,
      waitedMs,
      evidence,
    }: {
      readonly record: AppRecord;
      readonly standing: Standing;
      readonly facts: Facts;
      readonly waitedMs: number;
      readonly evidence: Evidence | null;
    },
  ): string {
    if (step.kind === "command") return `ended well after ${Math.round(waitedMs)} ms`;
    if (step.kind === "start") return `healthy after ${Math.round(waitedMs)} ms`;
    if (step.kind === "prepare") return `prepared after ${Math.round(waitedMs)} ms`;
    if (step.kind === "handover") return this.#handedOver(step, standing) + leftList(step, facts);
    if (step.kind === "stop") return `gone after ${Math.round(waitedMs)} ms${leftList(step, facts)}`;
    if (step.kind === "approve") return "promoted";
    if (step.kind === "bake") return evidence === null ? "" : describeEvidence(evidence);
    if (step.kind === "hold")
      return `held for ${Math.round(waitedMs)} ms${this.#lastGate(standing)}${cutList(step, facts)}`;
    const { acks } = standing;
    const lifted = liftedText(step, record);
    if (acks === null) return `no hostname: no proxy to ask${lifted}`;
    const slowest = this.slowest(standing);
    const named = slowest === null ? "" : `, slowest ${slowest.proxy} ${Math.round(slowest.ms)} ms`;
    return `acks ${acks.have.length}/${acks.need.length}${named}${lifted}${cutList(step, facts)}`;
  }

  #handedOver({ vms, serves = [] }: RolloutStep, { asks }: Standing): string {
    const after = (names: readonly VmName[]) => {
      const ofThese = asks.filter(({ who }) => names.some((vm) => vm === who));
      return Math.round(Math.max(0, ...ofThese.map((ask) => this.#answeredAfterMs(ask))));
    };
    return `old gone after ${after(vms)} ms, new healthy after ${after(serves)} ms`;
  }

  /** The last to close, of those that were asked. */
  #lastGate({ asks }: Standing): string {
    const closed = asks.filter(({ kind }) => kind === "gate");
    const afterMs = (ask: Ask) => this.#answeredAfterMs(ask);
    const [last] = closed.toSorted((one, other) => afterMs(other) - afterMs(one));
    return last === undefined ? "" : `, last to close ${last.who} ${Math.round(afterMs(last))} ms`;
  }

  #answeredAfterMs(ask: Ask): number {
    return this.#answeredMs.get(keyOf(ask)) ?? 0;
  }
}

function keyOf({ kind, who, vm }: Ask): string {
  return `${kind} ${who} ${vm ?? ""}`;
}

/** To a tenth of a millisecond. */
function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 10) / 10;
}

function sparedReport(
  step: RolloutStep,
  record: AppRecord,
  { acks }: Standing,
  facts: Facts,
): Pick<AnswersReport, "spared"> {
  if (acks === null) return {};
  const spared = sparedOf(step, record, acks.need, facts).slice(0, SPARED_MAX);
  return spared.length === 0 ? {} : { spared };
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
  const takesAway = isLeaving(step.kind) || step.kind === "stop";
  const fenced = takesAway ? fencedOf(record, facts, step.hosts ?? []) : [];
  return fenced.length === 0 ? {} : { fenced };
}

/** How long requests were held, of a step that lifts what another than the one before it placed. */
function liftedText({ kind, startedAtMs }: RolloutStep, { rollout }: AppRecord): string {
  const history = rollout?.history ?? [];
  if (kind !== "serve") return "";
  const held = history.slice(history.findLastIndex((report) => report.kind === "serve") + 1);
  const hold = held.find((report) => report.kind === "hold");
  const fromMs = hold === held.at(-1) ? undefined : hold?.startedAtMs;
  return fromMs === undefined
    ? ""
    : `, requests were held for ${Math.max(0, Math.round(startedAtMs - fromMs))} ms`;
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
  if (!isLeaving(step.kind)) return "";
  const cuts = [...facts.acks].flatMap(([proxy, ack]) =>
    ack.cut
      .filter(({ vm, requests }) => requests > 0 && step.vms.includes(vm))
      .map(
        ({ vm, requests }) =>
          `${counted(requests, "request")} to ${vm} cut at the drain deadline by ${proxy}`,
      ),
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
