// Alone: VMs of an app that never runs twice take turns on this host. The next is started when nothing of another one runs here any more, as its
// driver confirmed, in the very call that says so. What is on disk keeps the order over a restart of the agent: a process is written down
// before there is one, and forgotten only when there is none.

import type { AppName, VmName } from "../../mesh/index.ts";
import type { VmLife } from "./vm-life.ts";

type Life = Pick<VmLife, "entry" | "state" | "isExclusive">;

interface Waiter {
  readonly vm: VmName;
  readonly app: AppName;
  readonly isExclusive: boolean;
  readonly grant: () => void;
}

export interface AloneDeps {
  /** The epoch of the record, as a majority has it now, that wants it to run here; null: none does. Waits for a majority; rejects on abort. */
  readonly wantedEpoch: (vm: VmName, signal: AbortSignal) => Promise<number | null>;
  /** All VMs of this host. */
  readonly lives: () => readonly Life[];
}

export class Alone {
  readonly #deps: AloneDeps;
  readonly #waiting = new Set<Waiter>();

  constructor(deps: AloneDeps) {
    this.#deps = deps;
  }

  /**
   * Calls `grant` once, when it is the VM's turn, with the epoch that says so: of two VMs of the app the later one has the higher. The records are read meanwhile: what a partition kept from us may have given the app to
   * another host. Never, if they do not want it: its host hears of that record then, and has it go. Rejects on abort.
   */
  async turn(
    { entry: { vm, app }, isExclusive }: Omit<Life, "state">,
    signal: AbortSignal,
    grant: (epoch: number) => void,
  ): Promise<void> {
    const epoch = await this.#deps.wantedEpoch(vm, signal);
    if (epoch === null) return;
    signal.throwIfAborted();
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiter: Waiter = {
      vm,
      app,
      isExclusive,
      grant: () => {
        resolve();
        grant(epoch);
      },
    };
    this.#waiting.add(waiter);
    const leave = () => {
      this.#waiting.delete(waiter);
      resolve();
    };
    signal.addEventListener("abort", leave, { once: true });
    this.changed();
    await promise;
    signal.removeEventListener("abort", leave);
  }

  /** Some VM of this host is in another state. One after the other: who is granted its turn runs for those behind it. */
  changed(): void {
    for (const waiter of [...this.#waiting]) {
      if (!this.#waiting.has(waiter) || this.#runsBeside(waiter)) continue;
      this.#waiting.delete(waiter);
      waiter.grant();
    }
  }

  /** Where one release never runs twice and the next may, the VMs of the next wait for that of the first, and not for each other. */
  #runsBeside({ vm, app, isExclusive }: Waiter): boolean {
    const isOther = ({ entry, state }: Life) => entry.app === app && entry.vm !== vm && mayRun(state);
    return this.#deps.lives().some((life) => isOther(life) && (isExclusive || life.isExclusive));
  }
}

/** A process of it may be there. */
function mayRun(state: Life["state"]): boolean {
  return state === "starting" || state === "running" || state === "stopping";
}
