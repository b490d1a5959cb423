// Sim cluster: two agents that may drive, three hosts with their gates, proxies with their clients, and the register of one app, moved by
// one event after the other. Which of the events that are possible is next, a function decides: the same function, the same run.

import assert from "node:assert/strict";
import {
  type AloneStanding,
  type AppRecord,
  type CommittedApp,
  encodeRecord,
  isExclusive,
  type MemberName,
  memberName,
  type VmName,
  vmKey,
} from "../../mesh/index.ts";
import { describeRecord } from "../../node/deploy/core/describe.ts";
import type { ObservedVm } from "../../node/deploy/core/facts.ts";
import type { RolloutInput } from "../../node/deploy/core/rollout.ts";
import type { Submission } from "../../node/deploy/core/submit.ts";
import type { FlightId } from "../../proxy-agent/core/gate.ts";
import type { Action } from "./action.ts";
import type { BreakName } from "./breaks.ts";
import { isGivenUp, Judges } from "./judges.ts";
import { Lifetimes } from "./lifetimes.ts";
import { entryOfHost, hostFactsOf, proxyFactsOf } from "./member-facts.ts";
import { possibleActions } from "./possible.ts";
import type { RequestDeps } from "./request-deps.ts";
import type { Scenario } from "./scenarios.ts";
import { SimClients } from "./sim-client.ts";
import { committedInput, SIM_APP, SIM_WALL_START_MS, SimDriver, type Swap } from "./sim-driver.ts";
import { SimHost } from "./sim-host.ts";
import { type Heard, SimProxy } from "./sim-proxy.ts";
import { SimRegister } from "./sim-register.ts";
import { SimRequest } from "./sim-request.ts";
import { SimTime } from "./sim-time.ts";

export interface SimOptions {
  readonly scenario: Scenario;
  readonly broken: BreakName | null;
  /** From 0 up to `count`: which of so many possible events is next. */
  readonly pick: (count: number) => number;
  /** Keeps what happens as lines. */
  readonly isTold: boolean;
  /** null: nothing runs yet. */
  readonly prepared: Prepared | null;
}

/** A release serves, and nothing is under way. */
export interface Prepared {
  readonly committed: CommittedApp;
  readonly vms: readonly ObservedVm[];
  readonly counter: number;
}

const HOSTS = ["host-1", "host-2", "host-3"];
const PROXIES = ["proxy-1", "proxy-2"];
/** After a swap whose outcome is not known the register is read again. */
const REREAD_MS = 250;
/** Far above what any run takes: one that does not end is found. */
const EVENTS_MAX = 6_000;
/** Its multiples spread evenly between whole numbers: so do requests over VMs. */
const GOLDEN_RATIO = 0.618034;

export class SimCluster {
  readonly time: SimTime = new SimTime();
  readonly register: SimRegister;
  readonly hosts: Map<MemberName, SimHost>;
  readonly drivers: readonly SimDriver[];
  readonly proxies: Map<MemberName, SimProxy> = new Map();
  readonly lines: string[] = [];
  /** Drivers that the others hold dead, and hosts, since when. */
  readonly heldDead: Set<MemberName> = new Set();
  readonly dead: Map<MemberName, number> = new Map();
  readonly draining: Set<MemberName> = new Set();
  /** Proxies that the drivers hold disconnected. */
  readonly away: Set<MemberName> = new Set();
  /** What the mesh holds of VMs. */
  readonly entries: Map<VmName, ObservedVm> = new Map();
  /** Proposals of drivers that died: they may still be carried out. */
  readonly orphans: Swap[] = [];
  events = 0;
  requests = 0;
  /** A machine, a gate, a proxy or a VM was broken: what it had in its hands may have failed. */
  isHarmed = false;
  /** Proxies that are on their way in, with what every driver must have heard before. */
  joining: { readonly name: string; readonly told: RolloutInput } | null = null;
  /** Nobody asks. */
  isQuiet = false;
  /** What each host confirms of an app that never runs twice. */
  readonly alone: Map<MemberName, AloneStanding> = new Map();
  /** The swap on its way: its answer never comes back. */
  isAnswerLost = false;
  readonly #options: SimOptions;
  readonly #judges = new Judges();
  readonly #clients: SimClients;
  readonly #lifetimes: Lifetimes;
  readonly #requestDeps: RequestDeps;
  /** What members that are cut off have to say. */
  readonly #withheld = new Map<VmName, { readonly host: SimHost; readonly observed: ObservedVm | null }>();
  #counter = 0;
  /** Called before each event. */
  onEvent: () => void = () => {};
  /** Called when a record was committed. */
  onCommit: () => void = () => {};

