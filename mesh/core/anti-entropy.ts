// AntiEntropy: which peer is asked for what, and when a sync has ended. The asking half of the sure path: digests on connect,
// on a gap, on a mismatch, and when a periodic summary differs, chunk by chunk. The answering half keeps no state (delta.ts): each chunk is
// asked for with a fresh digest, so nothing is lost when a link is.

import { digestForGap, digestOf, digestOfOwner } from "./digest.ts";
import type { Counter, Effect } from "./effect.ts";
import type { OwnerId } from "./ids.ts";
import type { DeltaMessage, DigestItem, HostDelta, SummaryMessage } from "./message.ts";
import type { Protections } from "./protections.ts";
import { type Lost, type Round, Rounds, type SyncId, type Waiter } from "./rounds.ts";
import type { Store } from "./store.ts";
import { isSameSummary, summaryOf } from "./summary.ts";

/** How often a peer is told what it lacks until a sync with it fails: it may come to lack more meanwhile. */
const TOLD_MAX = 4;

export interface AntiEntropyDeps {
  readonly self: OwnerId;
  readonly store: Store;
  readonly protections: Protections;
  readonly nowMs: () => number;
  readonly emit: (effect: Effect) => void;
  readonly count: (counter: Counter, by?: number) => void;
}

export class AntiEntropy {
  readonly #deps: AntiEntropyDeps;
  readonly #store: Store;
  readonly #peers = new Set<OwnerId>();
  readonly #rounds = new Rounds();

  constructor(deps: AntiEntropyDeps) {
    this.#deps = deps;
    this.#store = deps.store;
  }

  get peers(): ReadonlySet<OwnerId> {
    return this.#peers;
  }
  get size(): number {
    return this.#rounds.size;
  }

  connect(peer: OwnerId): void {
    this.#peers.add(peer);
    this.ask(peer);
  }

  disconnect(peer: OwnerId): void {
    this.#peers.delete(peer);
    this.failRounds(peer);
  }

  /** What was asked of `peer` may be gone, or its answer. */
  failRounds(peer: OwnerId): void {
    this.#fail(this.#rounds.drop(peer));
  }

  expire(): void {
    const expired = this.#rounds.expire(this.#deps.nowMs());
    if (expired.rounds > 0) this.#deps.count("rounds-expired", expired.rounds);
    this.#fail(expired);
  }

