// Sim cluster: two agents that may drive, hosts, proxies and a register of one app, moved by one event after the other. Which of the
// events that are possible is next, a function decides: the same function, the same run. Every commit, stop and request is judged.

import assert from "node:assert/strict";
import {
  type AppRecord,
  type CommittedApp,
  type MemberName,
  memberName,
  type VmName,
} from "../../../mesh/index.ts";
import { describeRecord } from "../core/describe.ts";
import type { ObservedVm } from "../core/facts.ts";
import type { RolloutEffect, RolloutInput } from "../core/rollout.ts";
import { type Submission, submitDeploy, submitPromote } from "../core/submit.ts";
import { Judge, routesTo } from "../testing/judge.ts";
import { specOf } from "../testing/specs.ts";
import type { BreakName } from "./breaks.ts";
import { judgeOrder } from "./judge-order.ts";
import type { Scenario } from "./scenarios.ts";
import { committedInput, SIM_APP, SimDriver } from "./sim-driver.ts";
import { type Action, SimHosts } from "./sim-hosts.ts";
import { SimProxy } from "./sim-proxy.ts";

type Swap = Extract<RolloutEffect, { kind: "swap" }>;

export interface SimOptions {
  readonly scenario: Scenario;
  readonly broken: BreakName | null;
  /** From 0 up to `count`: which of so many possible events is next. */
  readonly pick: (count: number) => number;
}

/** Far above what any run takes: one that does not end is found. */
const EVENTS_MAX = 6_000;
const HOSTS = ["host-1", "host-2", "host-3"].map(memberName);

export class SimCluster {
  readonly drivers: readonly SimDriver[] = [HOSTS[0], HOSTS[1]].map(
    (name) => new SimDriver(name as MemberName),
  );
  readonly proxies: Map<MemberName, SimProxy> = new Map();
  readonly lines: string[] = [];
  committed: CommittedApp | null = null;
  nowMs = 0;
  events = 0;
  commits = 0;
  /** Drivers that the others hold dead. */
  readonly heldDead: Set<MemberName> = new Set();
  /** Called before each event. */
  onEvent: () => void = () => {};
  /** Called when nothing can happen: true if something may now. */
  onQuiet: () => boolean = () => false;
  readonly #options: SimOptions;
  readonly #judge = new Judge();
  /** Proposals of drivers that died: they may still be carried out. */
  readonly #orphans: Swap[] = [];
  #joining: { readonly name: MemberName; readonly told: RolloutInput } | null = null;
  #hasDisturbed = false;
  readonly #hosts: SimHosts;

  constructor(options: SimOptions) {
    this.#options = options;
    this.#hosts = new SimHosts(options.scenario.fate, (input) => this.#tellAll(input));
    for (const name of ["proxy-1", "proxy-2"].map(memberName))
      this.proxies.set(name, new SimProxy(name, null));
    for (const driver of this.drivers) for (const input of this.#facts()) driver.tell(input);
  }

  get entries(): ReadonlyMap<VmName, ObservedVm> {
    return this.#hosts.entries;
  }

  get record(): AppRecord | null {
    return this.committed?.record ?? null;
  }

  /** The old release serves. From here on events are counted. */
  prepare(): void {
    const { before } = this.#options.scenario;
    this.#submit(submitDeploy(this.#request(specOf("hello", { count: before }), "old"), this.#context()));
    this.runUntilQuiet();
    assert.equal(this.record?.rollout?.state, "succeeded");
    this.events = 0;
    this.lines.length = 0;
  }

  deploy(): void {
    const { count, deploy } = this.#options.scenario;
    this.#submit(submitDeploy(this.#request(specOf("hello", { count, deploy }), "new"), this.#context()));
  }

  /** Until nothing can happen any more, save what a fault keeps from happening. */
  runUntilQuiet(): void {
    for (;;) {
      this.onEvent();
      const action = this.#next();
      if (action === null && this.onQuiet()) continue;
      if (action === null) return;
      this.lines.push(action.label);
      action.run();
      this.#passEvent();
      if (this.events > EVENTS_MAX) throw new Error(`no end after ${EVENTS_MAX} events`);
    }
  }

  /** Who drives now. */
  get inCharge(): SimDriver {
    const living = this.drivers.filter(({ name }) => !this.heldDead.has(name));
    const named = living.find(({ name }) => name === this.record?.rollout?.driver);
    return named ?? living[0] ?? (this.drivers[0] as SimDriver);
  }

  /** Its proposal on the way is lost, or comes through after its death. */
  crash(driver: SimDriver, proposal: "lost" | "late"): void {
    this.lines.push(`${driver.name} crashes, its proposal is ${proposal}`);
    const swap = driver.crash();
    if (swap !== null && proposal === "late") this.#orphans.push(swap);
    this.holdDead(driver, true);
  }

  pause(driver: SimDriver): void {
    this.lines.push(`${driver.name} stands still`);
    driver.condition = "paused";
  }

  resume(driver: SimDriver): void {
    this.lines.push(`${driver.name} goes on`);
    driver.condition = "up";
  }

  restart(driver: SimDriver): void {
    this.lines.push(`${driver.name} starts again`);
    for (const proxy of this.proxies.values()) proxy.forget(driver.name);
    this.heldDead.delete(driver.name);
    driver.restart(this.#facts());
    this.#assignCharges();
  }

  holdDead(driver: SimDriver, isDead: boolean): void {
    if (isDead) this.heldDead.add(driver.name);
    else this.heldDead.delete(driver.name);
    this.#assignCharges();
  }

  /** All that was wrong is mended: from here on everything must come to its end. */
  heal(): void {
    for (const driver of this.drivers) {
      if (driver.condition === "down") this.restart(driver);
      else if (driver.condition === "paused") this.resume(driver);
      this.holdDead(driver, false);
    }
    for (const proxy of this.proxies.values()) proxy.isCut = false;
    this.#tellAll({ kind: "proxies", proxies: this.#proxyFacts() });
  }

  #assignCharges(): void {
    for (const driver of this.drivers) driver.tell({ kind: "charge", isInCharge: driver === this.inCharge });
  }

  #next(): Action | null {
    const actions = this.#possible();
    if (actions.length > 0) return actions[this.#options.pick(actions.length)] ?? null;
    const busy = [...this.proxies.values()].filter((proxy) => proxy.isBusy && !proxy.isCut);
    const isAwaited = busy.filter((proxy) =>
      [...proxy.inFlight.keys()].some((vm) => !routesTo(proxy.table, vm)),
    );
    if (isAwaited.length > 0) return { label: "requests end", run: () => finishAll(isAwaited) };
    return this.#clock();
  }

  #clock(): Action | null {
    const living = this.drivers.filter((driver) => driver.condition === "up" && driver.dueAtMs !== null);
    if (living.length === 0) return null;
    const atMs = Math.max(this.nowMs, Math.min(...living.map((driver) => driver.dueAtMs ?? 0)));
    const due = living.filter((driver) => (driver.dueAtMs ?? 0) <= atMs);
    const run = () => {
      this.nowMs = atMs;
      for (const driver of due) driver.tick(atMs, () => undefined);
    };
    return { label: `the clock says ${atMs} ms`, run };
  }

