// Replica: one member's share of the truth. Gossip is the fast path: own changes go out at once. Anti-entropy is the sure
// path: digest -> delta on connect, on a gap, on a checksum mismatch, both ways; periodically a summary, and that if it differs.
// A pure machine: time, randomness and all that it does to the world are arguments and effects.

import {
  ANTI_ENTROPY_INTERVAL_MS,
  DELTA_BYTES_MAX,
  GOSSIP_COALESCE_MS,
  SETTLE_SYNC_MS,
  TOMBSTONE_GRACE_MS,
} from "../limits.ts";
import type { Entry, EntryChange } from "../mesh.ts";
import { AntiEntropy } from "./anti-entropy.ts";
import { Compaction } from "./compaction.ts";
import { answerDigest } from "./delta.ts";
import { compareDigest } from "./digest.ts";
import type { Counter, Effect, ReplicaInput } from "./effect.ts";
import { type ForgetWord, forgetWordOf } from "./forget-entry.ts";
import { isSigned } from "./head.ts";
import type { OwnerId } from "./ids.ts";
import type { DeltaMessage, DigestMessage, HostDelta, PullMessage, ReplicaMessage } from "./message.ts";
import { OwnState } from "./own-state.ts";
import { ALL_PROTECTIONS } from "./protections.ts";
import { Raises } from "./raises.ts";
import type { ReplicaDeps, ReplicaOptions } from "./replica-options.ts";
import { type Outcome, Store } from "./store.ts";
import { type Timer, Timers, type TimerToken } from "./timers.ts";
import { compareStarts, type Start, type Version } from "./version.ts";

/** Left in a frame for the round and the list around the deltas. */
const DELTA_HEAD_BYTES = 64;
const FLUSH: Timer = { purpose: "flush" };
const TICK: Timer = { purpose: "tick" };

export class Replica {
  readonly #self: OwnerId;
  readonly #deps: ReplicaDeps;
  readonly #store: Store;
  readonly #own: OwnState;
  readonly #antiEntropy: AntiEntropy;
  readonly #raises = new Raises();
  readonly #compaction: Compaction;
  readonly #deltaBytesMax: number;
  readonly #timers = new Timers();
  #effects: Effect[] = [];
  #nowMs = 0;
  #lastFlushAtMs = Number.NEGATIVE_INFINITY;
  #turn = 0;

