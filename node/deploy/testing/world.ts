// A world of one app for tests of its machine: a register of one app, proxies that really hold a table and requests, VMs as entries.
// Every commit is judged by the invariants, from what is true and not from what the machine was told.

import assert from "node:assert/strict";
import {
  type AppRecord,
  type AppSpec,
  appName,
  type CommittedApp,
  type Demand,
  type MemberName,
  memberName,
  placedVms,
  type VmEntry,
  type VmName,
  type Weights,
} from "../../../mesh/index.ts";
import type { CommitContext } from "../core/commits.ts";
import { describeRecord } from "../core/describe.ts";
import { withExcluded, withIncluded } from "../core/exclusions.ts";
import type { HostFact, ObservedVm } from "../core/facts.ts";
import { withFenced } from "../core/fences.ts";
import { planViewOf } from "../core/forecast.ts";
import { pastTimesOf } from "../core/past-times.ts";
import { heldByPerson, releasedByPerson } from "../core/person-hold.ts";
import { Rollout, type RolloutEffect, type RolloutInput } from "../core/rollout.ts";
import {
  type Submission,
  submitAbort,
  submitDeploy,
  submitDestroy,
  submitPromote,
  submitStop,
} from "../core/submit.ts";
import { submitPause, submitResume } from "../core/submit-pause.ts";
import { submitRollback } from "../core/submit-rollback.ts";
import { submitTraffic } from "../core/submit-traffic.ts";
import type { PlanView } from "../plan-view.ts";
import { ConfirmingHosts } from "./confirming-hosts.ts";
import { decoded } from "./decoded.ts";
import { entryOf } from "./fake-host.ts";
import { healWorld } from "./heal-world.ts";
import { Judge, routesTo } from "./judge.ts";
import { countsInput, type ToldCounts } from "./told-counts.ts";
import { type TrueProxy, trueProxy } from "./true-proxy.ts";

const APP = appName("hello");
const DRIVER = memberName("host-1");
/** More commits than that of which none waits for anything are one that comes again and again. */
const IN_A_ROW_MAX = 20;
/** 2026-01-01: the wall clock at the start of a world. */
const WALL_START_MS = 1_767_225_600_000;

export class World {
  nowMs = 0;
  committed: CommittedApp | null = null;
  machine: Rollout;
  readonly proxies: Map<MemberName, TrueProxy> = new Map();
  /** Proxies that neither hear nor say anything while all others do their part. */
  readonly silent: Set<MemberName> = new Set();
  readonly hosts: Set<MemberName> = new Set();
  /** Hosts that their peers hold dead, since when. */
  readonly dead: Map<MemberName, number> = new Map();
  /** Of those, the ones that really are off and of which a person said so. */
  readonly off: Set<MemberName> = new Set();
  readonly draining: Set<MemberName> = new Set();
  readonly confirming: ConfirmingHosts = new ConfirmingHosts();
  /** What the gate of each host has on its disk; null: hosts have no gates. */
  readonly gates: Map<MemberName, CommittedApp> | null;
  readonly #starts = new Map<MemberName, number>();
  readonly entries: Map<VmName, ObservedVm> = new Map();
  readonly counted: Map<MemberName, Map<string, number>> = new Map();
  /** What happened, one line each. */
  readonly lines: string[] = [];
  /** A swap that is not carried out by itself: `commitHeld`, or lost with the driver. */
  isHoldingSwaps = false;
  held: Extract<RolloutEffect, { kind: "swap" }> | null = null;
  dueAtMs: number | null = null;
  readonly #judge = new Judge();
  /** Whom the driver of the last swap took for off, and for dead: who is back while it is on its way, it cannot know. */
  #decided: Pick<World, "off" | "dead"> | null = null;
  #versions = 0;
  #inARow = 0;

  constructor(options: { readonly hosts: number; readonly proxies: number; readonly isGated?: boolean }) {
    this.gates = options.isGated === true ? new Map() : null;
    for (let index = 1; index <= options.hosts; index += 1) this.hosts.add(memberName(`host-${index}`));
    for (let index = 1; index <= options.proxies; index += 1) this.join(memberName(`proxy-${index}`));
    this.machine = this.#newMachine();
    this.membersChanged();
  }