  #possible(): readonly Action[] {
    return [
      ...this.drivers.flatMap((driver) => this.#ofDriver(driver)),
      ...this.#orphans.map((swap) => ({
        label: "a dead driver's proposal comes through",
        run: () => {
          this.#orphans.splice(this.#orphans.indexOf(swap), 1);
          this.#carryOut(swap);
        },
      })),
      ...this.#hosts.possible(this.record, [...this.proxies.values()]),
      ...[...this.proxies.values()].flatMap((proxy) => this.#ofProxy(proxy)),
      ...this.#ofPerson(),
      ...this.#ofJoining(),
    ];
  }

  #ofDriver(driver: SimDriver): readonly Action[] {
    if (driver.condition !== "up") return [];
    const { swap } = driver;
    const label = (what: string) => `${driver.name} ${what}`;
    return [
      ...(driver.inbox.length === 0
        ? []
        : [
            {
              label: label(`hears: ${driver.inbox[0]?.kind}`),
              run: () => driver.step(this.nowMs, () => undefined),
            },
          ]),
      ...(swap === null ? [] : [{ label: label("commits"), run: () => this.#commitOf(driver, swap) }]),
    ];
  }

  #commitOf(driver: SimDriver, swap: Swap): void {
    driver.swap = null;
    const isCommitted = this.#carryOut(swap);
    if (!isCommitted && this.#options.broken === "recheck-before-swap" && this.committed !== null) {
      this.#carryOut({ ...swap, expectedEpoch: this.committed.epoch });
    }
    if (this.committed !== null) driver.tell(committedInput(this.committed, driver === this.inCharge));
  }

  #carryOut({ expectedEpoch, next, why }: Swap): boolean {
    if (expectedEpoch !== (this.committed?.epoch ?? 0)) return false;
    this.lines.push(`  ${why}`);
    this.#commit(next);
    return true;
  }

  #commit(record: AppRecord): void {
    const before = this.record;
    const committed = { epoch: (this.committed?.epoch ?? 0) + 1, record };
    this.lines.push(`  ${describeRecord(committed)}`);
    this.#judge.judgeCommit(before, committed, this);
    judgeOrder(before, record);
    if (this.#options.scenario.fate !== "breaks-late") this.#judge.judgeSuccess(before, record, this);
    this.committed = committed;
    this.commits += 1;
    for (const driver of this.drivers) driver.tell(committedInput(committed, driver === this.inCharge));
    this.#disturb();
  }

  /** Once: when an old VM has been cordoned, or the new ones are about to be reached. */
  #disturb(): void {
    const { disturbance } = this.#options.scenario;
    const { rollout } = this.record ?? {};
    const isTime = disturbance === "proxy-cut" ? ["cordon", "flip"] : ["serve", "standby"];
    if (this.#hasDisturbed || rollout?.from == null || !isTime.includes(rollout.step?.kind ?? "")) return;
    this.#hasDisturbed = true;
    if (disturbance === "proxy-cut")
      for (const proxy of this.proxies.values()) proxy.isCut = proxy.name === "proxy-2";
    if (disturbance === "none") return;
    const name = memberName("proxy-3");
    const joiner = { proxy: name, registered: true, connected: true };
    const told: RolloutInput = {
      kind: "proxies",
      proxies: disturbance === "proxy-joins" ? [...this.#proxyFacts(), joiner] : this.#proxyFacts(),
    };
    if (disturbance === "proxy-joins") this.#joining = { name, told };
    this.#tellAll(told);
  }

  /** A proxy is admitted once every driver that lives has its registration; then it reads what a majority has. */
  #ofJoining(): readonly Action[] {
    const joining = this.#joining;
    if (joining === null) return [];
    const living = this.drivers.filter(({ name }) => !this.heldDead.has(name));
    if (living.some((driver) => driver.inbox.includes(joining.told) || driver.condition === "paused"))
      return [];
    const run = () => {
      this.#joining = null;
      this.proxies.set(joining.name, new SimProxy(joining.name, this.committed));
      this.#tellAll({ kind: "proxies", proxies: this.#proxyFacts() });
    };
    return [{ label: `${joining.name} is admitted`, run }];
  }

  #ofPerson(): readonly Action[] {
    const rollout = this.record?.rollout;
    const isAsked =
      rollout?.state === "running" && rollout.step?.kind === "approve" && rollout.approved !== true;
    return isAsked
      ? [{ label: "a person promotes", run: () => this.#submit(submitPromote(this.committed, SIM_APP)) }]
      : [];
  }

  #ofProxy(proxy: SimProxy): readonly Action[] {
    if (proxy.isCut) return [];
    const apply = () => proxy.apply(this.committed);
    const isBehind = this.committed !== null && (proxy.table?.epoch ?? 0) < this.committed.epoch;
    const answers = this.drivers.flatMap((driver) => {
      const ack = driver.condition === "up" ? proxy.news(driver.name) : null;
      if (ack === null) return [];
      const run = () => {
        proxy.noteTold(driver.name);
        driver.tell({ kind: "ack", proxy: proxy.name, ack });
      };
      return [{ label: `${proxy.name} answers ${driver.name}: epoch ${ack.applied}`, run }];
    });
    return isBehind ? [{ label: `${proxy.name} applies`, run: apply }, ...answers] : answers;
  }

  #tellAll(input: RolloutInput): void {
    for (const driver of this.drivers) driver.tell(input);
  }

  /** `no-failed-request`: whoever served once has a VM to send to, and it runs, unless its release is what is wrong. */
  #passEvent(): void {
    this.events += 1;
    for (const proxy of this.proxies.values()) {
      const vm = proxy.pass();
      if (vm === undefined) continue;
      assert.ok(vm !== null, `${proxy.name} has no VM to send a request to`);
      assert.ok(this.entries.has(vm), `${proxy.name} sends a request to ${vm}, which does not run`);
    }
  }

  #facts(): readonly RolloutInput[] {
    return [
      { kind: "hosts", hosts: HOSTS.map((host) => ({ host, open: true, vms: 0 })) },
      { kind: "proxies", proxies: this.#proxyFacts() },
      ...[...this.entries].map(([vm, observed]): RolloutInput => {
        return { kind: "vm", vm, host: observed.entry.host, observed };
      }),
      ...(this.committed === null ? [] : [committedInput(this.committed, false)]),
    ];
  }

  #proxyFacts(): readonly { proxy: MemberName; registered: boolean; connected: boolean }[] {
    const isDropped = (proxy: SimProxy) => this.#options.broken === "frozen-ack-set" && proxy.isCut;
    return [...this.proxies.values()].map((proxy) => ({
      proxy: proxy.name,
      registered: proxy.registered && !isDropped(proxy),
      connected: !proxy.isCut,
    }));
  }

  #request(spec: ReturnType<typeof specOf>, specHash: string): Parameters<typeof submitDeploy>[0] {
    return { app: SIM_APP, spec, specHash, apps: this.committed === null ? [] : [this.committed] };
  }

  #context(): Parameters<typeof submitDeploy>[1] {
    for (const driver of this.drivers)
      while (driver.inbox.length > 0) driver.step(this.nowMs, () => undefined);
    return this.inCharge.machine.context(this.nowMs);
  }

  #submit(submission: Submission): void {
    if (submission.code === "begin") this.#commit(submission.record);
    else assert.notEqual(submission.code, "invalid", JSON.stringify(submission));
  }
}

function finishAll(proxies: readonly SimProxy[]): void {
  for (const proxy of proxies) proxy.finish();
}
