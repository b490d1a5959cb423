// VM lifetimes: which processes of an app's VMs live when, as the machine's process table has it: no VM, agent or record is asked.

import { setTimeout as delay } from "node:timers/promises";
import { type ProcessRow, readProcess } from "../../node/vms/process-table.ts";
import { vmProcesses } from "./running-vms.ts";

/** Looking costs some milliseconds. */
const LOOK_MS = 20;
/** One clock tick of the process table. */
const TICK_MS = 10;

/** Milliseconds since the machine started. */
export interface SeenLifetime {
  readonly vm: string;
  readonly pid: number;
  readonly beginMs: number;
  /** The first look at which it was gone; null: it lives. */
  readonly goneMs: number | null;
}

export class VmLifetimes {
  readonly #seen = new Map<string, { -readonly [Key in keyof SeenLifetime]: SeenLifetime[Key] }>();
  /** VMs of one app of which processes were seen in one look. */
  readonly #together = new Set<string>();
  readonly #stopping = new AbortController();
  readonly #looking: Promise<void>;

  constructor(stateDir: string, nowMs: () => number) {
    this.#looking = this.#look(stateDir, nowMs);
  }

  get all(): readonly SeenLifetime[] {
    return [...this.#seen.values()].sort((left, right) => left.beginMs - right.beginMs);
  }

  /** "web-v1-1 web-v1-2": of one app, and both lived at once. */
  get together(): readonly string[] {
    return [...this.#together];
  }

  of(vm: string): SeenLifetime {
    const found = this.all.findLast((one) => one.vm === vm);
    if (found === undefined) throw new Error(`no process of ${vm} was seen`);
    return found;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#looking;
  }

  async #look(stateDir: string, nowMs: () => number): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const atMs = nowMs();
      const alive = new Map<string, { pid: number; vm: string; row: ProcessRow }>(
        vmProcesses(stateDir).flatMap(({ pid, vm }) => {
          const row = readProcess(pid);
          return row === null || row.ended ? [] : [[`${pid} ${row.startTime}`, { pid, vm, row }] as const];
        }),
      );
      for (const [key, { pid, vm, row }] of alive)
        if (!this.#seen.has(key))
          this.#seen.set(key, { vm, pid, beginMs: row.startTime * TICK_MS, goneMs: null });
      for (const [key, seen] of this.#seen) if (!alive.has(key)) seen.goneMs ??= atMs;
      const names = [...new Set([...alive.values()].map(({ vm }) => vm))].sort();
      for (const ofApp of Map.groupBy(names, appOf).values())
        if (ofApp.length > 1) this.#together.add(ofApp.join(" "));
      await delay(LOOK_MS);
    }
  }
}

/** Of "web-v1-2": "web". */
function appOf(vm: string): string {
  return vm.replace(/-v\d+-\d+$/, "");
}
