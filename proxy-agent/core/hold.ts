// Hold: the requests of one app that a proxy keeps while its record says so. First in, first out; what is over a bound or too old is
// turned away; once the hold is lifted they go at a pace that what just started can bear. Whoever drives it says what time it is.

import { HOLD_DEFAULTS, type HoldSpec } from "../../mesh/index.ts";
import { HOLD_RELEASE_FIRST, HOLD_RELEASE_STEP_MS } from "../limits.ts";

/** One request that is kept. The same object names it from its arrival to `ended`. */
export interface HeldRequest {
  /** Its age counts from then. */
  readonly arrivedAtMs: number;
  /** Of its body, at most, that is kept while it waits. */
  readonly bytes: number;
}

/** Which bound keeps a request from being kept. */
export type Overflow = "requests" | "bytes";

/** What becomes of requests now, in the order in which they came; `nextAtMs`: when to ask again, if nothing happens before. */
export interface HoldMoves<Request> {
  readonly released: readonly Request[];
  /** Older than `maxAgeMs`. They were not sent anywhere. */
  readonly expired: readonly Request[];
  readonly nextAtMs: number | null;
}

/**
 * Each request that arrived is released, expired or left, once. All times are of one clock that only moves forward. A released one counts
 * against the pace until it `ended`: `HOLD_RELEASE_FIRST` at once, one more with each that ended, twice as many every
 * `HOLD_RELEASE_STEP_MS`, since one that takes long says nothing of the others.
 */
export class HoldQueue<Request extends HeldRequest> {
  #bounds: HoldSpec = HOLD_DEFAULTS;
  #isHeld = false;
  /** In order of arrival. */
  readonly #waiting = new Set<Request>();
  readonly #running = new Set<Request>();
  #bytes = 0;
  /** None that waits came before: each move looks at all of them only once this one's time is over. */
  #oldestMs = Number.POSITIVE_INFINITY;
  #window = 0;
  #widenAtMs = 0;

  /** Nobody waits. */
  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }
  get size(): number {
    return this.#waiting.size;
  }
  get bytes(): number {
    return this.#bytes;
  }
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** What the record in force says. Nobody is turned away by a bound that became narrower, but by age. */
  set(isHeld: boolean, bounds: HoldSpec, nowMs: number): void {
    this.#bounds = bounds;
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    this.#window = HOLD_RELEASE_FIRST;
    this.#widenAtMs = nowMs + HOLD_RELEASE_STEP_MS;
  }

  /** Null: it waits now, behind all that do. Else it does not: which bound it would be over. */
  arrive(request: Request): Overflow | null {
    const { maxRequests, maxBytes } = this.#bounds;
    if (this.#waiting.size >= maxRequests) return "requests";
    if (this.#bytes + request.bytes > maxBytes) return "bytes";
    this.#waiting.add(request);
    this.#bytes += request.bytes;
    this.#oldestMs = Math.min(this.#oldestMs, request.arrivedAtMs);
    return null;
  }

  /** Its client left while it waited; or it was released, and is over. */
  ended(request: Request): void {
    this.#drop(request);
    if (this.#running.delete(request)) this.#window += 1;
  }

  moves(nowMs: number): HoldMoves<Request> {
    const expired = this.#expire(nowMs);
    const released = this.#isHeld ? [] : this.#release(nowMs);
    return { released, expired, nextAtMs: this.#nextAtMs() };
  }

  #expire(nowMs: number): readonly Request[] {
    const lastMs = nowMs - this.#bounds.maxAgeMs;
    if (this.#oldestMs > lastMs) return [];
    const expired = [...this.#waiting].filter(({ arrivedAtMs }) => arrivedAtMs <= lastMs);
    for (const request of expired) this.#drop(request);
    // The oldest is not always the first: one that was on its way when the hold came is older than who came between.
    this.#oldestMs = Number.POSITIVE_INFINITY;
    for (const { arrivedAtMs } of this.#waiting) this.#oldestMs = Math.min(this.#oldestMs, arrivedAtMs);
    return expired;
  }

  #release(nowMs: number): readonly Request[] {
    // Once, however long nobody asked: what was not sent meanwhile proved nothing.
    if (this.#widenAtMs <= nowMs && this.#window < this.#running.size + this.#waiting.size) {
      this.#window *= 2;
      this.#widenAtMs = nowMs + HOLD_RELEASE_STEP_MS;
    }
    const released: Request[] = [];
    for (const request of this.#waiting) {
      if (this.#running.size >= this.#window) break;
      this.#drop(request);
      this.#running.add(request);
      released.push(request);
    }
    return released;
  }

  #drop(request: Request): void {
    if (!this.#waiting.delete(request)) return;
    this.#bytes -= request.bytes;
    if (this.isEmpty) this.#oldestMs = Number.POSITIVE_INFINITY;
  }

  #nextAtMs(): number | null {
    if (this.isEmpty) return null;
    const expiresAtMs = this.#oldestMs + this.#bounds.maxAgeMs;
    return this.#isHeld ? expiresAtMs : Math.min(this.#widenAtMs, expiresAtMs);
  }
}
