// Replica: one member's share of the truth. Gossip is the fast path: own changes go out at once. Anti-entropy is the sure
// path: digest -> delta on connect, on a gap, on a checksum mismatch and periodically, both ways, chunk by chunk. The
// answering side keeps no state: each chunk is asked for with a fresh digest, so nothing is lost when a link is.
// A pure machine: time, randomness and all that it does to the world are arguments and effects.

import { ANTI_ENTROPY_INTERVAL_MS, DELTA_BYTES_MAX, GOSSIP_COALESCE_MS, SETTLE_SYNC_MS } from "../limits.ts";
import type { Entry, EntryChange } from "../mesh.ts";
import { Compaction } from "./compaction.ts";
import { answerDigest } from "./delta.ts";
import { compareDigest, digestForGap, digestOf, digestOfOwner } from "./digest.ts";
import type { Counter, Effect, ReplicaInput } from "./effect.ts";
import type { OwnerId } from "./ids.ts";
import type { DeltaMessage, DigestItem, DigestMessage, HostDelta, PullMessage } from "./message.ts";
import { OwnState } from "./own-state.ts";
import { Raises } from "./raises.ts";
import { type Lost, type Round, Rounds, type SyncId, type Waiter } from "./rounds.ts";
import { type Outcome, Store } from "./store.ts";
import { type Timer, Timers, type TimerToken } from "./timers.ts";
import { compareStarts, type Start, type Version } from "./version.ts";

/** Left in a frame for the round and the list around the deltas. */
const DELTA_HEAD_BYTES = 64;
const FLUSH: Timer = { purpose: "flush" };
const TICK: Timer = { purpose: "tick" };

export interface ReplicaOptions {
  readonly self: OwnerId;
  /** On disk already; higher than every one before. */
  readonly start: Start;
}

export interface ReplicaDeps {
  /** In [0, 1). */
  readonly random: () => number;
}

export class Replica {
  readonly #self: OwnerId;
  readonly #random: () => number;
  readonly #store = new Store();
  readonly #own: OwnState;
  readonly #peers = new Set<OwnerId>();
  readonly #rounds = new Rounds();
  readonly #raises = new Raises();
  readonly #compaction = new Compaction();
  readonly #timers = new Timers();
  #effects: Effect[] = [];
  #nowMs = 0;
  #lastFlushAtMs = Number.NEGATIVE_INFINITY;
  #turn = 0;

  constructor(options: ReplicaOptions, deps: ReplicaDeps) {
    this.#self = options.self;
    this.#random = deps.random;
    this.#own = new OwnState(options.self, options.start);
    this.#store.install(this.#own.state);
  }

  get store(): Store {
    return this.#store;
  }

  /** Of our own entry, a tombstone's too. */
  ownVersion(key: string): Version | undefined {
    return this.#own.version(key);
  }

  /** Does what `input` asks and returns what the shell must do, in order. `nowMs` never goes back. */
  step(input: ReplicaInput, nowMs: number): readonly Effect[] {
    this.#nowMs = nowMs;
    this.#effects = [];
    this.#handle(input);
    return this.#effects;
  }

  describe(): string {
    const announced = this.#own.isAnnounced ? "announced" : "not announced";
    const owners = this.#store.owners().size;
    return `${announced} own=[${this.#own.state.describe()}] owners=${owners} peers=${this.#peers.size} rounds=${this.#rounds.size}`;
  }

