// Leases: keeps those of this host's VMs that have one. A lease is asked for before a start, renewed while anything of the VM runs, and told to
// the VM's watchdog by a file, which ends the VM when we do not renew. It counts from the moment when the question was sent.

import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { type AppName, type LeaseAnswer, messageOf, type VmName } from "../../mesh/index.ts";
import { leaseToStartMs, leaseUntilMs, renewEveryMs } from "../lease.ts";
import { readLease, writeLease } from "./lease-file.ts";
import { endWatchdog, isWatched, startWatchdog } from "./start-watchdog.ts";

/** One answer is waited for so long at most: the next voter may be quicker. */
const ANSWER_MS_MAX = 2_000;
/** After a question that nobody answered, or with no. */
const AGAIN_MS = 250;

export interface Leased {
  readonly vm: VmName;
  readonly app: AppName;
  readonly folder: string;
  readonly leaseMs: number;
}

export interface LeasesDeps {
  /** Of any voter, one after the other until one says. Rejects when none does. */
  readonly ask: (question: Pick<Leased, "vm" | "app">, signal: AbortSignal) => Promise<LeaseAnswer>;
  /** `uptimeMs`. */
  readonly nowMs: () => number;
  /** The lease of some VM is another. */
  readonly onChange: () => void;
  readonly logger: Pick<Logger, "info" | "warn">;
}

interface Held {
  readonly leased: Leased;
  untilMs: number;
  readonly ending: AbortController;
  isQuiet: boolean;
}

export class Leases {
  readonly #deps: LeasesDeps;
  readonly #held = new Map<VmName, Held>();
  readonly #tasks = new Set<Promise<void>>();

  constructor(deps: LeasesDeps) {
    this.#deps = deps;
  }

  /** Resolves once a majority of the voters has it run here, asked from now on, and its watchdog watches. Rejects on abort. */
  async hold(leased: Leased, signal: AbortSignal): Promise<void> {
    for (;;) {
      const untilMs = await this.#asked(leased, signal);
      signal.throwIfAborted();
      if (untilMs !== null) {
        const held = this.#begin(leased, untilMs);
        await this.#watched(held);
        signal.throwIfAborted();
        return;
      }
      await delay(AGAIN_MS, undefined, { signal });
    }
  }

  /** Right before its process is made. Rejects if it would have no time, or nobody who ends it. */
  async guard({ vm, folder, leaseMs }: Leased): Promise<void> {
    const held = this.#held.get(vm);
    if (held === undefined) throw new Error("it has no lease");
    await this.#watched(held);
    if (held.untilMs - this.#deps.nowMs() < leaseToStartMs(leaseMs))
      throw new Error("its lease was over before it was started");
    if (!isWatched(folder)) throw new Error("its watchdog does not run");
  }

  /** Of an earlier agent's VM that runs: goes on with what is on disk. */
  adopt(leased: Leased): void {
    if (this.#held.has(leased.vm)) return;
    const held = this.#begin(leased, readLease(leased.folder));
    this.#do(this.#watched(held));
  }

  /** Nothing of it runs. */
  drop(vm: VmName): void {
    const held = this.#held.get(vm);
    if (held === undefined) return;
    held.ending.abort();
    this.#held.delete(vm);
    endWatchdog(held.leased.folder);
  }

  /** By `nowMs`; undefined: it has none. */
  untilMs(vm: VmName): number | undefined {
    return this.#held.get(vm)?.untilMs;
  }

  isOver(vm: VmName): boolean {
    const untilMs = this.untilMs(vm);
    return untilMs !== undefined && untilMs <= this.#deps.nowMs();
  }

  /** Renews nothing any more. The watchdogs go on. */
  async leave(): Promise<void> {
    for (const { ending } of this.#held.values()) ending.abort();
    await Promise.allSettled(this.#tasks);
  }

  #begin(leased: Leased, untilMs: number): Held {
    this.#held.get(leased.vm)?.ending.abort();
    const held: Held = { leased, untilMs, ending: new AbortController(), isQuiet: false };
    this.#held.set(leased.vm, held);
    this.#tell(held);
    this.#do(this.#renew(held));
    return held;
  }

  async #renew(held: Held): Promise<void> {
    const { signal } = held.ending;
    const { leased } = held;
    let pauseMs = renewEveryMs(leased.leaseMs);
    for (;;) {
      await delay(pauseMs, undefined, { signal });
      await this.#watched(held).catch((error: unknown) => this.#warn(held, messageOf(error)));
      const untilMs = await this.#asked(leased, signal);
      signal.throwIfAborted();
      pauseMs = untilMs === null ? AGAIN_MS : renewEveryMs(leased.leaseMs);
      this.#log(held, untilMs !== null);
      if (untilMs === null || untilMs <= held.untilMs) continue;
      held.untilMs = untilMs;
      this.#tell(held);
    }
  }

  /** Until when it may run by what a majority says now; null: nobody says that it may. */
  async #asked({ vm, app, leaseMs }: Leased, signal: AbortSignal): Promise<number | null> {
    const sentAtMs = this.#deps.nowMs();
    const timeout = AbortSignal.timeout(Math.min(ANSWER_MS_MAX, leaseMs));
    try {
      const { isNamed } = await this.#deps.ask({ vm, app }, AbortSignal.any([signal, timeout]));
      return isNamed ? leaseUntilMs(sentAtMs, leaseMs) : null;
    } catch {
      return null;
    }
  }

  #tell({ leased: { folder, vm }, untilMs }: Held): void {
    try {
      writeLease(folder, untilMs);
    } catch (error) {
      const reason = messageOf(error);
      this.#deps.logger.warn({ vm, reason }, "lease cannot be written down: the VM ends with the one before");
    }
    this.#deps.onChange();
  }

  async #watched({ leased: { folder } }: Held): Promise<void> {
    if (!isWatched(folder)) await startWatchdog(folder);
  }

  #warn({ leased: { vm } }: Held, reason: string): void {
    this.#deps.logger.warn({ vm, reason }, "nobody would end the VM when its lease is over");
  }

  #log(held: Held, isRenewed: boolean): void {
    const { vm } = held.leased;
    if (!isRenewed && !held.isQuiet)
      this.#deps.logger.warn({ vm }, "lease is not renewed: no majority of the voters has the VM run here");
    if (isRenewed && held.isQuiet) this.#deps.logger.info({ vm }, "lease is renewed again");
    held.isQuiet = !isRenewed;
  }

  #do(task: Promise<void>): void {
    const running = task
      .catch((error: unknown) => {
        if ((error as Error).name !== "AbortError")
          this.#deps.logger.warn({ reason: messageOf(error) }, "lease cannot be kept");
      })
      .finally(() => this.#tasks.delete(running));
    this.#tasks.add(running);
  }
}
