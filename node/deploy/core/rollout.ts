// Rollout: the machine that drives one app. It keeps what was observed, and after each input asks `decide` for the next move.
// Level-triggered: the committed record says which step is in force, so that a driver that restarts goes on from the record alone.

import type {
  Ack,
  AppName,
  AppRecord,
  CanaryCounts,
  CommittedApp,
  Demand,
  GateStanding,
  MemberName,
  VmName,
} from "../../../mesh/index.ts";
import type { AppView } from "../app-view.ts";
import { isOfStep } from "./canary/evidence.ts";
import { type CommitContext, fitted } from "./commits.ts";
import { deadlineMsOf, holdOf, isForPerson, silenceOf, wantResumed } from "./deadlines.ts";
import { type Decision, decide, standingOfRollout } from "./decide.ts";
import { describeRecord, describeRollout } from "./describe.ts";
import type { HostFact, ObservedVm, ProxyFact } from "./facts.ts";
import { FENCE_OVER, fencesOf, returnedOf, withoutEndedFences } from "./fences.ts";
import { HeardDemands } from "./heard-demands.ts";
import { withoutLeftovers } from "./housekeeping.ts";
import { departedKey, leaseLeftMs, withDeparted } from "./may-run.ts";
import { noFacts, type OwnFacts } from "./own-facts.ts";
import { repairOf } from "./repair.ts";
import { sleepOf, wakeOf } from "./sleep.ts";
import type { Standing, Want } from "./standing.ts";
import { StepClock } from "./step-clock.ts";
import { viewOf } from "./view.ts";

/**
 * - `committed`: what the register has: after a swap of ours, a conflict, a read, or someone else's commit.
 *   It ends our swap under way, whatever became of it. `isInCharge`: as `charge` says of it.
 * - `vm`: the entry of a VM of this app as its host wrote it; null: deleted.
 * - `ack`: the newest standing of one proxy. `proxies`, `hosts`: all that are known, whole.
 * - `counts`: what one start of a proxy counted while a canary bakes.
 * - `gate`: what the gate of one host confirms now of this app.
 * - `demand`: what a proxy says of who asks for this app, which may sleep.
 * - `charge`: whether this machine is the one that swaps; others only watch. It is, until it hears otherwise.
 * - `stalled`: why our swap under way cannot be carried out yet; null: it can again.
 * - `tick`: the time that `schedule` asked for has come.
 */
export type RolloutInput =
  | { readonly kind: "committed"; readonly committed: CommittedApp; readonly isInCharge?: boolean }
  | {
      readonly kind: "vm";
      readonly host: MemberName;
      readonly vm: VmName;
      readonly observed: ObservedVm | null;
    }
  | { readonly kind: "ack"; readonly proxy: MemberName; readonly ack: Ack }
  | {
      readonly kind: "counts";
      readonly proxy: MemberName;
      readonly startId: string;
      readonly counts: CanaryCounts;
    }
  | { readonly kind: "gate"; readonly host: MemberName; readonly standing: GateStanding }
  | { readonly kind: "demand"; readonly proxy: MemberName; readonly demand: Demand }
  | { readonly kind: "proxies"; readonly proxies: readonly ProxyFact[] }
  | { readonly kind: "hosts"; readonly hosts: readonly HostFact[] }
  | { readonly kind: "charge"; readonly isInCharge: boolean }
  | { readonly kind: "stalled"; readonly reason: string | null }
  | { readonly kind: "tick" };

/**
 * - `swap`: commit `next` over `expectedEpoch`, then answer with `committed`. Never two at once.
 * - `schedule`: send a `tick` at `atMs`; replaces the one before. - `changed`: the view is another.
 */
export type RolloutEffect =
  | { readonly kind: "swap"; readonly expectedEpoch: number; readonly next: AppRecord; readonly why: string }
  | { readonly kind: "schedule"; readonly atMs: number }
  | {
      readonly kind: "log";
      readonly message: string;
      readonly fields: Readonly<Record<string, string | number>>;
    }
  | { readonly kind: "changed" };

export interface RolloutOptions {
  readonly app: AppName;
  /** The agent that this machine runs in: it is named in each commit. */
  readonly driver: MemberName;
  /** Wall clock minus the clock of `nowMs`: what is shown to people carries the wall clock. */
  readonly wallOffsetMs: number;
  /** A host that is held dead for so long has its VMs replaced: longer than a restart of its agent takes. */
  readonly repairAfterMs: number;
}

