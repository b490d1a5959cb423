// Gate: which VMs of its host take requests, and who is in flight to them. Only a certified record opens or closes a VM, a newer one
// only; no clock ever does. What a record closed is confirmed once that record is on disk: a restart opens nothing that was confirmed.
// Closed is: what runs is finished, nothing new is admitted, not by anybody who names an older epoch either.

import {
  type AppName,
  type AppRecord,
  type CommittedApp,
  GATE_AWAITS_MAX,
  type GateStanding,
  type MemberName,
  type VmName,
} from "../../mesh/index.ts";
import { GATE_CUT_MARGIN_MS } from "../limits.ts";
import { type ArmId, Arms, type InFlight } from "./arms.ts";
import { isOpenBy } from "./reached-vms.ts";
import { drainTimeoutOf } from "./route-fold.ts";

/** One request, from its admission to its end. Never used twice by a running gate. */
export type FlightId = number & { readonly brand: "flight" };

/**
 * - `shut`: nothing was ever known for sure here: neither from a majority of the voters nor from our disk. Or the VM's lease is over.
 * - `behind`: it goes by a newer record than is held: whoever has that may hand it in, and ask again.
 * - `ahead`: it goes by an older one: nothing of it counts, whatever that says of this VM.
 * - `closed`: the record that both go by sends nothing to that VM of this host.
 */
export type Refusal = "shut" | "behind" | "ahead" | "closed";

export type GateInput =
  /** What the disk has, once, first. `isOpened`: this gate was open before with the records of a majority. */
  | { readonly type: "restored"; readonly apps: readonly CommittedApp[]; readonly isOpened: boolean }
  /** A record of which it was checked that a majority of the voters signed it, from whomever. */
  | { readonly type: "record"; readonly committed: CommittedApp }
  /** All records that a majority of the voters had at a moment after our start came before this. */
  | { readonly type: "current" }
  /** This app's record of that epoch is on disk. */
  | { readonly type: "persisted"; readonly app: AppName; readonly epoch: number }
  | {
      readonly type: "request";
      readonly flight: FlightId;
      readonly app: AppName;
      readonly vm: VmName;
      readonly epoch: number;
    }
  /** Before `standing` is asked for the first time: a process is there that may have been an arm of an earlier life of this gate. */
  | { readonly type: "arm-found"; readonly arm: ArmId; readonly proxy: MemberName }
  /** A proxy of this host asks for rights, and uses none now; what runs by those that it had is in flight still. */
  | {
      readonly type: "arm-attached";
      readonly arm: ArmId;
      readonly proxy: MemberName;
      readonly inFlight: readonly (Flight & { readonly requests: number })[];
    }
  /** It goes by this epoch; `inFlight`: to VMs that its grant does not name. */
  | {
      readonly type: "arm-answered";
      readonly arm: ArmId;
      readonly app: AppName;
      readonly epoch: number;
      readonly inFlight: InFlight;
    }
  /** Its link ended; its process may be there, and not know. */
  | { readonly type: "arm-lost"; readonly arm: ArmId }
  /** Its process is gone. */
  | { readonly type: "arm-gone"; readonly arm: ArmId }
  /** VMs of this app listen elsewhere than before. */
  | { readonly type: "placed"; readonly app: AppName }
  /** Of a flight that was admitted: it is over. */
  | { readonly type: "ended"; readonly flight: FlightId }
  /** Some time passed. */
  | { readonly type: "tick" };

export type GateEffect =
  /** Write it down, synced; then `persisted`. */
  | { readonly type: "persist"; readonly app: AppName; readonly epoch: number }
  /** Write down that this gate was open. */
  | { readonly type: "persist-opened" }
  /** Counted as in flight from this breath on. */
  | { readonly type: "admit"; readonly flight: FlightId }
  | { readonly type: "refuse"; readonly flight: FlightId; readonly why: Refusal }
  /** This VM takes nothing new: call back what was not sent yet, end its idle connections. */
  | { readonly type: "closed"; readonly app: AppName; readonly vm: VmName }
  /** End these: their VM was closed, and gave them all the time that its app allows. */
  | { readonly type: "cut"; readonly flights: readonly FlightId[] }
  /** Tell an arm that it may send requests to these VMs of the app, and to no other, by this epoch. */
  | {
      readonly type: "grant";
      readonly arm: ArmId;
      readonly app: AppName;
      readonly epoch: number;
      readonly vms: readonly VmName[];
    }
  /** The same, of what arms sent to these VMs. */
  | { readonly type: "cut-at-arms"; readonly vms: readonly VmName[] }
  /** What is confirmed of this app is another thing than before. */
  | { readonly type: "confirm"; readonly app: AppName }
  /** `tick` then, at the latest. */
  | { readonly type: "schedule"; readonly atMs: number };

