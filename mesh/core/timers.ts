// Timers: tokens for what the shell rings later. Only the last token of a purpose (and peer) counts; others are late.

import type { OwnerId } from "./ids.ts";

/** `flush` gossips what was coalesced, `tick` is anti-entropy's period, `settle` the second sync with a new peer. */
type TimerPurpose = "flush" | "tick" | "settle";

export interface Timer {
  readonly purpose: TimerPurpose;
  readonly peer?: OwnerId | undefined;
}

export interface TimerToken extends Timer {
  readonly serial: number;
}

export class Timers {
  readonly #serials = new Map<string, number>();
  #last = 0;

  /** A token for the shell; the one before, of the same timer, is void. */
  arm(timer: Timer): TimerToken {
    this.#last += 1;
    this.#serials.set(nameOf(timer), this.#last);
    return { ...timer, serial: this.#last };
  }

  disarm(timer: Timer): void {
    this.#serials.delete(nameOf(timer));
  }

  isArmed(timer: Timer): boolean {
    return this.#serials.has(nameOf(timer));
  }

  /** True once for the last token, false for all that are late. */
  ring(token: TimerToken): boolean {
    if (this.#serials.get(nameOf(token)) !== token.serial) return false;
    return this.#serials.delete(nameOf(token));
  }
}

function nameOf({ purpose, peer }: Timer): string {
  return `${purpose} ${peer ?? ""}`;
}
