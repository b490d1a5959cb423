// Sim hosts: they run what the record wants of them, one move after the other, and what a VM does its release's fate says.

import assert from "node:assert/strict";
import {
  type AppRecord,
  commandVmOf,
  type DesiredVm,
  type MemberName,
  newVmEntry,
  type VmEntry,
  type VmName,
  vmName,
} from "../../../mesh/index.ts";
import type { ObservedVm } from "../core/facts.ts";
import type { RolloutInput } from "../core/rollout.ts";
import { routesTo } from "../testing/judge.ts";
import type { Fate } from "./scenarios.ts";
import { SIM_APP } from "./sim-driver.ts";
import type { SimProxy } from "./sim-proxy.ts";

/** Of the second release. */
const COMMAND_VM = vmName(`${SIM_APP}-v2-0`);

function commandOf(record: AppRecord | null): readonly DesiredVm[] {
  const command = record === null ? null : commandVmOf(record);
  return command === null ? [] : [{ ...command, phase: "starting", requires: null }];
}

/** Something that may happen next. */
export interface Action {
  readonly label: string;
  readonly run: () => void;
}

export class SimHosts {
  readonly entries: Map<VmName, ObservedVm> = new Map();
  readonly #fate: Fate;
  readonly #tell: (input: RolloutInput) => void;
  #versions = 0;
  #hasRunCommand = false;

  /** `fate`: of the second release; the first is healthy. */
  constructor(fate: Fate, tell: (input: RolloutInput) => void) {
    this.#fate = fate;
    this.#tell = tell;
  }

  possible(record: AppRecord | null, proxies: Iterable<SimProxy>): readonly Action[] {
    const wanted = [...(record?.vms ?? []), ...commandOf(record)];
    const names = new Set(wanted.map(({ vm }) => vm));
    const gone = [...this.entries.values()].filter(({ entry }) => !names.has(entry.vm));
    return [
      ...wanted.flatMap((vm) => this.#ofVm(vm)),
      ...gone.map(({ entry }) => ({
        label: `${entry.vm} is stopped`,
        run: () => this.#stop(entry, proxies),
      })),
    ];
  }

  #ofVm(vm: DesiredVm): readonly Action[] {
    const entry = this.entries.get(vm.vm)?.entry;
    const fate: Fate = vm.release === 1 ? "healthy" : this.#fate;
    const say = (label: string, change: Partial<VmEntry>): Action => ({
      label: `${vm.vm} ${label}`,
      run: () => this.#say(vm, change),
    });
    const isCommand = vm.vm === COMMAND_VM;
    if (entry === undefined) return [isCommand ? this.#startOnce(vm) : say("is started", {})];
    if (entry.state === "preparing" && isCommand) {
      const exit = { code: fate === "exits" ? 1 : 0, signal: null };
      return [say("ends", { state: "exited", exit })];
    }
    if (entry.state === "preparing") {
      return fate === "exits"
        ? [say("exits", { state: "exited", exit: { code: 1, signal: null } })]
        : [say("is healthy", { state: "running", health: "healthy", reason: null })];
    }
    const isDue = fate === "breaks-late" && vm.phase === "serving" && entry.health === "healthy";
    return isDue ? [say("breaks", { health: "unhealthy" })] : [];
  }

  /** `command-once`: whatever becomes of its driver. */
  #startOnce(vm: DesiredVm): Action {
    const run = () => {
      assert.ok(!this.#hasRunCommand, "the release command is run twice");
      this.#hasRunCommand = true;
      this.#say(vm, {});
    };
    return { label: `${vm.vm} is started`, run };
  }

  #say({ vm, release, host }: DesiredVm, change: Partial<VmEntry>): void {
    const base = this.entries.get(vm)?.entry ?? newVmEntry({ vm, app: SIM_APP, release, host });
    this.#versions += 1;
    const version = { incarnation: 1, startId: 1, counter: this.#versions };
    const observed = { entry: { ...base, ...change }, version };
    this.entries.set(vm, observed);
    this.#tell({ kind: "vm", vm, host, observed });
  }

  /** `no-early-stop`, at the stop itself. */
  #stop({ vm, host }: { readonly vm: VmName; readonly host: MemberName }, proxies: Iterable<SimProxy>): void {
    for (const { name, registered, table, inFlight } of proxies) {
      if (!registered) continue;
      assert.ok(!routesTo(table, vm), `${vm} is stopped while ${name} routes to it`);
      assert.ok(!inFlight.has(vm), `${vm} is stopped with a request of ${name} in flight`);
    }
    this.entries.delete(vm);
    this.#tell({ kind: "vm", vm, host, observed: null });
  }
}