interface Held {
  readonly epoch: number;
  /** VMs of this host to which requests may go, with the time that what runs on them is given once they are closed. */
  readonly open: ReadonlyMap<VmName, number>;
}

interface Flight {
  readonly app: AppName;
  readonly vm: VmName;
}

/** What runs on a VM that was closed. */
interface Drain {
  readonly app: AppName;
  /** Of the record that closed it. */
  readonly epoch: number;
  /** Infinity: its proxy ends what is left, since what its app allows is not known any more. */
  readonly deadlineMs: number;
}

const NOTHING_HELD: Held = { epoch: 0, open: new Map() };

export class Gate {
  readonly #host: MemberName;
  #isOpen = false;
  readonly #apps = new Map<AppName, Held>();
  /** The newest epoch that is on disk, of each app. */
  readonly #durable = new Map<AppName, number>();
  readonly #flights = new Map<FlightId, Flight>();
  readonly #byVm = new Map<VmName, Set<FlightId>>();
  readonly #drains = new Map<VmName, Drain>();
  readonly #arms = new Arms();

  /** `host`: whose VMs it stands before. */
  constructor({ host }: { readonly host: MemberName }) {
    this.#host = host;
  }

  /** It admits requests at all. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  get inFlight(): number {
    return this.#flights.size;
  }

  /** VMs to which requests may go. */
  get openVms(): number {
    return this.#isOpen ? [...this.#apps.values()].reduce((sum, { open }) => sum + open.size, 0) : 0;
  }

  /** VMs that were closed and still run requests. */
  get drainingVms(): number {
    return this.#drains.size;
  }

