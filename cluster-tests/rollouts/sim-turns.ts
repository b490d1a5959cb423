// Sim turns: when a VM of an app that never runs twice may start on its host, as the agent has it (node/vms/alone.ts): a majority's records
// are read once that want it here, and then nothing else of the app runs on this host.

import { type CommittedApp, type MemberName, placedVms, type VmName } from "../../mesh/index.ts";
import type { Action } from "./action.ts";
import type { BreakName } from "./breaks.ts";

export interface TurnsDeps {
  readonly host: MemberName;
  readonly broken: BreakName | null;
  /** What a majority has; null: it cannot be asked now. */
  readonly read: () => CommittedApp | null;
  /** VMs here of which a process may run. */
  readonly running: () => readonly VmName[];
}

export class SimTurns {
  readonly #deps: TurnsDeps;
  /** A majority wanted it, when it was asked. */
  readonly #wanted = new Set<VmName>();
  /** By which epoch it did not: it is not asked again before a newer one. */
  readonly #unwanted = new Map<VmName, number>();

  constructor(deps: TurnsDeps) {
    this.#deps = deps;
  }

  /** The next thing on the way to `start`; none: it has to wait. */
  actionsOf(vm: VmName, start: Action): readonly Action[] {
    const { broken, running } = this.#deps;
    if (!this.#wanted.has(vm) && broken !== "exclusive-read") return this.#asking(vm);
    if (running().some((other) => other !== vm) && broken !== "handoff-order") return [];
    const run = () => {
      this.#wanted.delete(vm);
      start.run();
    };
    return [{ label: start.label, run }];
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
      if (isWanted) this.#wanted.add(vm);
      else this.#unwanted.set(vm, committed.epoch);
    };
    return [{ label: () => `${host} reads that ${vm} is ${isWanted ? "" : "not "}wanted`, run }];
  }
}
