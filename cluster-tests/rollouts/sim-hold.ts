// Sim hold: the real queue of what a proxy keeps of its app's requests, by the clock of the simulator.

import { type HeldRequest, HoldQueue } from "../../proxy-agent/core/hold.ts";
import type { HoldRoute } from "../../proxy-agent/core/route-table.ts";
import type { SimTime, Timer } from "./sim-time.ts";

/** A request that waits, or was sent on and is not over. */
export interface Ticket extends HeldRequest {
  /** It is its turn. */
  readonly onReleased: () => void;
  /** It is too old. */
  readonly onExpired: () => void;
}

export class SimHold {
  readonly #time: SimTime;
  readonly #queue = new HoldQueue<Ticket>();
  #timer: Timer | null = null;

  constructor(time: SimTime) {
    this.#time = time;
  }

  /** Requests that wait. */
  get size(): number {
    return this.#queue.size;
  }

  /** Whoever comes now has to wait for its turn. */
  get mustWait(): boolean {
    return this.#queue.isHeld || !this.#queue.isEmpty;
  }

  adopt({ by, bounds }: HoldRoute): void {
    this.#queue.set(by !== null, bounds, this.#time.nowMs);
    this.#move();
  }

  /** False: more than may be kept. */
  wait(ticket: Ticket): boolean {
    if (this.#queue.arrive(ticket) !== null) return false;
    this.#move();
    return true;
  }

  ended(ticket: Ticket): void {
    this.#queue.ended(ticket);
    this.#move();
  }

  stop(): void {
    this.#time.cancel(this.#timer);
    this.#timer = null;
  }

  #move(): void {
    this.stop();
    const { released, expired, nextAtMs } = this.#queue.moves(this.#time.nowMs);
    if (nextAtMs !== null) this.#timer = this.#time.at(nextAtMs, () => this.#move());
    for (const { onExpired } of expired) onExpired();
    for (const { onReleased } of released) onReleased();
  }
}
