// Leases: keeps those of this host's VMs that have one. A lease is asked for before a start, renewed while anything of the VM runs, and told to
// the VM's watchdog by a file, which ends the VM when we do not renew. It counts from the moment when the question was sent.

import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { type AppName, isLeaseOver, type LeaseAnswer, messageOf, type VmName } from "../../mesh/index.ts";
import { leaseToStartMs, leaseUntilMs, renewEveryMs } from "../lease.ts";
import { readLease, writeLease } from "./lease-file.ts";
import { endWatchdog, isWatched, startWatchdog, untilWatchdogEnded } from "./start-watchdog.ts";
import { killMembers } from "./vm-members.ts";

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
  /** As it is on disk, where its watchdog reads it. */
  untilMs: number;
  /** Ends what renews it. */
  readonly ending: AbortController;
  /** Nothing of the VM runs any more. */
  readonly gone: AbortController;
  /** Its watchdog is being started. */
  watching: Promise<void> | null;
  isQuiet: boolean;
}

export class Leases {
  readonly #deps: LeasesDeps;
  readonly #held = new Map<VmName, Held>();
  readonly #tasks = new Set<Promise<void>>();

  constructor(deps: LeasesDeps) {
    this.#deps = deps;
  }

  /**
   * Resolves once a majority of the voters has it run here, asked from now on, and its watchdog watches. Nothing of it runs yet. Rejects on abort,
   * and when it could not be ended.
   */
  async hold(leased: Leased, signal: AbortSignal): Promise<void> {
    // One of an earlier agent does not wait for what this one is about to start.
    endWatchdog(leased.folder);
    for (;;) {
      const untilMs = await this.#asked(leased, signal);
      signal.throwIfAborted();
      if (untilMs !== null) {
        const held = this.#begin(leased);
        const fault = this.#extend(held, untilMs);
        if (fault !== null) throw new Error(`its lease cannot be written down: ${fault}`);
        this.#do(this.#renew(held, renewEveryMs(leased.leaseMs)));
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

  /** Of an earlier agent's VM that runs: goes on with what is on disk. That may be over soon, so it is renewed at once. */
  adopt(leased: Leased): void {
    if (this.#held.has(leased.vm)) return;
    const held = this.#begin(leased);
    held.untilMs = readLease(leased.folder);
    this.#deps.onChange();
    this.#do(this.#renew(held, 0));
  }

  /** Nothing of it runs. */
  drop(vm: VmName): void {
    const held = this.#held.get(vm);
    if (held === undefined) return;
    held.ending.abort();
    held.gone.abort();
    this.#held.delete(vm);
    // One that cannot be ended now ends with the VM's folder, or with the next lease there.
    this.#do(untilWatchdogEnded(held.leased.folder), "watchdog cannot be ended");
  }

  /** By `nowMs`; undefined: it has none. */
  untilMs(vm: VmName): number | undefined {
    return this.#held.get(vm)?.untilMs;
  }

  isOver(vm: VmName): boolean {
    const held = this.#held.get(vm);
    return held !== undefined && this.#isOver(held);
  }

  /** Renews nothing any more. The watchdogs go on, also those that are being started. */
  async leave(): Promise<void> {
    for (const { ending } of this.#held.values()) ending.abort();
    await Promise.allSettled([...this.#tasks, ...[...this.#held.values()].map(({ watching }) => watching)]);
  }

  #begin(leased: Leased): Held {
    const before = this.#held.get(leased.vm);
    before?.ending.abort();
    before?.gone.abort();
    const [ending, gone] = [new AbortController(), new AbortController()];
    const held: Held = { leased, untilMs: 0, ending, gone, watching: null, isQuiet: false };
    this.#held.set(leased.vm, held);
    return held;
  }

  /** Nothing is renewed that nobody would end: then it runs out, and we end the VM ourselves. */
  async #renew(held: Held, firstMs: number): Promise<void> {
    const { signal } = held.ending;
    const { leased } = held;
    for (let pauseMs = firstMs; ; ) {
      await delay(pauseMs, undefined, { signal });
      const isWatched = await this.#isWatched(held);
      signal.throwIfAborted();
      const untilMs = isWatched ? await this.#asked(leased, signal) : null;
      signal.throwIfAborted();
      pauseMs = untilMs === null ? AGAIN_MS : renewEveryMs(leased.leaseMs);
      if (isWatched) this.#log(held, untilMs !== null);
      if (untilMs !== null && untilMs > held.untilMs) this.#extend(held, untilMs);
    }
  }

  async #isWatched(held: Held): Promise<boolean> {
    const { folder } = held.leased;
    try {
      if (this.#isOver(held) && !isWatched(folder)) killMembers(folder);
      await this.#watched(held);
      return true;
    } catch (error) {
      if (held.ending.signal.aborted) return false;
      const { vm } = held.leased;
      this.#deps.logger.warn(
        { vm, reason: messageOf(error) },
        "nobody would end the VM when its lease is over: it is not renewed",
      );
      if (this.#isOver(held)) killMembers(folder);
      return false;
    }
  }

  #isOver({ untilMs }: Held): boolean {
    return isLeaseOver(untilMs, this.#deps.nowMs);
  }

  /** Until when it may run by what a majority says now; null: nobody says that it may. */
  async #asked({ vm, app, leaseMs }: Leased, signal: AbortSignal): Promise<number | null> {
    const timeout = AbortSignal.timeout(Math.min(ANSWER_MS_MAX, leaseMs));
    try {
      const sentAtMs = this.#deps.nowMs();
      const { isNamed } = await this.#deps.ask({ vm, app }, AbortSignal.any([signal, timeout]));
      return isNamed ? leaseUntilMs(sentAtMs, leaseMs) : null;
    } catch {
      return null;
    }
  }

  /** What is not on disk does not hold: its watchdog would not know. Null: it holds. */
  #extend(held: Held, untilMs: number): string | null {
    const { folder, vm } = held.leased;
    try {
      writeLease(folder, untilMs);
      held.untilMs = untilMs;
      this.#deps.onChange();
      return null;
    } catch (error) {
      const reason = messageOf(error);
      this.#deps.logger.warn({ vm, reason }, "lease cannot be written down: the VM ends with the one before");
      return reason;
    }
  }

  /** One start at a time. It is not waited for longer than what is left of the lease: then somebody else has to end the VM. */
  async #watched(held: Held): Promise<void> {
    const { folder } = held.leased;
    if (held.watching === null) {
      if (isWatched(folder)) return;
      const signal = AbortSignal.any([held.gone.signal, AbortSignal.timeout(this.#patienceMs(held))]);
      held.watching = startWatchdog(folder, signal).finally(() => {
        held.watching = null;
      });
    }
    await held.watching;
  }

  #patienceMs({ leased, untilMs }: Held): number {
    const leftMs = Math.ceil(untilMs - this.#deps.nowMs());
    return leftMs > 0 ? Math.min(leftMs, leased.leaseMs) : AGAIN_MS;
  }

  #log(held: Held, isRenewed: boolean): void {
    const { vm } = held.leased;
    if (!isRenewed && !held.isQuiet)
      this.#deps.logger.warn({ vm }, "lease is not renewed: no majority of the voters has the VM run here");
    if (isRenewed && held.isQuiet) this.#deps.logger.info({ vm }, "lease is renewed again");
    held.isQuiet = !isRenewed;
  }

  #do(task: Promise<void>, fault = "lease cannot be kept"): void {
    const running = task
      .catch((error: unknown) => {
        if ((error as Error).name !== "AbortError")
          this.#deps.logger.warn({ reason: messageOf(error) }, fault);
      })
      .finally(() => this.#tasks.delete(running));
    this.#tasks.add(running);
  }
}
