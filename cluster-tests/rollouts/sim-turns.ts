// Sim turns: when a VM of an app that never runs twice may start on its host, as the agent has it (node/vms/alone.ts): a majority's records
// are read once that want it here, and then nothing else of the app runs on this host.

import { type CommittedApp, type MemberName, placedVms, type VmName } from "../../mesh/index.ts";
import type { Action } from "./action.ts";
import type { BreakName } from "./breaks.ts";
import type { SimLease } from "./sim-lease.ts";
import type { SimTime } from "./sim-time.ts";

export interface TurnsDeps {
  readonly host: MemberName;
  readonly time: SimTime;
  readonly broken: BreakName | null;
  /** Null: it runs without one. */
  readonly lease: Pick<SimLease, "isTooOld"> | null;
  /** What a majority has; null: it cannot be asked now. */
  readonly read: () => CommittedApp | null;
  /** VMs here of which a process may run. */
  readonly running: () => readonly VmName[];
}

export class SimTurns {
  readonly #deps: TurnsDeps;
  /** A majority wanted it, when it was asked: then. */
  readonly #wanted = new Map<VmName, number>();
  /** The same of those that were started since. */
  readonly #started = new Map<VmName, number>();
  /** By which epoch it did not: it is not asked again before a newer one. */
  readonly #unwanted = new Map<VmName, number>();

  constructor(deps: TurnsDeps) {
    this.#deps = deps;
  }

  /** The next thing on the way to `start`; none: it has to wait. */
  actionsOf(vm: VmName, start: Action): readonly Action[] {
    const { broken, running, lease, time } = this.#deps;
    const askedAtMs = this.#wanted.get(vm);
    if (askedAtMs !== undefined && lease?.isTooOld(askedAtMs) === true) this.#wanted.delete(vm);
    if (!this.#wanted.has(vm) && broken !== "exclusive-read") return this.#asking(vm);
    if (running().some((other) => other !== vm) && broken !== "handoff-order") return [];
    const run = () => {
      this.#started.set(vm, this.#wanted.get(vm) ?? time.nowMs);
      this.#wanted.delete(vm);
      start.run();
    };
    return [{ label: start.label, run }];
  }

  /** VMs that may be started without another question. */
  get granted(): readonly VmName[] {
    return [...this.#wanted.keys()];
  }

  /** When the question was sent by which it was started last. */
  sentAtMs(vm: VmName): number | undefined {
    return this.#started.get(vm);
  }

  /** The agent starts anew. */
  forget(): void {
    this.#wanted.clear();
    this.#unwanted.clear();
  }

  #asking(vm: VmName): readonly Action[] {
    const { host, read } = this.#deps;
    const committed = read();
    if (committed === null || this.#unwanted.get(vm) === committed.epoch) return [];
    const isWanted = placedVms(committed.record).some(
      (one) => one.vm === vm && one.host === host && one.phase !== "prepared",
    );
    const run = () => {
      if (isWanted) this.#wanted.set(vm, this.#deps.time.nowMs);
      else this.#unwanted.set(vm, committed.epoch);
    };
    return [{ label: () => `${host} reads that ${vm} is ${isWanted ? "" : "not "}wanted`, run }];
  }
}
