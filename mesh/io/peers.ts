// Peers: whom to dial, and when again. Seeds by address, members by the addresses of their entry. libp2p gives a peer up
// after 31 s and takes seconds before that; here a peer that is back is met within about a backoff.

import type { Logger } from "pino";
import type { OwnerId } from "../core/ids.ts";
import { DIALS_MAX, REDIAL_FIRST_MS, REDIAL_LAST_MS } from "../limits.ts";

/**
 * `failed`: `isRefused` by the kernel there, nobody listens. `self`: we dialed ourselves, and never will again. `foreign`: of
 * another cluster, so hardly ever again.
 */
export type DialOutcome =
  | { readonly kind: "connected"; readonly owner: OwnerId }
  | { readonly kind: "failed"; readonly isRefused: boolean }
  | { readonly kind: "foreign" | "self" };

export interface PeersDeps {
  /** Dials one member: all addresses are the same one's. `owner` is undefined for a seed. Never rejects. */
  readonly dial: (addresses: readonly string[], owner: OwnerId | undefined) => Promise<DialOutcome>;
  readonly isConnected: (owner: OwnerId) => boolean;
  /** A connection to it is open, dialed by whomever, and may soon be a link. */
  readonly isComing: (owner: OwnerId) => boolean;
  /** How late our own event loop was lately, milliseconds. */
  readonly lagMs: () => number;
  /** A dial of that member came to nothing. */
  readonly onFailed: (owner: OwnerId, isRefused: boolean) => void;
  /** In [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
}

/** Somebody may have mistyped a seed and mend it: look again, but rarely. */
const FOREIGN_RETRY_MS = 60_000;
/**
 * Of two that know each other one dials at once and the other after this, so that they do not meet twice: a connection on
 * loopback or in a datacenter is up well before.
 */
const SECOND_DIALER_DELAY_MS = 100;
/** What is under way already, by whomever it was begun, is looked at again after this: it is up by then, or was in vain. */
const UNDER_WAY_MS = 500;
/**
 * Dials at once at first; one more for each that brought a connection, up to `DIALS_MAX`. A machine on which all members start
 * together has no time for more: each would run out of it, be begun anew, and leave less for the others (measured).
 */
const DIALS_AT_FIRST = 4;
/** So late we have less CPU than we need: handshakes, ours and those of others with us, are better done one after the other. */
const LAG_DIALS_MS = 100;
/** With many dead members the dials of all of them together stay at some 65 a second: three quarters of it for each, on average. */
const DIAL_SPACING_MS = 20;

interface Target {
  /** An owner id, or the address of a seed. */
  readonly id: string;
  addresses: readonly string[];
  /** Of a seed: who answered there last. */
  owner: OwnerId | undefined;
  /** In a row: dials that brought no link, and links that did not last. */
  failures: number;
  /** When a dial of ours last brought a connection that was accepted. */
  metAtMs: number;
  isDialing: boolean;
  timer: NodeJS.Timeout | undefined;
}

export class Peers {
  readonly #self: OwnerId;
  readonly #deps: PeersDeps;
  readonly #targets = new Map<string, Target>();
  readonly #queue: Target[] = [];
  #dialing = 0;
  #dialsMax = DIALS_AT_FIRST;
  #isStopped = false;

  constructor(self: OwnerId, deps: PeersDeps) {
    this.#self = self;
    this.#deps = deps;
  }

  addSeeds(addresses: readonly string[]): void {
    for (const address of addresses) {
      if (this.#targets.has(address)) continue;
      this.#schedule(this.#add(address, [address], undefined), 0);
    }
  }

  /** The members that should be connected, with their addresses; one that is no longer among them is let go. */
  setMembers(members: ReadonlyMap<OwnerId, readonly string[]>): void {
    for (const [owner, addresses] of members) {
      const target = this.#targets.get(owner) ?? this.#add(owner, [], owner);
      const isNews = target.addresses.join(" ") !== addresses.join(" ");
      target.addresses = addresses;
      if (isNews) this.lost(owner);
    }
    for (const target of this.#targets.values()) {
      if (target.id === target.owner && !members.has(target.owner)) this.#remove(target);
    }
  }

  /** The link to a peer went down, or it or its address was just learnt: dial it soon. */
  lost(owner: OwnerId): void {
    for (const target of this.#targets.values()) {
      if (target.owner !== owner) continue;
      // A link that goes as soon as it is there is worth no more than a dial that failed.
      const hasLasted = performance.now() - target.metAtMs >= REDIAL_LAST_MS;
      target.failures = hasLasted ? 0 : target.failures + 1;
      const delayMs = this.#self < owner ? 0 : SECOND_DIALER_DELAY_MS;
      this.#schedule(target, delayMs + this.#backoffMs(target));
    }
  }

  stop(): void {
    this.#isStopped = true;
    for (const target of this.#targets.values()) clearTimeout(target.timer);
    this.#targets.clear();
    this.#queue.length = 0;
  }

  #add(id: string, addresses: readonly string[], owner: OwnerId | undefined): Target {
    const metAtMs = Number.NEGATIVE_INFINITY;
    const target = { id, addresses, owner, failures: 0, metAtMs, isDialing: false, timer: undefined };
    this.#targets.set(id, target);
    return target;
  }

  #remove(target: Target): void {
    clearTimeout(target.timer);
    this.#targets.delete(target.id);
  }

