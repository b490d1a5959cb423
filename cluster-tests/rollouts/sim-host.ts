// Sim host: one machine: its agent, which runs what the newest record that it has wants of it, its VMs, and its gate. What a VM does its
// release's fate says.

import {
  type AloneStanding,
  type CommittedApp,
  hostKey,
  isGated,
  type MemberName,
  newVmEntry,
  type PlacedVm,
  placedVms,
  type Version,
  type VmEntry,
  type VmName,
} from "../../mesh/index.ts";
import type { ObservedVm } from "../../node/deploy/core/facts.ts";
import { isToServe } from "../../node/deploy/core/opening.ts";
import type { Action } from "./action.ts";
import type { Lifetimes } from "./lifetimes.ts";
import type { Fate } from "./scenarios.ts";
import { SIM_APP } from "./sim-driver.ts";
import { SimGate, type SimGateDeps } from "./sim-gate.ts";
import { SimLease } from "./sim-lease.ts";
import type { SimRequest } from "./sim-request.ts";
import type { SimTime } from "./sim-time.ts";
import { SimTurns, type TurnsDeps } from "./sim-turns.ts";

/** A VM that ended is started again after so long; longer than anybody needs to hear of it. */
const BACKOFF_MS = 100;
/** Of one that starts slowly. */
const SLOW_MS = 3_000;
/** From the moment that it does not answer any more to the third check that failed. */
const CHECKS_MS = 400;

export interface SimVm {
  entry: VmEntry;
  version: Version;
  /** Its process runs; it does not answer any more. */
  isHung: boolean;
  /** Its start goes on by itself, later. */
  isSlow: boolean;
  /** It ended, and may be started again by now. */
  isRested: boolean;
  readonly requests: Set<SimRequest>;
}

export interface SimHostDeps extends Omit<SimGateDeps, "host"> {
  readonly time: SimTime;
  /** Of the second release; the first is healthy. */
  readonly fate: Fate;
  /** Two VMs of the app never run at once; null: they may. */
  readonly exclusive: Pick<TurnsDeps, "read"> | null;
  readonly lifetimes: Lifetimes;
  /** Of an app that never runs twice; null: it has none. */
  readonly leaseMs: number | null;
  readonly newVersion: () => Version;
  /** It is known in the mesh from now on; null: gone. */
  readonly publish: (host: SimHost, vm: VmName, observed: ObservedVm | null) => void;
  /** The release command is about to be started. */
  readonly onCommand: (vm: VmName) => void;
  /** Its process is about to be ended since no record wants it. */
  readonly onStop: (host: SimHost, vm: SimVm) => void;
}

export class SimHost {
  readonly name: MemberName;
  readonly index: number;
  readonly gate: SimGate;
  readonly vms: Map<VmName, SimVm> = new Map();
  isUp = true;
  /** Its agent hears nobody and nobody hears it. Its gate, its VMs, and the proxies that reach them go on. */
  isCut = false;
  /** The newest record that its agent has. */
  held: CommittedApp | null = null;
  /** Something of it was broken once. */
  wasHarmed = false;
  /** Its disk was lost once: a gate without one is closed until it has what a majority has, and nobody needs its word. */
  wasBlank = false;
  /** When something of it last came back. */
  backAtMs = 0;
  /** Of one that is cut off: voters answer it, and nobody else does. */
  isUnheard = false;
  /** Its agent does nothing. */
  isStill = false;
  readonly #deps: SimHostDeps;
  readonly #turns: SimTurns | null;
  readonly #lease: SimLease | null;
  #aloneTold = "";
  /** VMs of which a process runs. */
  readonly #alive = new Set<VmName>();