  #handle(input: ReplicaInput): void {
    switch (input.kind) {
      case "begin":
        this.#schedule(TICK, this.#tickDelayMs());
        break;
      case "write":
        this.#write(input.key, input.value);
        break;
      case "announce":
        this.#announce();
        break;
      case "gossip":
        this.#gossip(input.from, input.delta);
        break;
      case "message":
        this.#message(input.from, input.message);
        break;
      case "peer-connected":
        this.#connect(input.peer);
        break;
      case "peer-disconnected":
        this.#disconnect(input.peer);
        break;
      case "peer-overflowed":
        // A digest of ours may be gone, or the answer that a sync counts on.
        this.#failSyncs(this.#rounds.drop(input.peer));
        this.#settle(input.peer);
        break;
      case "timer":
        this.#timer(input.token);
        break;
      case "sync":
        this.#sync(input.peer, input.id);
        break;
      case "incarnation-persisted":
        this.#restart(input);
        break;
      default:
        input satisfies never;
    }
  }

  #write(key: string, value: Uint8Array | null): void {
    const entry = this.#own.write(key, value);
    if (entry === undefined) return;
    this.#tell([entry], "own");
    this.#flushSoon();
  }

  #announce(): void {
    if (this.#own.isAnnounced) return;
    this.#own.announce();
    this.#flush();
  }

  /** At once when the line is idle; else with all else that comes within a few milliseconds. */
  #flushSoon(): void {
    if (!this.#own.isAnnounced || this.#timers.isArmed(FLUSH)) return;
    const idleMs = this.#nowMs - this.#lastFlushAtMs;
    if (idleMs >= GOSSIP_COALESCE_MS) {
      this.#flush();
    } else {
      this.#schedule(FLUSH, GOSSIP_COALESCE_MS - idleMs);
    }
  }

  #flush(): void {
    this.#timers.disarm(FLUSH);
    this.#lastFlushAtMs = this.#nowMs;
    this.#count("gossip-published");
    this.#effects.push({ kind: "publish", message: { kind: "gossip", delta: this.#own.takeGossip() } });
  }

  /** Somebody holds writes of ours that we did not do: only a higher incarnation supersedes them. Disk first. */
  #raise(seen: Start): void {
    const highest = Math.max(seen.incarnation, this.#own.state.start.incarnation);
    const raise = this.#raises.above(highest, this.#nowMs);
    if (raise === undefined) return;
    this.#count("own-conflicts");
    this.#effects.push({ kind: "persist-incarnation", ...raise });
  }

  #restart(start: Start): void {
    if (!this.#raises.end(start.incarnation)) return;
    const entries = this.#own.restart(start);
    this.#store.install(this.#own.state);
    this.#tell(entries, "own");
    if (this.#own.isAnnounced) this.#flush();
  }

  #gossip(from: OwnerId, delta: HostDelta): void {
    if (delta.owner === this.#self) return;
    const outcome = this.#apply(delta, "gossip");
    if (outcome.kind === "applied") this.#count(outcome.isProgress ? "gossip-applied" : "duplicates");
    if (outcome.kind !== "ignored") return;
    // The owner surely has its own range; who handed it on may not have applied it yet.
    const source = this.#peers.has(delta.owner) ? delta.owner : from;
    if (outcome.reason === "gap") this.#pull(source, delta);
    if (outcome.reason === "stale") this.#beginRound(source);
  }

  #message(from: OwnerId, message: DigestMessage | PullMessage | DeltaMessage): void {
    if (!this.#peers.has(from)) return;
    switch (message.kind) {
      case "digest":
        this.#digest(from, message);
        break;
      case "pull":
        this.#answer(from, message, { scope: "listed", isLacking: false });
        break;
      case "delta":
        this.#delta(from, message);
        break;
      default:
        message satisfies never;
    }
  }

  #digest(from: OwnerId, message: DigestMessage): void {
    const { isLacking, mismatched, ownConflict } = compareDigest(this.#store, message.items, this.#self);
    const hasMore = this.#answer(from, message, { scope: "all", isLacking });
    if (ownConflict !== undefined) this.#raise(ownConflict);
    for (const owner of mismatched) this.#repair(owner, from);
    if (isLacking && this.#rounds.mayAskBack(from, this.#store.revision)) this.#beginRound(from);
    // It has all of ours once it read this answer, so before it answers the next digest.
    if (!hasMore) this.#confirm(from, this.#rounds.told(from));
  }

  /** Returns whether something did not fit. */
  #answer(
    to: OwnerId,
    { round, items }: DigestMessage | PullMessage,
    { scope, isLacking }: { readonly scope: "all" | "listed"; readonly isLacking: boolean },
  ): boolean {
    this.#turn += 1;
    const bytesMax = DELTA_BYTES_MAX - DELTA_HEAD_BYTES;
    const answer = answerDigest(this.#store, { items, scope, bytesMax, turn: this.#turn });
    if (answer.deltas.length > 0) this.#count("deltas-sent", answer.deltas.length);
    this.#effects.push({ kind: "send", to, message: { kind: "delta", round, isLacking, ...answer } });
    return answer.hasMore;
  }

  #delta(from: OwnerId, message: DeltaMessage): void {
    for (const delta of message.deltas) {
      if (delta.owner === this.#self) this.#judgeOwn(delta);
      else this.#takeDelta(from, delta);
    }
    const round = this.#rounds.end(message.round, from);
    if (round === undefined) return;
    // Without progress "more" would go round for ever. Whoever brought it: another may have answered the same meanwhile.
    const { revision } = round;
    const isProgress = message.deltas.some(({ owner }) => this.#store.hasProgressed(owner, revision));
    if (message.hasMore && isProgress) this.#continueRound(round);
    else this.#endRound(round, message);
  }

  #takeDelta(from: OwnerId, delta: HostDelta): void {
    const outcome = this.#apply(delta, "sync");
    if (outcome.kind === "applied") this.#count("deltas-applied");
    if (outcome.kind === "ignored" && outcome.reason === "stale") this.#beginRound(from);
  }

  #judgeOwn(delta: HostDelta): void {
    const own = this.#own.state;
    if ((compareStarts(delta.start, own.start) || delta.to - own.counter) > 0) this.#raise(delta.start);
  }

  /** Applies, tells the changes, counts what was refused. */
  #apply(delta: HostDelta, path: EntryChange["path"]): Outcome {
    const outcome = this.#store.apply(delta);
    if (outcome.kind === "applied") this.#tell(outcome.changes, path);
    if (outcome.kind === "refused") this.#count(`refused-${outcome.reason}`);
    if (outcome.kind === "ignored") this.#count(IGNORED_COUNTERS[outcome.reason]);
    return outcome;
  }

  #connect(peer: OwnerId): void {
    this.#peers.add(peer);
    this.#beginRound(peer);
    this.#settle(peer);
  }

  /** A digest after a while. Not put off by a second call: frames may go on being dropped. */
  #settle(peer: OwnerId): void {
    const timer: Timer = { purpose: "settle", peer };
    if (!this.#timers.isArmed(timer)) this.#schedule(timer, SETTLE_SYNC_MS);
  }

  #disconnect(peer: OwnerId): void {
    this.#peers.delete(peer);
    this.#timers.disarm({ purpose: "settle", peer });
    this.#failSyncs(this.#rounds.drop(peer));
  }

  #sync(peer: OwnerId, id: number): void {
    if (this.#peers.has(peer)) this.#beginRound(peer, [{ id, isTold: false }]);
    else this.#effects.push({ kind: "sync-ended", id, isReached: false });
  }

  #pull(peer: OwnerId, delta: HostDelta): void {
    this.#beginPull(peer, delta.owner, digestForGap(this.#store, delta));
  }

  /** Same version, other values: the owner's copy is right; without the owner, the peer's is as good as ours. */
  #repair(owner: OwnerId, from: OwnerId): void {
    this.#count("repairs");
    // Ours is right by definition: the peer finds out when it reads our digest.
    if (owner === this.#self) {
      this.#beginRound(from);
      return;
    }
    const items = digestOfOwner(this.#store, owner).map((item) => ({ ...item, wantsRepair: true }));
    this.#beginPull(this.#peers.has(owner) ? owner : from, owner, items);
  }

  #beginPull(peer: OwnerId, owner: OwnerId, items: readonly DigestItem[]): void {
    if (!this.#peers.has(peer)) return;
    const { revision } = this.#store;
    const round = this.#rounds.begin({ peer, pulled: owner, revision, waiters: [] }, this.#nowMs);
    if (round === undefined) return;
    this.#count("pulls");
    this.#effects.push({ kind: "send", to: peer, message: { kind: "pull", round: round.round, items } });
  }

  #beginRound(peer: OwnerId, waiters: readonly Waiter[] = []): void {
    if (!this.#peers.has(peer)) return;
    const round = this.#rounds.begin({ peer, revision: this.#store.revision, waiters }, this.#nowMs);
    if (round === undefined) return;
    this.#count("rounds");
    const message = { kind: "digest", round: round.round, items: digestOf(this.#store) } as const;
    this.#effects.push({ kind: "send", to: peer, message });
  }

  /** Asks for the next chunk with what is held now. */
  #continueRound(round: Round): void {
    this.#askAgain(round, round.waiters);
    if (round.again) this.#askAgain(round, round.nextWaiters);
  }

  #askAgain({ peer, pulled }: Round, waiters: readonly Waiter[]): void {
    if (pulled === undefined) this.#beginRound(peer, waiters);
    else this.#beginPull(peer, pulled, digestOfOwner(this.#store, pulled));
  }

  #endRound(round: Round, { hasMore, isLacking }: DeltaMessage): void {
    const { peer, waiters, wasTold } = round;
    for (const { id, isTold } of waiters) {
      // We hold what it held. What it lacked of ours it asked for while this ran, or with a digest that is on its way.
      if (hasMore || isTold || !isLacking)
        this.#effects.push({ kind: "sync-ended", id, isReached: !hasMore });
      else if (wasTold) this.#confirm(peer, [id]);
      else this.#rounds.park(peer, id, this.#nowMs);
    }
    if (round.again) this.#askAgain(round, round.nextWaiters);
  }

  /** One more round: its answer shows that the peer has read what we sent. */
  #confirm(peer: OwnerId, syncs: readonly SyncId[]): void {
    if (syncs.length > 0)
      this.#beginRound(
        peer,
        syncs.map((id) => ({ id, isTold: true })),
      );
  }

  #failSyncs({ syncs }: Lost): void {
    for (const id of syncs) this.#effects.push({ kind: "sync-ended", id, isReached: false });
  }

  #timer(token: TimerToken): void {
    if (!this.#timers.ring(token)) return;
    switch (token.purpose) {
      case "flush":
        this.#flush();
        break;
      case "tick":
        this.#tick();
        break;
      case "settle":
        if (token.peer !== undefined) this.#beginRound(token.peer);
        break;
      default:
        token.purpose satisfies never;
    }
  }

  #tick(): void {
    const expired = this.#rounds.expire(this.#nowMs);
    if (expired.rounds > 0) this.#count("rounds-expired", expired.rounds);
    this.#failSyncs(expired);
    const peers = [...this.#peers];
    const peer = peers[Math.floor(this.#random() * peers.length)];
    if (peer !== undefined) this.#beginRound(peer);
    const collected = this.#compaction.run(this.#store.states(), this.#nowMs);
    if (collected > 0) this.#count("tombstones-collected", collected);
    this.#schedule(TICK, this.#tickDelayMs());
  }

  /** Half to one and a half intervals, so that members do not fall into step. */
  #tickDelayMs(): number {
    return ANTI_ENTROPY_INTERVAL_MS * (0.5 + this.#random());
  }

  #schedule(timer: Timer, delayMs: number): void {
    this.#effects.push({ kind: "schedule", token: this.#timers.arm(timer), delayMs });
  }

  #tell(entries: readonly Entry[], path: EntryChange["path"]): void {
    for (const entry of entries) this.#effects.push({ kind: "changed", change: { ...entry, path } });
  }

  #count(counter: Counter, by = 1): void {
    this.#effects.push({ kind: "count", counter, by });
  }
}

const IGNORED_COUNTERS = { old: "duplicates", stale: "stale", gap: "gaps" } as const;