  /** Begins what had to wait because too many rounds were open. */
  beginWaiting(): void {
    for (let peer = this.#rounds.takeWaiting(); peer !== undefined; peer = this.#rounds.takeWaiting())
      this.ask(peer);
  }

  sync(peer: OwnerId, id: SyncId): void {
    if (this.#peers.has(peer)) this.ask(peer, [{ id, told: 0 }]);
    else this.#deps.emit({ kind: "sync-ended", id, isReached: false });
  }

  /** Sends our digest: the answer is all that we lack, and its own digest if it lacks something. */
  ask(peer: OwnerId, waiters: readonly Waiter[] = []): void {
    const isOff = !this.#deps.protections.antiEntropy && waiters.length === 0;
    if (!this.#peers.has(peer) || isOff) return;
    const { revision } = this.#store;
    const round = this.#rounds.begin({ peer, revision, waiters }, this.#deps.nowMs());
    if (round === undefined) return;
    this.#deps.count("rounds");
    const message = { kind: "digest", round: round.round, items: digestOf(this.#store) } as const;
    this.#deps.emit({ kind: "send", to: peer, message });
  }

  /** The periodic question: whether anything differs. If it does, the answer is followed by the peer's digest. */
  askWhether(peer: OwnerId): void {
    // What is built aside is in no summary, and the peer may hold what completes it.
    if (this.#store.statesAside.size > 0) {
      this.ask(peer);
      return;
    }
    if (!this.#peers.has(peer) || !this.#deps.protections.antiEntropy) return;
    this.#rounds.forgetAskedBack(peer);
    const { revision } = this.#store;
    const round = this.#rounds.begin({ peer, isSummary: true, revision, waiters: [] }, this.#deps.nowMs());
    if (round === undefined) return;
    this.#deps.count("summaries");
    const message = { kind: "summary", round: round.round, hash: summaryOf(this.#store) } as const;
    this.#deps.emit({ kind: "send", to: peer, message });
  }

  /** Answers a summary: that nothing differs, or that our digest follows, by which both end with what either has. */
  compareSummary(from: OwnerId, { round, hash }: SummaryMessage): void {
    const isSame = isSameSummary(hash, summaryOf(this.#store));
    const message = { kind: "delta", round, deltas: [], hasMore: false, isLacking: !isSame } as const;
    this.#deps.emit({ kind: "send", to: from, message });
    if (!isSame) {
      this.ask(from);
      return;
    }
    this.#store.confirmAll();
    // It holds all that we hold: who waits until it was told need not wait for its digest.
    this.told(from);
  }

  /** Asks for what lies before a stretch that we cannot take. The owner surely has it; who handed it on may not yet. */
  pullGap(from: OwnerId, delta: HostDelta): void {
    if (!this.#deps.protections.gapPull) return;
    this.#pull(this.#sourceOf(delta.owner, from), delta.owner, digestForGap(this.#store, delta));
  }

  /** Asks for one owner's state as `peer` has it. */
  pull(peer: OwnerId, owner: OwnerId): void {
    this.#pull(peer, owner, digestOfOwner(this.#store, owner));
  }

  /** A stretch of an earlier start than ours: its sender must learn the newer. */
  correct(from: OwnerId, owner: OwnerId): void {
    this.ask(this.#sourceOf(owner, from));
  }

  /** Same version, other values: the owner's copy is right; without the owner, the peer's is as good as ours. */
  repair(owner: OwnerId, from: OwnerId): void {
    this.#deps.count("repairs");
    // Ours is right by definition: the peer finds out when it reads our digest.
    if (owner === this.#deps.self) {
      this.ask(from);
      return;
    }
    const items = digestOfOwner(this.#store, owner).map((item) => ({ ...item, wantsRepair: true }));
    this.#pull(this.#sourceOf(owner, from), owner, items);
  }

  /** What to do about a digest that shows more than we hold: answer it with ours, if that was not done before. */
  askBack(peer: OwnerId): ReturnType<Rounds["askBack"]> {
    return this.#rounds.askBack(peer, this.#store.revision);
  }

  /** We sent `peer` all that it lacked: it has that once it read our answer, so before it answers the next digest. */
  told(peer: OwnerId): void {
    this.#confirm(peer, this.#rounds.told(peer));
  }

  /** The answer came, and its deltas were judged. `isMissed`: something in it is not held now, though no bound forbids it. */
  answered(from: OwnerId, message: DeltaMessage, isMissed: boolean): void {
    const round = this.#rounds.end(message.round, from);
    if (round === undefined) return;
    if (round.isSummary && !message.isLacking) this.#store.confirmAll();
    // Without progress "more" would go round for ever. Whoever brought it: another may have answered the same meanwhile.
    const { revision } = round;
    const isProgress = message.deltas.some(({ owner }) => this.#store.hasProgressed(owner, revision));
    if (message.hasMore && isProgress) this.#continueRound(round);
    else this.#endRound(round, message.isLacking, message.hasMore || isMissed);
  }

  #sourceOf(owner: OwnerId, from: OwnerId): OwnerId {
    return this.#peers.has(owner) ? owner : from;
  }

  #pull(peer: OwnerId, owner: OwnerId, items: readonly DigestItem[]): void {
    if (!this.#peers.has(peer)) return;
    const { revision } = this.#store;
    const round = this.#rounds.begin({ peer, pulled: owner, revision, waiters: [] }, this.#deps.nowMs());
    if (round === undefined) return;
    this.#deps.count("pulls");
    this.#deps.emit({ kind: "send", to: peer, message: { kind: "pull", round: round.round, items } });
  }

  /** Asks for the next chunk with what is held now. */
  #continueRound(round: Round): void {
    this.#askAgain(round, round.waiters);
    if (round.again) this.#askAgain(round, round.nextWaiters);
  }

  #askAgain({ peer, pulled }: Round, waiters: readonly Waiter[]): void {
    if (pulled === undefined) this.ask(peer, waiters);
    else this.pull(peer, pulled);
  }

  /** `isShort`: we do not hold all that it held. */
  #endRound(round: Round, isLacking: boolean, isShort: boolean): void {
    const { peer, waiters, wasTold } = round;
    for (const waiter of waiters) {
      const { id, told } = waiter;
      if (isShort || !isLacking || told >= TOLD_MAX)
        this.#deps.emit({ kind: "sync-ended", id, isReached: !isLacking && !isShort });
      else if (wasTold) this.#confirm(peer, [waiter]);
      else this.#rounds.park(peer, waiter, this.#deps.nowMs());
    }
    if (round.again) this.#askAgain(round, round.nextWaiters);
  }

  /** One more round: its answer shows that the peer has read what we sent. */
  #confirm(peer: OwnerId, waiters: readonly Waiter[]): void {
    const again = waiters.map(({ id, told }) => ({ id, told: told + 1 }));
    if (again.length > 0) this.ask(peer, again);
  }

  #fail({ syncs }: Lost): void {
    for (const id of syncs) this.#deps.emit({ kind: "sync-ended", id, isReached: false });
  }
}