  #schedule(target: Target, delayMs: number): void {
    if (this.#isStopped || target.isDialing || this.#targets.get(target.id) !== target) return;
    clearTimeout(target.timer);
    target.timer = setTimeout(() => this.#due(target), delayMs);
  }

  #due(target: Target): void {
    if (this.#isSatisfied(target) || target.addresses.length === 0) return;
    if (this.#isUnderWay(target)) {
      this.#schedule(target, UNDER_WAY_MS * (0.5 + this.#deps.random()));
      return;
    }
    target.isDialing = true;
    this.#queue.push(target);
    this.#next();
  }

  #isSatisfied(target: Target): boolean {
    return target.owner !== undefined && this.#deps.isConnected(target.owner);
  }

  /** The peer is dialing us, or is dialed under its other name: as a seed and as a member it is two targets. */
  #isUnderWay(target: Target): boolean {
    if (target.owner !== undefined && this.#deps.isComing(target.owner)) return true;
    return [...this.#targets.values()].some((other) => other.isDialing && isSamePeer(target, other));
  }

  #next(): void {
    while (this.#dialing < this.#dialsAtOnce()) {
      const target = this.#queue.shift();
      if (target === undefined) return;
      if (this.#isSatisfied(target)) {
        target.isDialing = false;
        continue;
      }
      this.#dialing += 1;
      void this.#dial(target);
    }
  }

  #dialsAtOnce(): number {
    return this.#deps.lagMs() < LAG_DIALS_MS ? this.#dialsMax : 1;
  }

  async #dial(target: Target): Promise<void> {
    const expected = target.id === target.owner ? target.owner : undefined;
    const begunAtMs = performance.now();
    const outcome = await this.#deps.dial(target.addresses, expected);
    this.#dialing -= 1;
    target.isDialing = false;
    if (this.#isStopped) return;
    this.#judge(target, outcome, performance.now() - begunAtMs);
    this.#next();
  }

  #judge(target: Target, outcome: DialOutcome, tookMs: number): void {
    switch (outcome.kind) {
      case "connected":
        this.#dialsMax = Math.min(DIALS_MAX, this.#dialsMax + 1);
        target.owner = outcome.owner;
        target.metAtMs = performance.now();
        // The link is up a moment later, or never is, or is lost already: its `lost` found the target dialing.
        if (!this.#isSatisfied(target)) this.#retry(target, 0);
        break;
      case "failed":
        if (target.owner !== undefined) this.#deps.onFailed(target.owner, outcome.isRefused);
        // From one dial's begin to the next: in a black hole the time-out is all the wait that there is.
        this.#retry(target, tookMs);
        break;
      case "foreign":
        this.#schedule(target, FOREIGN_RETRY_MS * (0.5 + this.#deps.random()));
        break;
      case "self":
        this.#deps.logger.debug({ target: target.id }, "target is this member");
        this.#remove(target);
        break;
      default:
        outcome satisfies never;
    }
  }

  #retry(target: Target, waitedMs: number): void {
    target.failures += 1;
    this.#schedule(target, Math.max(0, this.#backoffMs(target) - waitedMs));
  }

  /** Doubles from first to last; jittered down to half, so that two do not meet in step for ever. */
  #backoffMs(target: Target): number {
    const lastMs = Math.max(REDIAL_LAST_MS, this.#targets.size * DIAL_SPACING_MS);
    const fullMs = Math.min(lastMs, REDIAL_FIRST_MS * 2 ** Math.min(target.failures, 16));
    return fullMs * (0.5 + 0.5 * this.#deps.random());
  }
}

function isSamePeer(left: Target, right: Target): boolean {
  if (left.owner !== undefined && left.owner === right.owner) return true;
  return left.addresses.some((address) => right.addresses.includes(address));
}