export class Rollout {
  readonly #options: RolloutOptions;
  readonly #facts: OwnFacts = noFacts();
  /** What the register has, as far as we know; null until the first `committed`. */
  #committed: CommittedApp | null = null;
  /** The epoch that our swap under way expects; null: none is. */
  #swapping: number | null = null;
  #isInCharge = true;
  #stalled: string | null = null;
  #clock = new StepClock();
  #scheduledMs: number | null = null;
  /** Since when the epoch in force is known here. */
  #epochSinceMs = 0;
  /** What the rollout waits for, by the last decision. */
  #wants: readonly Want[] = [];
  readonly #silent = new Set<MemberName>();
  readonly #demands = new HeardDemands();
  /** When we first knew of the commit by which something left, by `departedKey`. */
  #departedAtMs: ReadonlyMap<string, number> = new Map();

  constructor(options: RolloutOptions) {
    this.#options = options;
  }

  step(input: RolloutInput, nowMs: number): readonly RolloutEffect[] {
    const effects: RolloutEffect[] = [];
    if (input.kind !== "tick") {
      if (!this.#learn(input, nowMs, effects)) return effects;
      // Repeated again and again: what comes of it is a commit.
      if (input.kind !== "demand") effects.push({ kind: "changed" });
    }
    this.#evaluate(nowMs, effects);
    return effects;
  }

  get isInCharge(): boolean {
    return this.#isInCharge;
  }

  get committed(): CommittedApp | null {
    return this.#committed;
  }

  /** Null until the first `committed`. */
  view(nowMs: number): AppView | null {
    if (this.#committed === null) return null;
    return viewOf({
      committed: this.#committed,
      facts: this.#facts,
      standing: this.#standing(this.#committed),
      wants: this.#wants,
      clock: this.#clock,
      stalled: this.#stalled,
      nowMs,
      wallMs: this.#wallMs(nowMs),
    });
  }

  /** What submitting needs to know. */
  context(nowMs: number): CommitContext {
    return { driver: this.#options.driver, wallMs: this.#wallMs(nowMs), facts: this.#facts };
  }

  describe(): string {
    const { app } = this.#options;
    if (this.#committed === null) return `${app}: not read yet`;
    const waits = this.#wants.map((want) => `${want.who} ${want.what}`).join("; ");
    const stalled = this.#stalled === null ? "" : `: ${this.#stalled}`;
    const swap = this.#swapping === null ? "" : `, swapping epoch ${this.#swapping}${stalled}`;
    return `${describeRecord(this.#committed)}${waits === "" ? "" : `, waits for ${waits}`}${swap}`;
  }

  /** False: nothing new, nothing to decide. */
  #learn(input: Exclude<RolloutInput, { kind: "tick" }>, nowMs: number, effects: RolloutEffect[]): boolean {
    switch (input.kind) {
      case "committed":
        if (!this.#learnCommitted(input.committed, nowMs, effects)) return false;
        this.#isInCharge = input.isInCharge ?? this.#isInCharge;
        return true;
      case "vm":
        return this.#learnVm(input);
      case "ack": {
        const before = this.#facts.acks.get(input.proxy);
        this.#facts.acks.set(input.proxy, input.ack);
        this.#facts.heardAtMs.set(input.proxy, nowMs);
        return before === undefined || JSON.stringify(before) !== JSON.stringify(input.ack);
      }
      case "counts":
        return this.#learnCounts(input);
      case "gate": {
        const before = this.#facts.gates.get(input.host);
        this.#facts.gates.set(input.host, input.standing);
        this.#facts.heardAtMs.set(input.host, nowMs);
        return JSON.stringify(before) !== JSON.stringify(input.standing);
      }
      case "demand":
        this.#demands.take(input.proxy, input.demand, nowMs);
        return true;
      case "proxies":
        this.#facts.proxies.clear();
        for (const fact of input.proxies) this.#facts.proxies.set(fact.proxy, fact);
        return true;
      case "hosts":
        this.#facts.hosts.clear();
        for (const fact of input.hosts) this.#facts.hosts.set(fact.host, fact);
        return true;
      case "charge": {
        const isNews = input.isInCharge !== this.#isInCharge;
        this.#isInCharge = input.isInCharge;
        return isNews;
      }
      case "stalled": {
        const isNews = input.reason !== this.#stalled;
        this.#stalled = input.reason;
        return isNews;
      }
    }
  }

  /** Of the bake in force alone, and of proxies: others come too early, and again, or too late, or from who counts nothing. */
  #learnCounts({ proxy, startId, counts }: Extract<RolloutInput, { kind: "counts" }>): boolean {
    const record = this.#committed?.record;
    if (record === undefined || !isOfStep(counts, record) || !this.#facts.proxies.has(proxy)) return false;
    return this.#facts.counts.take(proxy, startId, counts);
  }

  #learnVm({ vm, host, observed }: Extract<RolloutInput, { kind: "vm" }>): boolean {
    const ofVm = this.#facts.vms.get(vm);
    if (observed === null) {
      const isKnown = ofVm?.delete(host) === true;
      if (ofVm?.size === 0) this.#facts.vms.delete(vm);
      return isKnown;
    }
    if (ofVm === undefined) this.#facts.vms.set(vm, new Map([[host, observed]]));
    else ofVm.set(host, observed);
    return true;
  }

  #learnCommitted(committed: CommittedApp, nowMs: number, effects: RolloutEffect[]): boolean {
    const before = this.#committed;
    // Late: someone told us of a newer one already.
    if (before !== null && committed.epoch < before.epoch) return false;
    this.#swapping = null;
    this.#stalled = null;
    if (before?.epoch === committed.epoch) return true;
    this.#committed = committed;
    const departed = (committed.record.mayRun ?? []).map(departedKey);
    this.#departedAtMs = new Map(departed.map((key) => [key, this.#departedAtMs.get(key) ?? nowMs]));
    this.#epochSinceMs = nowMs;
    this.#facts.expected.clear();
    for (const proxy of committed.record.rollout?.proxies ?? []) this.#facts.expected.add(proxy);
    if (before?.record.rollout?.id !== committed.record.rollout?.id) this.#silent.clear();
    if (before?.record.rollout?.step?.number !== committed.record.rollout?.step?.number)
      this.#facts.counts.clear();
    this.#clock = this.#clock.next(before?.record ?? null, committed.record, {
      nowMs,
      wallMs: this.#wallMs(nowMs),
    });
    const [from, to] = [describeRollout(before?.record ?? null), describeRollout(committed.record)];
    if (from !== to) {
      const fields = { app: this.#options.app, epoch: committed.epoch, from, to };
      effects.push({ kind: "log", message: "rollout", fields });
    }
    return true;
  }

  #standing(committed: CommittedApp): Standing {
    return standingOfRollout(committed, this.#facts);
  }

  #wallMs(nowMs: number): number {
    return Math.round(nowMs + this.#options.wallOffsetMs);
  }

  /** The one place where it is decided, with the newest facts: conditions are checked again right before each swap. */
  #evaluate(nowMs: number, effects: RolloutEffect[]): void {
    const committed = this.#committed;
    if (committed === null) return;
    const { rollout } = committed.record;
    this.#facts.returned = returnedOf(committed.record, this.#facts);
    const nextLostMs = this.#noteLost(nowMs);
    this.#facts.bakedMs = nowMs - this.#clock.knownSinceMs;
    this.#facts.wanted = this.#demands.wanted(nowMs);
    this.#facts.quietMs = this.#demands.quietMs(nowMs);
    this.#facts.departedMs.clear();
    for (const [key, atMs] of this.#departedAtMs) this.#facts.departedMs.set(key, nowMs - atMs);
    if (rollout?.state !== "running") this.#wants = [];
    const standing = this.#standing(committed);
    if (rollout?.state === "running") this.#clock.note({ committed, standing, facts: this.#facts, nowMs });
    if (rollout?.state === "paused") this.#wants = [wantResumed(committed.record)];
    if (this.#swapping !== null) return;
    // What it brought is its own still, and nothing moves: no deadline counts, no VM is replaced.
    if (rollout?.state === "paused") {
      const next = withoutEndedFences(committed.record, this.#facts);
      if (next !== committed.record) this.#swap({ next: fitted(next), why: FENCE_OVER }, committed, effects);
      return;
    }
    if (rollout?.state !== "running") {
      this.#keepHouse(committed, nowMs, effects);
      return;
    }
    const hold = holdOf(committed, standing, this.#clock, nowMs);
    // What a clock or a person holds up is nobody's silence.
    const isHeld = hold !== null || isForPerson(rollout);
    const deadlineMs = hold?.untilMs ?? deadlineMsOf(committed, standing, this.#clock);
    const isOverdue = !isHeld && nowMs >= deadlineMs;
    if (isOverdue) this.#noteSilent(standing);
    // From the last that did answer on: while nobody does, it is not the proxies that are silent.
    const sinceMs = Math.max(this.#epochSinceMs, this.#clock.progressAtMs);
    const silence = isHeld ? null : silenceOf(committed, standing, this.#facts, sinceMs);
    const toExclude = silence !== null && nowMs >= silence.atMs ? silence.proxies : [];
    const held = hold === null ? standing : { ...standing, wants: [hold.want] };
    const silent = this.#silent;
    // Who answered when is put together only where the step is over: not at each of a thousand answers.
    const end = () => this.#clock.endOf(committed, standing, this.#facts, nowMs);
    const input = { ...this.context(nowMs), committed, standing: held, end, isOverdue, silent, toExclude };
    // Where there is no room to exclude anybody the deadline is what is left.
    const silenceMs = toExclude.length > 0 ? deadlineMs : (silence?.atMs ?? deadlineMs);
    const leaseMs = leaseLeftMs(committed.record, this.#facts);
    const leaseAtMs = leaseMs === null ? deadlineMs : nowMs + leaseMs;
    const dueAtMs = Math.min(deadlineMs, silenceMs, nextLostMs ?? deadlineMs, leaseAtMs);
    this.#follow(decide(input), { committed, dueAtMs }, effects);
  }

  /** Which hosts are dead for long enough now, or fenced. Returns when the next one will be, or null. */
  #noteLost(nowMs: number): number | null {
    const { wallOffsetMs, repairAfterMs } = this.#options;
    this.#facts.lost.clear();
    let nextMs: number | null = null;
    for (const { host, deadSinceMs } of this.#facts.hosts.values()) {
      if (deadSinceMs === undefined) continue;
      const atMs = deadSinceMs + repairAfterMs - wallOffsetMs;
      if (atMs <= nowMs) this.#facts.lost.add(host);
      else nextMs = Math.min(nextMs ?? atMs, atMs);
    }
    const record = this.#committed?.record;
    if (record !== undefined)
      for (const { host } of fencesOf(record, this.#facts)) this.#facts.lost.add(host);
    return nextMs;
  }

  #keepHouse(committed: CommittedApp, nowMs: number, effects: RolloutEffect[]): void {
    const wallMs = this.#wallMs(nowMs);
    const next = withoutLeftovers(committed, this.#facts, wallMs);
    const isUnfenced = next?.fenced !== committed.record.fenced;
    const why = isUnfenced ? FENCE_OVER : "retired what was left over";
    if (next !== null) this.#swap({ next, why }, committed, effects);
    const context = this.context(nowMs);
    const repair = repairOf(committed, context, this.#options.repairAfterMs);
    const own = [repair, wakeOf(committed, context), sleepOf(committed, context)];
    const begun = own.find((one) => one.code === "begin");
    if (next === null && begun !== undefined) {
      this.#swap({ next: begun.record, why: begun.why }, committed, effects);
      return;
    }
    const dueAtMs = own.map((one) => (one.code === "none" ? (one.dueAtMs ?? 0) : 0));
    const due = [committed.record.kept?.untilMs ?? 0, ...dueAtMs].filter((atMs) => atMs > wallMs);
    if (due.length > 0) this.#schedule(Math.min(...due) - this.#options.wallOffsetMs, effects);
  }

  #follow(
    decision: Decision,
    { committed, dueAtMs }: { readonly committed: CommittedApp; readonly dueAtMs: number },
    effects: RolloutEffect[],
  ): void {
    if (decision.code === "swap") {
      this.#wants = [];
      this.#swap(decision, committed, effects);
      return;
    }
    this.#wants = decision.wants;
    if (!isForPerson(committed.record.rollout)) this.#schedule(dueAtMs, effects);
  }

  #schedule(atMs: number, effects: RolloutEffect[]): void {
    if (this.#scheduledMs === atMs) return;
    this.#scheduledMs = atMs;
    effects.push({ kind: "schedule", atMs });
  }

  #swap(
    { next, why }: { readonly next: AppRecord; readonly why: string },
    { epoch, record }: CommittedApp,
    effects: RolloutEffect[],
  ): void {
    if (!this.#isInCharge) return;
    this.#swapping = epoch;
    const whole = withDeparted(record, next, { epoch: epoch + 1, facts: this.#facts });
    effects.push({ kind: "swap", expectedEpoch: epoch, next: whole, why });
  }

  #noteSilent({ wants }: Standing): void {
    for (const want of wants) if (want.kind === "proxy") this.#silent.add(want.who as MemberName);
  }
}