  constructor(name: MemberName, index: number, deps: SimHostDeps) {
    this.name = name;
    this.index = index;
    this.#deps = deps;
    const { broken, exclusive, time, leaseMs } = deps;
    const onOver = (vm: VmName) => this.#expire(vm);
    this.#lease = leaseMs === null ? null : new SimLease({ time, broken, leaseMs, onOver });
    const read = () => (this.isCut || exclusive === null ? null : exclusive.read());
    const running = () => [...this.#alive];
    this.#turns =
      exclusive === null
        ? null
        : new SimTurns({ host: name, time, broken, lease: this.#lease, read, running });
    this.gate = new SimGate({ ...deps, host: name });
  }

  get key(): string {
    return hostKey(this.name);
  }

  /** This record, or what it changed, is its business. */
  isConcerned(next: CommittedApp): boolean {
    const isHere = ({ record }: CommittedApp) => placedVms(record).some(({ host }) => host === this.name);
    return this.vms.size > 0 || isHere(next) || (this.held !== null && isHere(this.held));
  }

  hear(committed: CommittedApp): void {
    if (committed.epoch > (this.held?.epoch ?? 0)) this.held = committed;
  }

  addActions(actions: Action[]): void {
    const { held, vms } = this;
    if (!this.isUp || this.isStill || held === null) return;
    const wanted = placedVms(held.record).filter(({ host }) => host === this.name);
    for (const desired of wanted) actions.push(...this.#actionOf(desired, held));
    for (const vm of vms.values()) {
      if (wanted.some((desired) => desired.vm === vm.entry.vm)) continue;
      if (this.#turns !== null && this.#alive.has(vm.entry.vm) && vm.entry.state !== "stopping")
        actions.push({ label: () => `${vm.entry.vm} is told to stop`, run: () => this.#tellStop(vm) });
      else actions.push({ label: () => `${vm.entry.vm} is stopped`, run: () => this.#stop(vm) });
    }
  }

  /** As one on which these run since long, by this record. */
  restore(committed: CommittedApp, vms: readonly ObservedVm[]): void {
    this.held = committed;
    this.gate.restore(committed);
    for (const { entry, version } of vms) {
      const vm = {
        entry,
        version,
        isHung: false,
        isSlow: false,
        isRested: true,
        requests: new Set<SimRequest>(),
      };
      if (entry.host !== this.name) continue;
      this.vms.set(entry.vm, vm);
      this.#noteAlive(vm);
    }
  }

  /** The process of a VM ends by itself. */
  exit(vm: SimVm): void {
    this.#end(vm);
    this.#say(vm, { state: "exited", health: "unknown", exit: { code: 1, signal: null } });
    this.#rest(vm);
  }

  /** It does not answer any more; its checks notice that. */
  hang(vm: SimVm): void {
    vm.isHung = true;
    this.#deps.time.after(CHECKS_MS, () => {
      if (this.isUp && vm.isHung && this.vms.get(vm.entry.vm) === vm) this.#say(vm, { health: "unhealthy" });
    });
  }

  answerAgain(vm: SimVm): void {
    if (!vm.isHung || this.vms.get(vm.entry.vm) !== vm) return;
    vm.isHung = false;
    this.backAtMs = this.#deps.time.nowMs;
    if (vm.entry.state === "running") this.#say(vm, { health: "healthy" });
  }

  startGate(): void {
    this.backAtMs = this.#deps.time.nowMs;
    this.gate.start();
  }

  /** All processes of the machine end. What is on its disk stays. */
  crash(): void {
    this.isUp = false;
    this.gate.crash("lost");
    this.#turns?.forget();
    for (const vm of this.vms.values()) this.#end(vm);
  }

  /** Its leases are renewed as long as `current`, what a majority has, names what runs here; null: it does not answer. */
  noteLeases(current: CommittedApp | null): void {
    if (this.#lease === null) return;
    const isAnswered = !this.isCut || this.isUnheard;
    const isReached = this.isUp && !this.isStill && isAnswered && current !== null;
    const named = isReached ? placedVms(current.record) : [];
    for (const vm of this.#alive)
      this.#lease.note(
        vm,
        named.some((one) => one.vm === vm && one.host === this.name),
      );
  }

  /** What it confirms of its app to who waits for that, if it is another than before; null: nothing. */
  aloneNews(): AloneStanding | null {
    const { held } = this;
    if (this.#turns === null || held === null || !this.isUp || this.isStill || this.isCut) return null;
    if (held.record.mayRun?.some(({ host }) => host === this.name) !== true) return null;
    const vms = [...new Set([...this.#alive, ...this.#turns.granted])];
    const standing = { app: SIM_APP, epoch: held.epoch, vms };
    return JSON.stringify(standing) === this.#aloneTold ? null : standing;
  }

  noteAloneTold(standing: AloneStanding): void {
    this.#aloneTold = JSON.stringify(standing);
  }

  #expire(name: VmName): void {
    const vm = this.vms.get(name);
    if (vm === undefined || !this.#alive.has(name)) return;
    this.#end(vm);
    this.#say(vm, { state: "exited", health: "unknown", exit: { code: null, signal: "SIGKILL" } });
    this.#rest(vm);
  }

  /** Its agent ends, and its VMs and its gate go on. */
  crashAgent(): void {
    this.isStill = true;
    this.#turns?.forget();
  }

  /** Its disk is lost: it knows of nothing that ran. */
  forget(): void {
    this.held = null;
    this.wasBlank = true;
    for (const { entry } of this.vms.values()) this.#deps.publish(this, entry.vm, null);
    this.vms.clear();
  }

  /** Its agent finds its VMs ended. */
  start(): void {
    this.isUp = true;
    this.startGate();
    for (const vm of this.vms.values()) {
      vm.isHung = false;
      this.#say(vm, { state: "exited", health: "unknown", exit: { code: null, signal: "SIGKILL" } });
      this.#rest(vm);
    }
  }

  #actionOf(desired: PlacedVm, { record }: CommittedApp): readonly Action[] {
    const vm = this.vms.get(desired.vm);
    const isCommand = desired.phase === "command";
    const fate = desired.release === 1 ? "healthy" : this.#deps.fate;
    const say = (what: string, run: () => void): Action => ({ label: () => `${desired.vm} ${what}`, run });
    if (vm === undefined) return [say("is started", () => this.#begin(desired))];
    if (isCommand)
      return vm.entry.state === "preparing" ? [say("ends", () => this.#endCommand(vm, fate))] : [];
    const spec = record.releases.find(({ number }) => number === desired.release)?.spec;
    const gated = spec === undefined || isGated(spec) ? { gated: true as const } : {};
    const start =
      fate === "exits" ? say("exits", () => this.#failStart(vm)) : say("runs", () => this.#run(vm, gated));
    if (this.#turns !== null && vm.entry.state === "preparing")
      return [say("has all at hand", () => this.#say(vm, { state: "prepared" }))];
    if (vm.entry.state === "preparing") return [start];
    if (this.#turns !== null && vm.entry.state === "prepared")
      return desired.phase === "prepared" ? [] : this.#turns.actionsOf(desired.vm, start);
    // Before it serves the rollout decides what becomes of it.
    if (vm.entry.state === "exited" && vm.isRested && !isToServe(desired))
      return [say("is started again", () => this.#say(vm, { state: "preparing" }))];
    if (vm.entry.state !== "running" || vm.isHung) return [];
    if (vm.entry.health === "unknown")
      return fate === "hangs" || vm.isSlow
        ? []
        : [say("is healthy", () => this.#say(vm, { health: "healthy" }))];
    const isDue = fate === "breaks-late" && desired.phase === "serving" && vm.entry.health === "healthy";
    return isDue ? [say("breaks", () => this.#say(vm, { health: "unhealthy" }))] : [];
  }

  #failStart(vm: SimVm): void {
    this.#noteAlive(vm);
    this.#end(vm);
    this.#say(vm, { state: "exited", exit: { code: 1, signal: null } });
    this.#rest(vm);
  }

  #noteAlive({ entry: { vm } }: SimVm): void {
    this.#alive.add(vm);
    this.#lease?.started(vm, this.#turns?.sentAtMs(vm) ?? this.#deps.time.nowMs);
    this.#deps.lifetimes.begin(vm, this.name);
  }

  #endCommand(vm: SimVm, fate: Fate): void {
    this.#say(vm, { state: "exited", exit: { code: fate === "exits" ? 1 : 0, signal: null } });
  }

  #begin({ vm, release, phase }: PlacedVm): void {
    if (phase === "command") this.#deps.onCommand(vm);
    const entry = newVmEntry({ vm, app: SIM_APP, release, host: this.name });
    const isSlow = release > 1 && this.#deps.fate === "slow";
    const begun: SimVm = {
      entry,
      version: this.#deps.newVersion(),
      isHung: false,
      isSlow,
      isRested: false,
      requests: new Set(),
    };
    this.vms.set(vm, begun);
    this.#say(begun, {});
  }

  #run(vm: SimVm, gated: Pick<VmEntry, "gated">): void {
    this.backAtMs = this.#deps.time.nowMs;
    this.#noteAlive(vm);
    const address = { host: `10.0.0.${this.index}`, port: 20_000 + this.vms.size };
    const restarts = vm.entry.startedAtMs === null ? 0 : vm.entry.restarts + 1;
    const { gated: _before, ...entry } = vm.entry;
    vm.entry = entry;
    this.#say(vm, {
      state: "running",
      health: "unknown",
      address,
      restarts,
      startedAtMs: this.#deps.time.nowMs,
      ...gated,
    });
    if (!vm.isSlow) return;
    this.#deps.time.after(SLOW_MS, () => {
      vm.isSlow = false;
    });
  }

  #rest(vm: SimVm): void {
    vm.isRested = false;
    this.#deps.time.after(BACKOFF_MS, () => {
      vm.isRested = true;
    });
  }

  #say(vm: SimVm, change: Partial<VmEntry>): void {
    vm.entry = { ...vm.entry, ...change };
    vm.version = this.#deps.newVersion();
    this.#deps.publish(this, vm.entry.vm, { entry: vm.entry, version: vm.version });
  }

  #tellStop(vm: SimVm): void {
    this.#deps.onStop(this, vm);
    this.#say(vm, { state: "stopping" });
  }

  #stop(vm: SimVm): void {
    if (vm.entry.state !== "stopping") this.#deps.onStop(this, vm);
    this.#end(vm);
    this.vms.delete(vm.entry.vm);
    this.#deps.publish(this, vm.entry.vm, null);
  }

  #end(vm: SimVm): void {
    this.#alive.delete(vm.entry.vm);
    this.#lease?.ended(vm.entry.vm);
    this.#deps.lifetimes.end(vm.entry.vm);
    for (const request of [...vm.requests]) request.broke();
    vm.requests.clear();
  }
}
