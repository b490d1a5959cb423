// Network: who has a link to whom, and when what is sent arrives. A link is a TCP connection: its frames come in order and
// whole while it is up, loss only delays them, and what is on its way when it goes down is lost. Gossip is modelled worse
// than it is: as datagrams on the same link, which are lost, doubled and overtaken.

import { oneWayMs } from "./regions.ts";

export interface NetworkRates {
  /** Of gossip messages, lost; of a frame's segments, sent again. */
  readonly lossRate: number;
  /** Of gossip messages, come twice. */
  readonly duplicationRate: number;
  /** Of gossip messages, may be overtaken and come up to twice as late. */
  readonly reorderRate: number;
  /** Of frames, dropped because the sender's queue is full: it is told. */
  readonly overflowRate: number;
  /** Of frames that carry other owners' entries, changed by who relays them: a member that lies, or whose memory does. */
  readonly tamperRate: number;
}

export const PERFECT: NetworkRates = {
  lossRate: 0,
  duplicationRate: 0,
  reorderRate: 0,
  overflowRate: 0,
  tamperRate: 0,
};

/** Of a delay, either way. */
export const JITTER_RATE = 0.1;
const SEGMENT_BYTES = 1_400;
/** Linux's least retransmission timeout; doubled each time the same segment is lost again. */
const RETRANSMIT_MS_MIN = 200;
/** With fewer segments behind it, a lost one is not seen by duplicate acks, and waits for the timeout. */
const FAST_RETRANSMIT_SEGMENTS = 4;

export interface NetworkOptions {
  readonly size: number;
  readonly rates: NetworkRates;
  /** In [0, 1). */
  readonly random: () => number;
}

export class Network {
  rates: NetworkRates;
  readonly #size: number;
  readonly #random: () => number;
  /** The link as its first member sees it: a number that changes with each connection; 0: none. */
  readonly #ends: Uint32Array;
  readonly #frameTimes: Float64Array;
  readonly #gossipTimes: Float64Array;
  /** Until when nothing passes in this direction. */
  readonly #cutUntilMs: Float64Array;
  #lastLink = 0;

  constructor({ size, rates, random }: NetworkOptions) {
    this.#size = size;
    this.rates = rates;
    this.#random = random;
    this.#ends = new Uint32Array(size * size);
    this.#frameTimes = new Float64Array(size * size);
    this.#gossipTimes = new Float64Array(size * size);
    this.#cutUntilMs = new Float64Array(size * size);
  }

  /** The number of the link that `from` has to `to`; 0: none. */
  link(from: number, to: number): number {
    return this.#ends[from * this.#size + to] ?? 0;
  }

  open(left: number, right: number): void {
    this.#lastLink += 1;
    for (const at of [left * this.#size + right, right * this.#size + left]) {
      this.#ends[at] = this.#lastLink;
      this.#frameTimes[at] = 0;
      this.#gossipTimes[at] = 0;
    }
  }

  /** One end only: the other learns it later, or by silence. */
  close(from: number, to: number): void {
    this.#ends[from * this.#size + to] = 0;
  }

  cut(from: number, to: number, untilMs: number): void {
    const at = from * this.#size + to;
    this.#cutUntilMs[at] = Math.max(this.#cutUntilMs[at] ?? 0, untilMs);
  }

  isCut(from: number, to: number, nowMs: number): boolean {
    return (this.#cutUntilMs[from * this.#size + to] ?? 0) > nowMs;
  }

  /** Ends all cuts. */
  mend(): void {
    this.#cutUntilMs.fill(0);
  }

  delayMs(from: number, to: number): number {
    return oneWayMs(from, to) * (1 - JITTER_RATE + 2 * JITTER_RATE * this.#random());
  }

  /** When a frame that is sent now has come; after all before it. What a cut holds up is sent again when it ends. */
  frameAtMs(from: number, to: number, nowMs: number, bytes: number): number {
    const at = from * this.#size + to;
    const sentAtMs = Math.max(nowMs, this.#cutUntilMs[at] ?? 0);
    const atMs = sentAtMs + this.delayMs(from, to) + this.#retransmissionMs(from, to, bytes);
    const inOrderMs = Math.max(atMs, this.#frameTimes[at] ?? 0);
    this.#frameTimes[at] = inOrderMs;
    return inOrderMs;
  }

  /** When a gossip message that is sent now comes; undefined: never. */
  gossipAtMs(from: number, to: number, nowMs: number): number | undefined {
    const { lossRate, reorderRate } = this.rates;
    const at = from * this.#size + to;
    if ((this.#cutUntilMs[at] ?? 0) > nowMs || (lossRate > 0 && this.#random() < lossRate)) return undefined;
    const delayMs = this.delayMs(from, to);
    if (reorderRate > 0 && this.#random() < reorderRate) return nowMs + delayMs * (1 + this.#random());
    const inOrderMs = Math.max(nowMs + delayMs, this.#gossipTimes[at] ?? 0);
    this.#gossipTimes[at] = inOrderMs;
    return inOrderMs;
  }

  /** Whether it comes a second time. */
  isDoubled(): boolean {
    const { duplicationRate } = this.rates;
    return duplicationRate > 0 && this.#random() < duplicationRate;
  }

  isOverflowed(): boolean {
    const { overflowRate } = this.rates;
    return overflowRate > 0 && this.#random() < overflowRate;
  }

  isTampered(): boolean {
    const { tamperRate } = this.rates;
    return tamperRate > 0 && this.#random() < tamperRate;
  }

  #retransmissionMs(from: number, to: number, bytes: number): number {
    const { lossRate } = this.rates;
    if (lossRate === 0) return 0;
    const segments = Math.ceil(bytes / SEGMENT_BYTES);
    if (this.#random() < (1 - lossRate) ** segments) return 0;
    const roundTripMs = oneWayMs(from, to) + oneWayMs(to, from);
    let timeoutMs = RETRANSMIT_MS_MIN + roundTripMs;
    let delayMs = segments >= FAST_RETRANSMIT_SEGMENTS ? roundTripMs : timeoutMs;
    while (this.#random() < lossRate) {
      timeoutMs *= 2;
      delayMs += timeoutMs;
    }
    return delayMs;
  }
}