  #newMachine(): Rollout {
    return new Rollout({ app: APP, driver: DRIVER, wallOffsetMs: WALL_START_MS, repairAfterMs: 60_000 });
  }

  join(proxy: MemberName): void {
    this.proxies.set(proxy, trueProxy(this.committed));
  }

  /** The driver is killed and starts again: all that it knew is gone, a held swap with it. Answers must be told anew. */
  restart(): void {
    this.machine = this.#newMachine();
    this.held = null;
    this.dueAtMs = null;
    this.membersChanged();
    for (const entry of this.entries.values()) this.#feedVm(entry.entry.vm);
    if (this.committed !== null) this.feed({ kind: "committed", committed: this.committed });
  }

  membersChanged(): void {
    this.feed({ kind: "hosts", hosts: [...this.hosts].map((host) => this.#hostFact(host)) });
    const known = [...this.proxies].filter(([, proxy]) => proxy.known);
    const proxies = known.map(([proxy, { registered, connected }]) => ({ proxy, registered, connected }));
    this.feed({ kind: "proxies", proxies });
  }

  #hostFact(host: MemberName): HostFact {
    return {
      host,
      open: !this.dead.has(host),
      start: { incarnation: this.#starts.get(host) ?? 1, startId: 1 },
      ...(this.dead.has(host) ? { deadSinceMs: this.dead.get(host) ?? 0 } : {}),
      ...(this.gates === null ? {} : { hasGate: true }),
      ...this.confirming.factOf(host, this.committed, this.entries.values()),
      ...(this.draining.has(host) ? { cordoned: true, draining: true } : {}),
      vms: this.committed?.record.vms.filter((vm) => vm.host === host).length ?? 0,
    };
  }

  submit(spec: AppSpec, specHash: string, supersedes = false): Submission {
    const apps = this.committed === null ? [] : [this.committed];
    return this.ask((_, context) => submitDeploy({ app: APP, spec, specHash, apps, supersedes }, context));
  }

  /** What `submit` would do, changing nothing. */
  plan(spec: AppSpec, specHash: string): PlanView {
    const apps = this.committed === null ? [] : [this.committed];
    const context = this.machine.context(this.nowMs);
    const submission = submitDeploy({ app: APP, spec, specHash, apps }, context);
    assert.ok(submission.code === "begin", submission.code);
    const begun = { epoch: (this.committed?.epoch ?? 0) + 1, record: submission.record };
    const { record } = this.committed ?? {};
    const past = pastTimesOf(record?.rollout == null ? [] : [record.rollout], record, context.facts);
    return planViewOf(begun, { joined: false, past }, context);
  }

  stopVm(vm: VmName): Submission {
    return this.#begin(submitStop(this.committed, vm, this.machine.context(this.nowMs)));
  }

  promote(): Submission {
    return this.#begin(submitPromote(this.committed, APP));
  }

  /** Its peers hold this host dead; what it says of its VMs stays as it was. */
  hostDies(host: MemberName): void {
    this.dead.set(host, WALL_START_MS + this.nowMs);
    this.membersChanged();
  }

  /** It is heard again; `isNew`: its agent started anew. What a person said of its death is over. */
  hostBack(host: MemberName, { isNew }: { readonly isNew: boolean }): void {
    if (!this.dead.delete(host)) return;
    this.off.delete(host);
    if (isNew) this.#starts.set(host, (this.#starts.get(host) ?? 1) + 1);
    this.membersChanged();
  }

  /** A person says of a host that it is off; of one that is heard nobody may. */
  fence(host: MemberName): void {
    const record = this.committed?.record;
    if (record === undefined || !this.dead.has(host)) return;
    this.off.add(host);
    const start = { incarnation: this.#starts.get(host) ?? 1, startId: 1 };
    const next = withFenced(record, { host, start, atMs: WALL_START_MS + this.nowMs });
    if (next !== null && next !== record) this.#commit(next);
  }

  /** The gate of a host that can be heard writes the newest record down, and says so. */
  closeGate(host: MemberName): void {
    if (this.committed === null || this.gates === null || this.dead.has(host)) return;
    this.gates.set(host, this.committed);
    const standing = { app: APP, epoch: this.committed.epoch, inFlight: [] };
    this.feed({ kind: "gate", host, standing });
  }

  /** A person says of a proxy that rollouts do not ask it, or do again. */
  exclude(proxy: MemberName, verb: "exclude" | "include"): void {
    const record = this.committed?.record;
    if (record === undefined) return;
    const how = { by: "person", everywhere: false, atMs: WALL_START_MS + this.nowMs } as const;
    const next = verb === "exclude" ? withExcluded(record, [proxy], how) : withIncluded(record, proxy);
    if (next !== record) this.#commit(next);
  }

  pause(): Submission {
    return this.ask((at, context) => submitPause(at, APP, context));
  }

  resume(): Submission {
    return this.#begin(submitResume(this.committed, APP));
  }

  traffic(weights: Weights): Submission {
    return this.ask((at, context) => submitTraffic(at, { app: APP, weights }, context));
  }

  rollback(to: number | null): Submission {
    return this.ask((at, context) => submitRollback(at, { app: APP, to }, context));
  }

  abort(): Submission {
    return this.ask((at, context) => submitAbort(at, APP, context));
  }

  destroy(): Submission {
    return this.ask((at, context) => submitDestroy(at, APP, context));
  }

  /** What a person asks, committed if it can be meant. */
  ask(asked: (at: CommittedApp | null, context: CommitContext) => Submission): Submission {
    return this.#begin(asked(this.committed, this.machine.context(this.nowMs)));
  }

  #begin(submission: Submission): Submission {
    if (submission.code === "begin") this.#commit(submission.record);
    return submission;
  }

  feed(input: RolloutInput): void {
    for (const effect of this.machine.step(input, this.nowMs)) {
      // When it is decided: what happens while the swap is on its way, no driver can know.
      if (effect.kind === "swap") {
        this.#judge.judgeSuccess(this.committed?.record ?? null, effect.next, this);
        this.#decided = { off: new Set(this.off), dead: new Map(this.dead) };
      }
      if (effect.kind === "swap" && this.isHoldingSwaps) this.held = effect;
      else if (effect.kind === "swap") this.carryOut(effect);
      else if (effect.kind === "schedule") this.dueAtMs = effect.atMs;
    }
  }

  carryOut({ expectedEpoch, next, why }: Extract<RolloutEffect, { kind: "swap" }>): void {
    this.held = null;
    if (expectedEpoch !== (this.committed?.epoch ?? 0)) {
      if (this.committed !== null) this.feed({ kind: "committed", committed: this.committed });
      return;
    }
    if (why !== "") this.lines.push(`  ${why}`);
    // Each is decided in the commit of the one before: nobody has done or said anything between them.
    this.#inARow += 1;
    assert.ok(this.#inARow <= IN_A_ROW_MAX, `commits without end: ${this.machine.describe()}`);
    this.#commit(next, this.#decided ?? this);
    this.#inARow -= 1;
  }

  #commit(record: AppRecord, { off, dead }: Pick<World, "off" | "dead"> = this): void {
    const committed = { epoch: (this.committed?.epoch ?? 0) + 1, record: decoded(record) };
    const { proxies, entries, gates, counted } = this;
    const truth = { proxies, entries, gates, off, dead, counted, ended: this.confirming.ended };
    this.#judge.judgeCommit(this.committed?.record ?? null, committed, truth);
    const stepOf = (at: CommittedApp | null) => at?.record.rollout?.step?.number;
    if (stepOf(this.committed) !== stepOf(committed)) this.counted.clear();
    this.committed = committed;
    this.lines.push(describeRecord(committed));
    this.feed({ kind: "committed", committed });
  }

  /** The host of a VM of the record says something of it. */
  say(vm: VmName, change: Partial<VmEntry>): void {
    const placed = this.committed === null ? [] : placedVms(this.committed.record);
    const wanted = placed.find((candidate) => candidate.vm === vm);
    const before = this.entries.get(vm)?.entry;
    const base = before ?? (wanted === undefined ? undefined : entryOf(wanted, APP));
    if (base === undefined) return;
    this.#versions += 1;
    const version = { incarnation: 1, startId: 1, counter: this.#versions };
    const entry = { ...base, ...change };
    const gated = this.gates !== null && entry.state === "running" ? ({ gated: true } as const) : {};
    this.entries.set(vm, { entry: { ...entry, ...gated }, version });
    this.#feedVm(vm);
  }

  gone(vm: VmName): void {
    const entry = this.entries.get(vm)?.entry;
    this.entries.delete(vm);
    if (entry !== undefined) this.feed({ kind: "vm", vm, host: entry.host, observed: null });
    if (this.confirming.confirm) this.membersChanged();
  }

  #feedVm(vm: VmName): void {
    const observed = this.entries.get(vm);
    if (observed !== undefined) this.feed({ kind: "vm", vm, host: observed.entry.host, observed });
  }

  /** The proxy takes the newest record as its table. */
  apply(name: MemberName): void {
    const proxy = this.proxies.get(name);
    if (proxy !== undefined) proxy.table = this.committed;
  }

  /** A client's request through a proxy begins, on a VM that its table routes to. */
  request(name: MemberName, pick: number): void {
    const proxy = this.proxies.get(name);
    const serving = proxy?.table?.record.vms.filter(({ vm }) => routesTo(proxy.table, vm)) ?? [];
    const vm = serving[pick % Math.max(1, serving.length)]?.vm;
    if (vm !== undefined) proxy?.inFlight.set(vm, (proxy.inFlight.get(vm) ?? 0) + 1);
  }

  finish(name: MemberName): void {
    this.proxies.get(name)?.inFlight.clear();
  }

  /** The proxy answers where it stands; it arrives with `deliver`. */
  answer(name: MemberName): void {
    const proxy = this.proxies.get(name);
    if (proxy?.table == null) return;
    const { epoch, record } = proxy.table;
    const routed = new Set(record.vms.map((vm) => vm.vm).filter((vm) => routesTo(proxy.table, vm)));
    const busy = [...proxy.inFlight].filter(([vm]) => !routed.has(vm));
    const inFlight = busy.map(([vm, requests]) => ({ vm, requests }));
    const ack = { app: APP, applied: epoch, verified: epoch, nack: null, inFlight, cut: [] };
    proxy.told.push({ ...ack, applyMs: 1, lastDispatch: [] });
  }

  deliver(name: MemberName): void {
    const ack = this.proxies.get(name)?.told.shift();
    if (ack !== undefined) this.feed({ kind: "ack", proxy: name, ack });
  }

  /** A proxy tells what it counted in the bake in force. */
  count(told: ToldCounts): void {
    const input = this.committed === null ? null : countsInput(this.committed.record, told);
    if (input === null) return;
    const byStart = this.counted.get(told.proxy) ?? new Map<string, number>();
    this.counted.set(told.proxy, byStart.set(told.startId, told.fresh[0]));
    this.feed(input);
  }

  /** A proxy tells who asks it for the app. */
  demand(proxy: MemberName, demand: Omit<Demand, "app">): void {
    this.feed({ kind: "demand", proxy, demand: { app: APP, ...demand } });
  }

  /** Time passes; a deadline that comes up is told. */
  pass(ms: number): void {
    this.nowMs += ms;
    if (this.dueAtMs !== null && this.nowMs >= this.dueAtMs) this.feed({ kind: "tick" });
  }

  /** Everyone does their part until nothing moves any more: VMs become healthy or go, proxies apply and answer. */
  cooperate(): void {
    this.isHoldingSwaps = false;
    if (this.held !== null) this.carryOut(this.held);
    for (let round = 0; round < 200; round += 1) {
      const epoch = this.committed?.epoch;
      this.heal();
      this.resume();
      this.promote();
      if (this.committed?.record.rollout?.state === "paused") this.abort();
      if (this.committed?.epoch === epoch && this.committed?.record.rollout?.state !== "running") return;
      if (this.committed?.epoch === epoch) this.pass(60_000);
    }
    throw new Error(`no end in sight: ${this.machine.describe()}`);
  }

  /** Everyone does their part once. */
  heal(): void {
    healWorld(this);
  }

  /** A person has the app's requests held, or sent on. False: refused. */
  holdByPerson(verb: "hold" | "release"): boolean {
    const record = this.committed?.record;
    if (record === undefined || record.deleted) return false;
    const change =
      verb === "hold" ? heldByPerson(record, WALL_START_MS + this.nowMs) : releasedByPerson(record);
    if (change.code === "changed" && change.record !== record) this.#commit(change.record);
    return change.code === "changed";
  }
}