  constructor(options: SimOptions) {
    this.#options = options;
    const { time } = this;
    this.#clients = new SimClients(options.broken, () => this.isAnyHarmed);
    this.#lifetimes = new Lifetimes(isExclusive(options.scenario));
    this.register = new SimRegister((before, committed) => this.#noteCommit(before, committed));
    this.drivers = HOSTS.slice(0, 2).map((name) => {
      const onSwap = (driver: SimDriver, swap: Swap) => this.#judgeDecision(driver, swap);
      return new SimDriver(memberName(name), { time, onSwap });
    });
    this.hosts = new Map(HOSTS.map((name, index) => [memberName(name), this.#newHost(name, index + 1)]));
    const newFlight = () => this.#next() as FlightId;
    const isHarmed = () => this.isHarmed;
    const hostOf = ({ host }: { readonly host: MemberName }) => this.hosts.get(host) as SimHost;
    const random = () => (this.requests * GOLDEN_RATIO) % 1;
    const onEnd = (request: SimRequest) => {
      for (const proxy of this.proxies.values()) proxy.requests.delete(request);
    };
    const { fate } = options.scenario;
    const isAtomic = options.scenario.deploy.cutover === "atomic";
    this.#requestDeps = {
      time,
      broken: options.broken,
      random,
      hostOf,
      newFlight,
      fate,
      isHarmed,
      isLost: ({ isCut }) => isCut && this.isAnyHarmed,
      catchUp: (proxy) => this.#catchUp(proxy),
      onDispatch: (endpoint, epoch) => this.#judges.cutover.judgeDispatch(endpoint, epoch, isAtomic),
      isGone: () => this.record === null || isGivenUp(this.record),
      onExpired: (proxy) => this.#judges.judgeExpiry(proxy, this),
      onEnd,
    };
    if (options.prepared !== null) this.#restore(options.prepared);
    for (const name of PROXIES) this.admit(name);
    for (const driver of this.drivers) driver.inbox.push(...this.facts());
  }

  /** Also a host that was cut off. */
  get isAnyHarmed(): boolean {
    return this.isHarmed || [...this.hosts.values()].some(({ wasHarmed }) => wasHarmed);
  }
  get broken(): BreakName | null {
    return this.#options.broken;
  }
  get scenario(): Scenario {
    return this.#options.scenario;
  }
  get committed(): CommittedApp | null {
    return this.register.committed;
  }
  get record(): AppRecord | null {
    return this.committed?.record ?? null;
  }

  /** What another run may begin with. */
  get prepared(): Prepared {
    assert.ok(this.committed !== null);
    return { committed: this.committed, vms: [...this.entries.values()], counter: this.#counter };
  }

  #restore({ committed, vms, counter }: Prepared): void {
    this.#counter = counter;
    this.register.restore(committed);
    for (const observed of vms) this.entries.set(observed.entry.vm, observed);
    for (const host of this.hosts.values()) host.restore(committed, vms);
  }

  /** Who drives now. */
  get inCharge(): SimDriver {
    const living = this.drivers.filter(({ name }) => !this.heldDead.has(name));
    const named = living.find(({ name }) => name === this.record?.rollout?.driver);
    return named ?? living[0] ?? (this.drivers[0] as SimDriver);
  }

  /** A proxy registered; it has read what a majority has. */
  admit(name: string): void {
    const proxy = new SimProxy(name, this.#requestDeps);
    this.proxies.set(proxy.name, proxy);
    proxy.start(this.committed, this.heardOfAll());
  }

  /** Until nothing can happen any more, save what a fault keeps from happening. */
  runUntilQuiet(): void {
    for (;;) {
      this.onEvent();
      const actions = possibleActions(this);
      const action = actions.length === 0 ? null : actions[this.#options.pick(actions.length)];
      if (action != null) this.#perform(action);
      else if (!this.#skip()) return;
      this.events += 1;
      if (this.events > EVENTS_MAX) throw new Error(`no end after ${EVENTS_MAX} events`);
    }
  }

  say(line: () => string): void {
    if (this.#options.isTold) this.lines.push(`${String(this.time.nowMs).padStart(7)} ${line()}`);
  }

  tellAll(input: RolloutInput): void {
    for (const driver of this.drivers) driver.tell(input);
  }

  tellMembers(): void {
    this.tellAll({ kind: "hosts", hosts: hostFactsOf(this) });
    this.tellAll({ kind: "proxies", proxies: proxyFactsOf(this, this.#options.broken) });
    this.assignCharges();
  }

  assignCharges(): void {
    for (const driver of this.drivers) driver.tell({ kind: "charge", isInCharge: driver === this.inCharge });
  }

  /** What a driver that starts finds. */
  facts(): readonly RolloutInput[] {
    return [
      { kind: "hosts", hosts: hostFactsOf(this) },
      { kind: "proxies", proxies: proxyFactsOf(this, this.#options.broken) },
      ...[...this.entries].map(([vm, observed]): RolloutInput => {
        return { kind: "vm", vm, host: observed.entry.host, observed };
      }),
      ...(this.committed === null ? [] : [committedInput(this.committed, false)]),
    ];
  }

  /** What a proxy that starts finds. */
  heardOfAll(): readonly Heard[] {
    const ofHosts = [...this.hosts.values()].map((host) => entryOfHost(host));
    return [...ofHosts, ...[...this.entries].map(([vm, observed]) => heardOf(vm, observed))];
  }

  submit(submitted: (driver: SimDriver) => Submission): Submission {
    const driver = this.inCharge;
    if (driver.condition === "up") driver.stepAll();
    const submission = submitted(driver);
    if (submission.code === "begin") this.register.swap(this.committed?.epoch ?? 0, submission.record);
    return submission;
  }

  /** What its voters did not hear is told. */
  mendLinks(host: SimHost): void {
    for (const [vm, withheld] of this.#withheld) {
      if (withheld.host !== host) continue;
      this.#withheld.delete(vm);
      this.#spread(host, vm, withheld.observed);
    }
  }

  /** Later, over and over, until a majority answers: what became of the swap is only there to be read. */
  reread(driver: SimDriver): void {
    this.time.after(REREAD_MS, () => {
      if (driver.condition === "down") return;
      if (this.register.isAway || driver.condition !== "up") this.reread(driver);
      else if (this.committed !== null) driver.tell(committedInput(this.committed, driver === this.inCharge));
    });
  }

  #newHost(name: string, index: number): SimHost {
    const { time } = this;
    const { scenario, broken } = this.#options;
    return new SimHost(memberName(name), index, {
      time,
      broken,
      fate: scenario.fate,
      lifetimes: this.#lifetimes,
      leaseMs: scenario.spec?.fence?.leaseMs ?? null,
      exclusive: isExclusive(scenario)
        ? { read: () => (this.register.isAway ? null : this.committed) }
        : null,
      newVersion: () => ({ incarnation: 1, startId: 1, counter: this.#next() }),
      recordOf: (epoch) => this.register.recordOf(epoch),
      onCut: (flights) => {
        const requests = [...this.proxies.values()].flatMap((proxy) => [...proxy.requests]);
        for (const request of requests) if (flights.some((flight) => request.isFlight(flight))) request.cut();
      },
      publish: (host, vm, observed) => {
        if (observed?.entry.health === "healthy") this.#judges.cutover.noteHealthy(vm);
        if (host.isCut || !host.isUp) this.#withheld.set(vm, { host, observed });
        else this.#spread(host, vm, observed);
      },
      onCommand: (vm) => this.#judges.judgeCommand(vm),
      onStop: (host, vm) => this.#judges.judgeStop(host, vm, this),
    });
  }

  #next(): number {
    this.#counter += 1;
    return this.#counter;
  }

  #spread(host: SimHost, vm: VmName, observed: ObservedVm | null): void {
    if (observed === null) this.entries.delete(vm);
    else this.entries.set(vm, observed);
    this.tellAll({ kind: "vm", vm, host: host.name, observed });
    const version = observed?.version ?? { incarnation: 1, startId: 1, counter: this.#next() };
    const value = observed === null ? null : encodeRecord(observed.entry);
    const heard = { owner: host.name, entry: { key: vmKey(vm), value, version } };
    for (const proxy of this.proxies.values()) if (proxy.isUp) proxy.inbox.push(heard);
  }

  #perform(action: Action): void {
    this.say(action.label);
    action.run();
    this.time.passMoment();
    this.#send();
  }

  #skip(): boolean {
    if (!this.time.skip()) return false;
    this.say(() => "time passes");
    const isBaking = [...this.proxies.values()].some((proxy) => proxy.isBaking);
    if (isBaking || possibleActions(this).length > 0) this.#send();
    return true;
  }

  /** Of each proxy's client one request after the other; none while nothing else happens. */
  #send(): void {
    for (const host of this.hosts.values()) host.noteLeases(this.register.isAway ? null : this.committed);
    if (this.isQuiet) return;
    for (const proxy of this.proxies.values()) {
      // Who holds has some behind each other.
      if (!proxy.isServing || proxy.requests.size > (proxy.isHolding ? 1 : 0)) continue;
      this.#ask(proxy);
    }
  }

  #ask(proxy: SimProxy): void {
    this.requests += 1;
    const request = new SimRequest(this.requests, proxy, this.#clients.next(), this.#requestDeps);
    proxy.requests.add(request);
    request.start();
  }

  /** So many at once, of each proxy. */
  burst(count: number): void {
    for (const proxy of this.proxies.values())
      for (let left = proxy.isServing ? count : 0; left > 0; left -= 1) this.#ask(proxy);
  }

  /** At the gates of the VMs that it reaches, and at the voters: who is cut off still reaches gates. */
  #catchUp(proxy: SimProxy): void {
    const asked = new Set([...proxy.endpoints, ...proxy.reached].map(({ host }) => host));
    for (const host of asked) {
      const { isUp, gate } = this.hosts.get(host) as SimHost;
      if (isUp) proxy.learnOf(gate);
    }
    if (!proxy.isCut && !this.register.isAway) proxy.hear(this.committed);
  }

  #judgeDecision(driver: SimDriver, { next }: Swap): void {
    const before = driver.machine.committed?.record ?? null;
    const late = this.#options.scenario.fate === "breaks-late";
    // Of what breaks a driver knows what it has heard, and so does one that is behind, whose swap will lose. Else all is as it is.
    const isBehind = driver.machine.committed?.epoch !== this.committed?.epoch;
    const isTrue = !this.isHarmed && !late && !isBehind && driver.condition === "up";
    const entries = isTrue ? this.entries : driver.heard;
    const { wallMs } = this;
    const { dead, inbox, heard, condition } = driver;
    this.#judges.judgeSuccess(before, next, { entries, dead });
    // What it does not know yet it cannot heed.
    if (condition === "up" && inbox.length === 0)
      this.#judges.judgeRoutes(before, next, { entries: heard, dead, wallMs });
  }

  #noteCommit(before: AppRecord | null, committed: CommittedApp): void {
    this.say(() => `  ${describeRecord(committed)}`);
    this.#judges.judgeCommit(before, committed, this);
    this.#clients.noteCommit(before, committed);
    for (const driver of this.drivers) driver.tell(committedInput(committed, driver === this.inCharge));
    if (this.#options.broken === "gate-confirmation" || this.#options.broken === "hold-confirmation")
      for (const host of this.hosts.keys())
        this.tellAll({
          kind: "gate",
          host,
          standing: { app: SIM_APP, epoch: committed.epoch, inFlight: [] },
        });
    this.onCommit();
  }

  get wallMs(): number {
    return SIM_WALL_START_MS + this.time.nowMs;
  }

  assertServes(releases: readonly number[], count: number): void {
    const serving = (this.record?.vms ?? []).filter(({ phase }) => phase === "serving");
    assert.deepEqual([...new Set(serving.map(({ release }) => release))], releases, "another release serves");
    assert.equal(serving.length, count, "not as many serve as shall");
  }
}

function heardOf(vm: VmName, { entry, version }: ObservedVm): Heard {
  return { owner: entry.host, entry: { key: vmKey(vm), value: encodeRecord(entry), version } };
}
