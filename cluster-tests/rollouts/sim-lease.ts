// Sim lease: how long a VM runs on whose host no majority says any more that it may. While one does it is renewed over and over; from the moment
// on at which none would, it ends at the latest that the lease allows: the last question was sent right then, and the clock of the host is slow.

import type { VmName } from "../../mesh/index.ts";
import { LEASE_KILL_MS, LEASE_RATE_BOUND, leaseToStartMs, leaseUntilMs } from "../../node/lease.ts";
import type { BreakName } from "./breaks.ts";
import type { SimTime, Timer } from "./sim-time.ts";

/** What an answer may take. */
const ANSWER_MS = 1_500;
/** A clock that no bound allows for. */
const SLOW_RATE = 0.3;

export interface LeaseDeps {
  readonly time: SimTime;
  readonly broken: BreakName | null;
  readonly leaseMs: number;
  /** The watchdog ends it. */
  readonly onOver: (vm: VmName) => void;
}

export class SimLease {
  readonly #deps: LeaseDeps;
  readonly #ending = new Map<VmName, Timer>();

  constructor(deps: LeaseDeps) {
    this.#deps = deps;
  }

  /** By an answer to a question that was sent then. */
  started(vm: VmName, sentAtMs: number): void {
    this.#endAfter(vm, sentAtMs);
  }

  note(vm: VmName, isRenewed: boolean): void {
    if (isRenewed) this.ended(vm);
    else if (!this.#ending.has(vm)) this.#endAfter(vm, this.#deps.time.nowMs);
  }

  ended(vm: VmName): void {
    this.#deps.time.cancel(this.#ending.get(vm) ?? null);
    this.#ending.delete(vm);
  }

  /** A question that was sent then is too old to start anything by. */
  isTooOld(sentAtMs: number): boolean {
    const { time, leaseMs } = this.#deps;
    return time.nowMs > leaseUntilMs(sentAtMs, leaseMs) - leaseToStartMs(leaseMs);
  }

  #endAfter(vm: VmName, sentAtMs: number): void {
    const { time, broken, leaseMs, onOver } = this.#deps;
    this.ended(vm);
    if (broken === "lease-watchdog") return;
    const rate = broken === "lease-clock" ? SLOW_RATE : LEASE_RATE_BOUND;
    const fromMs = broken === "lease-from-answer" ? sentAtMs + ANSWER_MS : sentAtMs;
    const untilMs = leaseUntilMs(fromMs, Math.floor(leaseMs * (1 + rate)));
    const timer = time.at(untilMs + LEASE_KILL_MS, () => {
      this.#ending.delete(vm);
      onOver(vm);
    });
    this.#ending.set(vm, timer);
  }
}