  constructor(options: ReplicaOptions, deps: ReplicaDeps) {
    this.#self = options.self;
    this.#deps = deps;
    const { self, start, protections = ALL_PROTECTIONS, controlPrefixes: prefixes = [] } = options;
    const isControl = (key: string) => prefixes.some((prefix) => key.startsWith(prefix));
    this.#store = new Store(deps, { protections, isControl });
    this.#own = new OwnState(self, start, deps);
    this.#store.install(this.#own.state);
    this.#antiEntropy = new AntiEntropy({
      self,
      store: this.#store,
      protections,
      nowMs: () => this.#nowMs,
      emit: (effect) => this.#effects.push(effect),
      count: (counter, by) => this.#count(counter, by),
    });
    const graceMs = protections.tombstoneGrace ? (options.tombstoneGraceMs ?? TOMBSTONE_GRACE_MS) : 0;
    this.#compaction = new Compaction(graceMs, protections.tombstoneGrace);
    this.#deltaBytesMax = options.deltaBytesMax ?? DELTA_BYTES_MAX;
  }

  get store(): Store {
    return this.#store;
  }

  /** A peer showed later writes of ours than we know, and they have not come yet. */
  readonly isOutdone = (): boolean => this.#own.isOutdone;

  /** Of our own entry, a tombstone's too. */
  ownVersion(key: string): Version | undefined {
    return this.#own.version(key);
  }

  /** Does what `input` asks and returns what the shell must do, in order. `nowMs` never goes back. */
  step(input: ReplicaInput, nowMs: number): readonly Effect[] {
    this.#nowMs = nowMs;
    this.#effects = [];
    this.#handle(input);
    this.#antiEntropy.beginWaiting();
    return this.#effects;
  }

  describe(): string {
    const announced = this.#own.isAnnounced ? "announced" : "not announced";
    const owners = this.#store.owners().size;
    const stale = this.#store.staleCount;
    return `${announced} own=[${this.#own.state.describe()}] owners=${owners} stale=${stale} peers=${this.#antiEntropy.peers.size} rounds=${this.#antiEntropy.size}`;
  }

  #handle(input: ReplicaInput): void {
    switch (input.kind) {
      case "restore":
        for (const delta of input.deltas) this.#restore(delta);
        break;
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
        this.#antiEntropy.failRounds(input.peer);
        this.#settle(input.peer);
        break;
      case "timer":
        this.#timer(input.token);
        break;
      case "sync":
        this.#antiEntropy.sync(input.peer, input.id);
        break;
      case "forget":
        this.#forget(input.word, null);
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
    this.#tell([entry], "own", null);
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
    const delta = this.#own.takeGossip();
    if (delta === undefined) return;
    this.#count("gossip-published");
    this.#effects.push({ kind: "publish", message: { kind: "gossip", delta } });
  }

  /** Signed by our key, and not by us: only a higher incarnation supersedes it. Of two that live, the younger yields. */
  #judgeOwn(delta: HostDelta): void {
    const { start, head, entries } = delta;
    const own = this.#own.state;
    if ((compareStarts(start, own.start) || head.counter - own.counter) <= 0) return;
    if (!isSigned(this.#deps, delta)) {
      this.#count("refused-signature");
      return;
    }
    const writer = this.#own.writerOf(head);
    if (writer !== "past") {
      this.#count("twins");
      this.#effects.push({ kind: "twin", isYounger: writer === "elder", entries });
    }
    if (writer === "elder") this.#own.silence();
    else this.#raise(start);
  }

  /** Disk first. */
  #raise(seen: Start): void {
    const incarnation = Math.max(seen.incarnation, this.#own.state.start.incarnation);
    const raised = this.#raises.above({ incarnation, startId: seen.startId }, this.#nowMs);
    if (raised === undefined) return;
    this.#count("own-conflicts");
    this.#effects.push({ kind: "persist-incarnation", incarnation: raised });
  }

  /** Of ourselves it is an error, or we are back: we begin anew, and are welcome. `from`: who handed us the word. */
  #forget(word: ForgetWord, from: EntryChange["from"]): void {
    const { owner, upTo } = word;
    this.#effects.push({ kind: "forgotten", word });
    if (owner !== this.#self) this.#tell(this.#store.forget(owner, upTo), "forgotten", from);
    else if (compareStarts(this.#own.state.start, upTo) <= 0) this.#raise(upTo);
  }

  #restart(start: Start): void {
    if (!this.#raises.end(start.incarnation)) return;
    const entries = this.#own.restart(start, this.#raises.seen);
    this.#store.install(this.#own.state);
    this.#tell(entries, "own", null);
    if (this.#own.isAnnounced) this.#flush();
  }

  /** Judged as if a peer had sent it: a disk rots, and files are copied. */
  #restore(delta: HostDelta): void {
    // A new start takes the place of what we were; it must be above it, as the clock or the other files may not have known.
    if (delta.owner === this.#self) {
      this.#judgeOwn(delta);
      return;
    }
    const outcome = this.#store.restore(delta);
    if (outcome.kind === "applied") this.#tell(outcome.changes, "disk", null);
    this.#count(outcome.kind === "applied" ? "snapshot-restored" : "snapshot-refused");
  }

  #gossip(from: OwnerId, delta: HostDelta): void {
    if (delta.owner === this.#self) {
      this.#judgeOwn(delta);
      return;
    }
    const outcome = this.#apply(from, delta, "gossip");
    if (outcome.kind === "applied") this.#count(outcome.isProgress ? "gossip-applied" : "duplicates");
    if (outcome.kind !== "ignored") return;
    if (outcome.reason === "gap") this.#antiEntropy.pullGap(from, delta);
    if (outcome.reason === "stale") this.#antiEntropy.correct(from, delta.owner);
  }

  #message(from: OwnerId, message: ReplicaMessage): void {
    if (!this.#antiEntropy.peers.has(from)) return;
    switch (message.kind) {
      case "summary":
        this.#antiEntropy.compareSummary(from, message);
        break;
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
    for (const item of message.items) if (item.isInForce) this.#store.confirm(item);
    const { isLacking, mismatched, isOwnAhead } = compareDigest(this.#store, message.items, this.#self);
    const askBack = isLacking ? this.#antiEntropy.askBack(from) : "refused";
    const hasMore = this.#answer(from, message, { scope: "all", isLacking: askBack !== "refused" });
    // A digest is anybody's word: what is signed is asked for.
    if (isOwnAhead) this.#own.isOutdone = true;
    if (isOwnAhead) this.#antiEntropy.pull(from, this.#self);
    for (const owner of mismatched) this.#antiEntropy.repair(owner, from);
    if (askBack === "ask") this.#antiEntropy.ask(from);
    if (!hasMore) this.#antiEntropy.told(from);
  }

  /** Returns whether something did not fit. */
  #answer(
    to: OwnerId,
    { round, items }: DigestMessage | PullMessage,
    { scope, isLacking }: { readonly scope: "all" | "listed"; readonly isLacking: boolean },
  ): boolean {
    this.#turn += 1;
    this.#own.seal();
    const bytesMax = this.#deltaBytesMax - DELTA_HEAD_BYTES;
    const answer = answerDigest(this.#store, { asker: to, items, scope, bytesMax, turn: this.#turn });
    if (answer.deltas.length > 0) this.#count("deltas-sent", answer.deltas.length);
    this.#effects.push({ kind: "send", to, message: { kind: "delta", round, isLacking, ...answer } });
    return answer.hasMore;
  }

  #delta(from: OwnerId, message: DeltaMessage): void {
    let isMissed = false;
    for (const delta of message.deltas) {
      if (delta.owner === this.#self) this.#judgeOwn(delta);
      else isMissed = this.#isMissed(delta, this.#takeDelta(from, delta)) || isMissed;
    }
    this.#antiEntropy.answered(from, message, isMissed);
  }

  #takeDelta(from: OwnerId, delta: HostDelta): Outcome {
    const outcome = this.#apply(from, delta, "sync");
    if (outcome.kind === "applied") this.#count("deltas-applied");
    if (outcome.kind === "ignored" && outcome.reason === "stale") this.#antiEntropy.ask(from);
    return outcome;
  }

  /** We do not hold what it told, and would take it: what it continued is gone meanwhile, or it was not what is signed. */
  #isMissed(delta: HostDelta, outcome: Outcome): boolean {
    const isRefusedForGood =
      (outcome.kind === "refused" && (outcome.reason === "owners-max" || outcome.reason === "entries-max")) ||
      (outcome.kind === "ignored" && outcome.reason === "forgotten");
    return !isRefusedForGood && !this.#store.reaches(delta);
  }

  /** Applies, tells the changes, counts what was refused. */
  #apply(from: OwnerId, delta: HostDelta, path: EntryChange["path"]): Outcome {
    const outcome = this.#store.apply(delta);
    if (outcome.kind === "applied") this.#tell(outcome.changes, path, from);
    if (outcome.kind === "refused") this.#count(`refused-${outcome.reason}`);
    if (outcome.kind === "ignored") this.#count(IGNORED_COUNTERS[outcome.reason]);
    if (outcome.kind === "refused" && outcome.reason === "root") this.#replace(from, delta, path);
    return outcome;
  }

  /**
   * Who handed it on changed it, or our own copy is wrong: the whole, from its owner, settles both. Of gossip the stretch is
   * asked for first: one message that was changed must not bring all members to ask the owner for all that it has.
   */
  #replace(from: OwnerId, delta: HostDelta, path: EntryChange["path"]): void {
    if (path === "gossip") this.#antiEntropy.pullGap(from, delta);
    else this.#antiEntropy.repair(delta.owner, from);
  }

  #connect(peer: OwnerId): void {
    this.#antiEntropy.connect(peer);
    this.#settle(peer);
  }

  /** A digest after a while. Not put off by a second call: frames may go on being dropped. */
  #settle(peer: OwnerId): void {
    const timer: Timer = { purpose: "settle", peer };
    if (!this.#timers.isArmed(timer)) this.#schedule(timer, SETTLE_SYNC_MS);
  }

  #disconnect(peer: OwnerId): void {
    this.#timers.disarm({ purpose: "settle", peer });
    this.#antiEntropy.disconnect(peer);
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
        if (token.peer !== undefined) this.#antiEntropy.ask(token.peer);
        break;
      default:
        token.purpose satisfies never;
    }
  }

  #tick(): void {
    this.#antiEntropy.expire();
    const peers = [...this.#antiEntropy.peers];
    const peer = peers[Math.floor(this.#deps.random() * peers.length)];
    if (peer !== undefined) this.#antiEntropy.askWhether(peer);
    const collected = this.#compaction.run(this.#store.states(), this.#nowMs);
    if (collected > 0) this.#count("tombstones-collected", collected);
    const dropped = this.#store.expireAsides(this.#nowMs);
    if (dropped > 0) this.#count("asides-dropped", dropped);
    this.#schedule(TICK, this.#tickDelayMs());
  }

  /** Half to one and a half intervals, so that members do not fall into step. */
  #tickDelayMs(): number {
    return ANTI_ENTROPY_INTERVAL_MS * (0.5 + this.#deps.random());
  }

  #schedule(timer: Timer, delayMs: number): void {
    this.#effects.push({ kind: "schedule", token: this.#timers.arm(timer), delayMs });
  }

  #tell(entries: readonly Entry[], path: EntryChange["path"], from: EntryChange["from"]): void {
    for (const entry of entries) this.#effects.push({ kind: "changed", change: { ...entry, path, from } });
    for (const word of entries.flatMap((entry) => forgetWordOf(entry) ?? [])) this.#forget(word, from);
  }

  #count(counter: Counter, by = 1): void {
    this.#effects.push({ kind: "count", counter, by });
  }
}

const IGNORED_COUNTERS = { old: "duplicates", stale: "stale", gap: "gaps", forgotten: "forgotten" } as const;