  step(input: GateInput, nowMs: number): readonly GateEffect[] {
    switch (input.type) {
      case "restored":
        return this.#restore(input);
      case "record":
        return this.#take(input.committed, nowMs);
      case "current":
        return this.#open();
      case "persisted":
        return this.#persisted(input);
      case "request":
        return [this.#judge(input)];
      case "ended":
        return this.#ended(input.flight);
      case "tick":
        return this.#cut(nowMs);
      case "placed":
        return this.#grants(input.app);
      default:
        return this.#heardOfArm(input, nowMs);
    }
  }

  /** The record in force sends requests to this VM, and the gate is open. */
  isOpenFor(app: AppName, vm: VmName): boolean {
    return this.#isOpen && this.#held(app).open.has(vm);
  }

  /** The newest epoch held of an app, on disk or not; 0: none. */
  epochOf(app: AppName): number {
    return this.#held(app).epoch;
  }

  /** What may be told to voters, of each app of which a record is on disk. None while it is shut. */
  standings(): readonly GateStanding[] {
    return [...this.#durable.keys()].flatMap((app) => this.standing(app) ?? []);
  }

  standing(app: AppName): GateStanding | null {
    const durable = this.#durable.get(app);
    if (durable === undefined || !this.#isOpen) return null;
    // 0: an arm of an earlier life goes by nobody knows what.
    const epoch = Math.min(durable, this.#arms.floorOf(app));
    const draining = [...this.#drains].filter(([, drain]) => drain.app === app);
    const inFlight = draining.map(([vm]) => ({ vm, requests: this.#requestsTo(app, vm) }));
    const awaits = epoch < durable ? this.#arms.waitsFor(app, durable).slice(0, GATE_AWAITS_MAX) : [];
    return { app, epoch, inFlight, ...(awaits.length === 0 ? {} : { awaits }) };
  }

  describe(): string {
    const apps = [...this.#apps].map(([app, { epoch, open }]) => {
      const vms = [...open.keys()].map((vm) => `${vm} (${this.#flightsTo(vm).size})`).join(" ");
      const onDisk = this.#durable.get(app) ?? 0;
      return `${app}@${epoch}${onDisk === epoch ? "" : ` (on disk ${onDisk})`}: ${vms === "" ? "nothing open" : vms}`;
    });
    const drains = [...this.#drains].map(([vm, { app }]) => `${vm} drains (${this.#requestsTo(app, vm)})`);
    const arms = this.#arms.describe();
    return [this.#isOpen ? "open" : "shut", ...apps, ...drains, ...(arms === "" ? [] : [arms])].join("; ");
  }

  #restore({ apps, isOpened }: Extract<GateInput, { type: "restored" }>): readonly GateEffect[] {
    for (const { epoch, record } of apps) {
      this.#apps.set(record.app, { epoch, open: openAt(this.#host, record) });
      this.#durable.set(record.app, epoch);
    }
    this.#isOpen = isOpened;
    return apps.map(({ record: { app } }) => ({ type: "confirm", app }));
  }

  #take({ epoch, record }: CommittedApp, nowMs: number): readonly GateEffect[] {
    const { app } = record;
    const before = this.#held(app);
    if (epoch <= before.epoch) return [];
    const open = openAt(this.#host, record);
    this.#apps.set(app, { epoch, open });
    const closed = [...before.open].filter(([vm]) => !open.has(vm));
    for (const vm of open.keys()) this.#drains.delete(vm);
    for (const [vm, drainTimeoutMs] of closed) {
      const deadlineMs = nowMs + drainTimeoutMs + GATE_CUT_MARGIN_MS;
      const mayFly = this.#requestsTo(app, vm) > 0 || this.#arms.floorOf(app) < Number.POSITIVE_INFINITY;
      if (mayFly) this.#drains.set(vm, { app, epoch, deadlineMs });
    }
    const effects: GateEffect[] = closed.map(([vm]) => ({ type: "closed", app, vm }));
    return [...effects, ...this.#grants(app), { type: "persist", app, epoch }, ...this.#schedule()];
  }

  /** A gate that was ever open for what a majority had needs no other word: its disk is as good. */
  #open(): readonly GateEffect[] {
    if (this.#isOpen) return [];
    this.#isOpen = true;
    const apps = [...this.#durable.keys()];
    const confirms = apps.map((app) => ({ type: "confirm", app }) as const);
    return [{ type: "persist-opened" }, ...confirms, ...this.#grantsOfAll()];
  }

  /** The disk may be an epoch behind: what it has then is what a restart begins with. */
  #persisted({ app, epoch }: Extract<GateInput, { type: "persisted" }>): readonly GateEffect[] {
    if (epoch <= (this.#durable.get(app) ?? 0)) return [];
    this.#durable.set(app, epoch);
    return [{ type: "confirm", app }];
  }

  #judge({ flight, app, vm, epoch }: Extract<GateInput, { type: "request" }>): GateEffect {
    const why = this.#whyNot({ app, vm, epoch });
    if (why !== null) return { type: "refuse", flight, why };
    this.#flights.set(flight, { app, vm });
    this.#byVm.set(vm, this.#flightsTo(vm).add(flight));
    return { type: "admit", flight };
  }

  #whyNot({ app, vm, epoch }: Flight & { readonly epoch: number }): Refusal | null {
    if (!this.#isOpen) return "shut";
    const held = this.#held(app);
    if (held.epoch < epoch) return "behind";
    if (held.epoch > epoch) return "ahead";
    return held.open.has(vm) ? null : "closed";
  }

  #ended(flight: FlightId): readonly GateEffect[] {
    const known = this.#flights.get(flight);
    if (known === undefined) return [];
    const { vm } = known;
    this.#flights.delete(flight);
    const left = this.#flightsTo(vm);
    left.delete(flight);
    if (left.size > 0) return [];
    this.#byVm.delete(vm);
    const drain = this.#drains.get(vm);
    return drain !== undefined && this.#endDrains(drain.app) ? [{ type: "confirm", app: drain.app }] : [];
  }

  #heardOfArm(input: Extract<GateInput, { readonly arm: ArmId }>, nowMs: number): readonly GateEffect[] {
    const { arm } = input;
    switch (input.type) {
      case "arm-found":
        this.#arms.found(arm, input.proxy);
        return [];
      case "arm-attached": {
        this.#arms.attached(arm, input.proxy, input.inFlight);
        for (const { app, vm } of input.inFlight) this.#drainLeftOver(app, vm);
        return [...this.#confirmAll(), ...this.#grantsOfAll()];
      }
      case "arm-answered":
        this.#arms.answered(arm, input.app, input);
        this.#endDrains(input.app);
        // It may have been silent over the deadline.
        return [{ type: "confirm", app: input.app }, ...this.#cut(nowMs)];
      case "arm-lost":
        this.#arms.lost(arm);
        return [];
      case "arm-gone":
        this.#arms.gone(arm);
        return this.#confirmAll();
    }
  }

  /** It runs by a right that an earlier life of this gate gave, or an earlier link, to a VM that was closed since. */
  #drainLeftOver(app: AppName, vm: VmName): void {
    const { open, epoch } = this.#held(app);
    if (open.has(vm) || this.#drains.has(vm)) return;
    this.#drains.set(vm, { app, epoch, deadlineMs: Number.POSITIVE_INFINITY });
  }

  /** True: of a VM that was closed the last request is over. */
  #endDrains(app: AppName): boolean {
    let isAny = false;
    const floor = this.#arms.floorOf(app);
    for (const [vm, drain] of this.#drains) {
      if (drain.app !== app || drain.epoch > floor || this.#requestsTo(app, vm) > 0) continue;
      this.#drains.delete(vm);
      isAny = true;
    }
    return isAny;
  }

  #confirmAll(): readonly GateEffect[] {
    for (const { app } of [...this.#drains.values()]) this.#endDrains(app);
    return [...this.#durable.keys()].map((app) => ({ type: "confirm", app }));
  }

  #grantsOfAll(): readonly GateEffect[] {
    return [...this.#apps.keys()].flatMap((app) => this.#grants(app));
  }

  /** Who has something of an app is told of each newer record of it; who has nothing of one that opens a VM here. */
  #grants(app: AppName): readonly GateEffect[] {
    if (!this.#isOpen) return [];
    const { epoch, open } = this.#held(app);
    const vms = [...open.keys()];
    const told = this.#arms.linked.filter((arm) => vms.length > 0 || this.#arms.concerns(arm, app));
    return told.map((arm) => {
      this.#arms.granted(arm, app, epoch);
      return { type: "grant", arm, app, epoch, vms };
    });
  }

  #cut(nowMs: number): readonly GateEffect[] {
    const due = [...this.#drains].filter(([, { deadlineMs }]) => deadlineMs <= nowMs);
    const flights = due.flatMap(([vm]) => [...this.#flightsTo(vm)]);
    const atArms = due.flatMap(([vm, { app }]) => (this.#arms.inFlightTo(app, vm) > 0 ? [vm] : []));
    return [
      ...(flights.length === 0 ? [] : [{ type: "cut", flights } as const]),
      ...(atArms.length === 0 ? [] : [{ type: "cut-at-arms", vms: atArms } as const]),
      ...this.#schedule(nowMs),
    ];
  }

  /** Of what is not due yet the first. */
  #schedule(nowMs = Number.NEGATIVE_INFINITY): readonly GateEffect[] {
    const deadlines = [...this.#drains.values()].map(({ deadlineMs }) => deadlineMs);
    const next = deadlines.filter((deadlineMs) => deadlineMs > nowMs && Number.isFinite(deadlineMs));
    return next.length === 0 ? [] : [{ type: "schedule", atMs: Math.min(...next) }];
  }

  #held(app: AppName): Held {
    return this.#apps.get(app) ?? NOTHING_HELD;
  }

  /** By the gate and by its arms. */
  #requestsTo(app: AppName, vm: VmName): number {
    return this.#flightsTo(vm).size + this.#arms.inFlightTo(app, vm);
  }

  #flightsTo(vm: VmName): Set<FlightId> {
    return this.#byVm.get(vm) ?? new Set();
  }
}

function openAt(host: MemberName, record: AppRecord): ReadonlyMap<VmName, number> {
  if (record.deleted) return new Map();
  const here = record.vms.filter((vm) => vm.host === host).filter(isOpenBy(record));
  return new Map(here.map(({ vm, release }) => [vm, drainTimeoutOf(record, release)]));
}
