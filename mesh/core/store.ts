// Store: every host state in force, and those built aside until they may take the place of one (`no-empty-table`).

import { ASIDE_IDLE_MS, ENTRIES_PER_OWNER_MAX, OWNERS_MAX } from "../limits.ts";
import type { Entry, StoreView } from "../mesh.ts";
import { compareEntries, isSameValue } from "./entry.ts";
import { Forgotten } from "./forgotten.ts";
import { type Head, type HeadCrypto, isSigned } from "./head.ts";
import { HostState } from "./host-state.ts";
import type { OwnerId } from "./ids.ts";
import type { DigestItem, HostDelta } from "./message.ts";
import type { Protections } from "./protections.ts";
import { Unconfirmed } from "./unconfirmed.ts";
import { type HeldStates, type IgnoreReason, judge } from "./verdict.ts";
import { compareStarts, compareVersions, type Start } from "./version.ts";

/** `isProgress`: something is held now that was not before, in force or aside. */
export type Outcome =
  | { readonly kind: "applied"; readonly changes: readonly Entry[]; readonly isProgress: boolean }
  | { readonly kind: "ignored"; readonly reason: IgnoreReason }
  /** `signature`: the owner did not sign this head. `root`: it did, but our entries with these are not what it signed. */
  | { readonly kind: "refused"; readonly reason: "owners-max" | "entries-max" | "signature" | "root" };

export interface StoreOptions {
  readonly protections: Protections;
  /** Keys of records that everybody waits for: who writes them is served first. */
  readonly isControl: (key: string) => boolean;
}

/** A state aside, and since when it holds no more than this. */
interface Idle {
  readonly state: HostState;
  readonly counter: number;
  readonly sinceMs: number;
}

export class Store implements StoreView {
  readonly #crypto: Pick<HeadCrypto, "roots" | "verify">;
  readonly #options: StoreOptions;
  readonly #inForce = new Map<OwnerId, HostState>();
  readonly #aside = new Map<OwnerId, HostState>();
  readonly #progressedAt = new Map<OwnerId, number>();
  readonly #idleAsides = new Map<OwnerId, Idle>();
  readonly #controlOwners = new Set<OwnerId>();
  readonly forgotten: Forgotten = new Forgotten();
  readonly #unconfirmed = new Unconfirmed();
  #revision = 0;

  constructor(crypto: Pick<HeadCrypto, "roots" | "verify">, options: StoreOptions) {
    this.#crypto = crypto;
    this.#options = options;
  }

  /** How often something came to be held that was not before. */
  get revision(): number {
    return this.#revision;
  }

  /** More of `owner` is held than at `revision`: to ask again would be another question. */
  hasProgressed(owner: OwnerId, revision: number): boolean {
    return (this.#progressedAt.get(owner) ?? 0) > revision;
  }

  /** Control records were seen of it. */
  writesControl(owner: OwnerId): boolean {
    return this.#controlOwners.has(owner);
  }

  get(owner: OwnerId, key: string): Entry | undefined {
    const entry = this.#inForce.get(owner)?.get(key);
    return entry === undefined || entry.value === null ? undefined : entry;
  }

  list(prefix: string): readonly Entry[] {
    const found: Entry[] = [];
    for (const state of this.#inForce.values()) {
      for (const entry of state.entries()) {
        if (entry.value !== null && entry.key.startsWith(prefix)) found.push(entry);
      }
    }
    return found.sort(compareEntries);
  }

  head(owner: OwnerId): HostState["head"] | undefined {
    return this.#inForce.get(owner)?.head;
  }

  isStale(owner: OwnerId): boolean {
    return this.#unconfirmed.has(owner);
  }

  /** Owners of whom `isStale` is true. */
  get staleCount(): number {
    return this.#unconfirmed.size;
  }

  held(owner: OwnerId): HeldStates {
    return { inForce: this.#inForce.get(owner), aside: this.#aside.get(owner) };
  }

  inForce(owner: OwnerId): HostState | undefined {
    return this.#inForce.get(owner);
  }

  /** All states in force, and all that are built aside, by owner. */
  get statesInForce(): ReadonlyMap<OwnerId, HostState> {
    return this.#inForce;
  }
  get statesAside(): ReadonlyMap<OwnerId, HostState> {
    return this.#aside;
  }

  /** The state in force is at the end of this stretch, or beyond. */
  reaches({ owner, start, to }: HostDelta): boolean {
    const state = this.#inForce.get(owner);
    return state !== undefined && (compareStarts(state.start, start) || state.counter - to) >= 0;
  }

  /** Every owner of whom something is held. */
  owners(): ReadonlySet<OwnerId> {
    return new Set([...this.#inForce.keys(), ...this.#aside.keys()]);
  }

  /** All of them, in force or aside. */
  states(): readonly HostState[] {
    return [...this.#inForce.values(), ...this.#aside.values()];
  }

  /** For the owner's own state, which is in force from its first write. */
  install(state: HostState): void {
    this.#inForce.set(state.owner, state);
  }

  /** What a peer brought, of whomever. */
  apply(delta: HostDelta): Outcome {
    const outcome = this.#apply(delta);
    const { owner, start, head } = delta;
    if (outcome.kind === "applied") this.confirm({ owner, start, counter: head.counter });
    return outcome;
  }

  /** As `apply`, of what was read from our own disk; before anything that a peer brought. It is stale until it is confirmed. */
  restore(delta: HostDelta): Outcome {
    const outcome = this.#apply(delta);
    const head = this.head(delta.owner);
    if (outcome.kind === "applied" && head !== undefined) this.#unconfirmed.add(delta.owner, head);
    return outcome;
  }

  /** A peer has this of an owner in force. */
  confirm({ owner, start, counter }: Pick<DigestItem, "owner" | "start" | "counter">): void {
    if (this.#unconfirmed.size === 0) return;
    const head = this.head(owner);
    if (head !== undefined) this.#unconfirmed.show(owner, { ...start, counter }, head);
  }

  /** A peer has all in force just as it is here. */
  confirmAll(): void {
    this.#unconfirmed.clear();
  }

  #apply(delta: HostDelta): Outcome {
    const { owner, start } = delta;
    if (this.forgotten.covers(owner, start)) return { kind: "ignored", reason: "forgotten" };
    const held = this.held(owner);
    const verdict = judge(held, delta);
    if (verdict.kind === "ignore") return { kind: "ignored", reason: verdict.reason };
    const continued = verdict.kind === "apply" ? this.#growing(verdict.states, delta) : undefined;
    if (continued?.length === 0) return { kind: "applied", changes: [], isProgress: false };
    if (!this.#isSigned(delta)) return { kind: "refused", reason: "signature" };
    if (continued !== undefined) return this.#continueAll(continued, delta);
    const isNew = held.inForce === undefined && held.aside === undefined;
    if (isNew && this.#isFull()) return { kind: "refused", reason: "owners-max" };
    if (verdict.kind === "install") return this.#install(delta);
    return this.#reset(held.inForce, delta);
  }

  #isFull(): boolean {
    // The second counts each owner once, and is worth its cost only near the bound.
    return this.#inForce.size + this.#aside.size >= OWNERS_MAX && this.owners().size >= OWNERS_MAX;
  }

  /** Removes what is held of an owner up to this start, and takes nothing more of it. Returns what that changed. */
  forget(owner: OwnerId, upTo: Start): readonly Entry[] {
    const { inForce, aside } = this.held(owner);
    const isVoid = (state: HostState | undefined) =>
      state !== undefined && compareStarts(state.start, upTo) <= 0;
    if (isVoid(aside)) this.#aside.delete(owner);
    // It is back already: what is older than that is stale, whoever brings it.
    if (inForce !== undefined && !isVoid(inForce)) return [];
    this.forgotten.add(owner, upTo);
    for (const held of [this.#inForce, this.#progressedAt, this.#idleAsides]) held.delete(owner);
    this.#controlOwners.delete(owner);
    this.#unconfirmed.remove(owner);
    const live = inForce === undefined ? [] : [...inForce.entries()].filter((entry) => entry.value !== null);
    return live.map((entry) => ({ ...entry, value: null }));
  }

  /** Drops what is built aside and did not grow for `ASIDE_IDLE_MS`. Returns how many. */
  expireAsides(nowMs: number): number {
    let dropped = 0;
    for (const owner of this.#idleAsides.keys()) if (!this.#aside.has(owner)) this.#idleAsides.delete(owner);
    for (const [owner, state] of this.#aside) {
      const { counter } = state;
      const idle = this.#idleAsides.get(owner);
      // Of this very state: the one in force may grow for ever beside one that nobody can complete.
      if (idle?.state !== state || idle.counter !== counter)
        this.#idleAsides.set(owner, { state, counter, sinceMs: nowMs });
      else if (nowMs - idle.sinceMs >= ASIDE_IDLE_MS) dropped += Number(this.#aside.delete(owner));
    }
    for (const owner of this.#progressedAt.keys())
      if (!this.#inForce.has(owner) && !this.#aside.has(owner)) this.#progressedAt.delete(owner);
    return dropped;
  }

  /** Builds it anew from nothing. */
  #reset(before: HostState | undefined, delta: HostDelta): Outcome {
    const state = new HostState(delta.owner, delta.start);
    state.inheritCompacted(delta.compacted);
    if (this.#options.protections.buildAside) {
      this.#aside.set(delta.owner, state);
      return this.#continueAll([state], delta);
    }
    this.#inForce.set(delta.owner, state);
    const outcome = this.#continueAll([state], delta);
    if (outcome.kind !== "applied") return outcome;
    return { ...outcome, changes: [...vanished(before, state), ...outcome.changes] };
  }

  /** In the place of nothing, beside what is built aside. */
  #install(delta: HostDelta): Outcome {
    const state = new HostState(delta.owner, delta.start);
    state.inheritCompacted(delta.compacted);
    if (isOverBound(state, delta)) return { kind: "refused", reason: "entries-max" };
    take(state, delta.entries, delta);
    if (!this.#hasRoot(state, [], delta.head)) return { kind: "refused", reason: "root" };
    state.sign(delta.head);
    if (!state.isComplete) return { kind: "ignored", reason: "old" };
    const changes = this.#putInForce(state);
    if (this.#isOvertaken(state)) this.#aside.delete(delta.owner);
    this.#progressed(delta.owner);
    return { kind: "applied", changes, isProgress: true };
  }

  /**
   * Those of them that come to hold more by it. A head below what one holds is no word on it; and a part of the start in
   * force has no place while something else is aside: that ends or is dropped first.
   */
  #growing(states: readonly HostState[], delta: HostDelta): readonly HostState[] {
    const hasNoPlace = this.#goesAside(delta) && this.#aside.has(delta.owner);
    return states.filter(
      (state) => tellsMore(state, delta) && !(hasNoPlace && this.#inForce.get(delta.owner) === state),
    );
  }

  /** Of a part nobody can say that the owner signed it: it goes on beside, until its end is reached. */
  #goesAside({ to, head }: HostDelta): boolean {
    return to !== head.counter && this.#options.protections.rootCheck;
  }

  /** In force first: what a state built aside then changes is told against it. */
  #continueAll(states: readonly HostState[], delta: HostDelta): Outcome {
    // At the bound the owner has room by what it has collected: who has not would refuse it for as long as the grace lasts.
    for (const state of states) if (isOverBound(state, delta)) state.compact(delta.compacted);
    // Before any: what was taken of a stretch that is refused would never be told.
    if (states.some((state) => isOverBound(state, delta))) return { kind: "refused", reason: "entries-max" };
    const results = states.map((state) => this.#continue(state, delta));
    const taken = results.filter((changes) => changes !== undefined);
    if (taken.length === 0) return { kind: "refused", reason: "root" };
    this.#progressed(delta.owner);
    return { kind: "applied", changes: taken.flat(), isProgress: true };
  }

  /** What that changed in force; undefined if the result is not what the owner signed. */
  #continue(state: HostState, delta: HostDelta): readonly Entry[] | undefined {
    const added = delta.entries.filter((entry) => entry.version.counter > state.counter);
    const isWhole = delta.to === delta.head.counter;
    if (this.#inForce.get(state.owner) !== state) return this.#continueAside(state, added, delta);
    if (this.#goesAside(delta)) return this.#fork(state, added, delta);
    if (isWhole && !this.#hasRoot(state, added, delta.head)) return undefined;
    take(state, added, delta);
    if (isWhole) state.sign(delta.head);
    if (this.#isOvertaken(state)) this.#aside.delete(state.owner);
    this.#noteControl(state.owner, added);
    return added;
  }

  #fork(state: HostState, added: readonly Entry[], delta: HostDelta): readonly Entry[] | undefined {
    const fork = state.fork();
    this.#aside.set(state.owner, fork);
    return this.#continueAside(fork, added, delta);
  }

  #continueAside(state: HostState, added: readonly Entry[], delta: HostDelta): readonly Entry[] | undefined {
    take(state, added, delta);
    if (delta.to !== delta.head.counter) return [];
    if (!this.#hasRoot(state, [], delta.head)) {
      this.#aside.delete(state.owner);
      return undefined;
    }
    state.sign(delta.head);
    return this.#promote(state);
  }

  #isOvertaken(inForce: HostState): boolean {
    const aside = this.#aside.get(inForce.owner);
    return (
      aside !== undefined &&
      compareStarts(aside.start, inForce.start) === 0 &&
      aside.counter <= inForce.counter
    );
  }

  #isSigned(delta: HostDelta): boolean {
    return !this.#options.protections.rootCheck || isSigned(this.#crypto, delta);
  }

  /** Whether `state` with `added` is what the owner signed. */
  #hasRoot(state: HostState, added: readonly Entry[], head: Head): boolean {
    if (!this.#options.protections.rootCheck) return true;
    const replaced = new Set(added.map((entry) => entry.key));
    const kept = [...state.entries()].filter((entry) => !replaced.has(entry.key));
    return isSameValue(this.#crypto.roots.rootOf([...kept, ...added]), head.root);
  }

  #noteControl(owner: OwnerId, entries: Iterable<Entry>): void {
    if (this.#controlOwners.has(owner)) return;
    for (const { key } of entries) if (this.#options.isControl(key)) this.#controlOwners.add(owner);
  }

  #progressed(owner: OwnerId): void {
    this.#revision += 1;
    this.#progressedAt.set(owner, this.#revision);
  }

  /** Puts a state built aside in force if it may be, and returns what that changed. */
  #promote(state: HostState): readonly Entry[] {
    const before = this.#inForce.get(state.owner);
    const isSameStart = before !== undefined && compareStarts(before.start, state.start) === 0;
    if (!state.isComplete || (isSameStart && state.counter < before.counter)) return [];
    this.#aside.delete(state.owner);
    return this.#putInForce(state);
  }

  /** In the place of what was, or of nothing. Returns what that changed. */
  #putInForce(state: HostState): readonly Entry[] {
    const before = this.#inForce.get(state.owner);
    this.#inForce.set(state.owner, state);
    this.forgotten.remove(state.owner);
    this.#noteControl(state.owner, state.entries());
    return [...differences(before, state), ...vanished(before, state)];
  }
}

/** False for what is held already. */
function tellsMore(state: HostState, delta: HostDelta): boolean {
  return delta.to > state.counter || (state.signed === undefined && delta.head.counter === state.counter);
}

function take(state: HostState, added: readonly Entry[], delta: HostDelta): void {
  for (const entry of added) state.put(entry);
  state.advance(delta.to);
}

function isOverBound(state: HostState, delta: HostDelta): boolean {
  if (state.size + delta.entries.length <= ENTRIES_PER_OWNER_MAX) return false;
  const added = delta.entries.filter(
    ({ key, version }) => version.counter > state.counter && state.get(key) === undefined,
  );
  return state.size + new Set(added.map((entry) => entry.key)).size > ENTRIES_PER_OWNER_MAX;
}

/** Entries of the new state that the old one did not have, in version order. */
function differences(before: HostState | undefined, now: HostState): readonly Entry[] {
  return [...now.entries()].filter((entry) => {
    const old = before?.get(entry.key);
    if (entry.value === null) return old !== undefined && old.value !== null;
    return (
      old === undefined ||
      compareVersions(old.version, entry.version) !== 0 ||
      !isSameValue(old.value, entry.value)
    );
  });
}

/** Deletions of what only the old state had, at the new one's version: that is when they are known. */
function vanished(before: HostState | undefined, now: HostState): readonly Entry[] {
  if (before === undefined) return [];
  const gone = [...before.entries()].filter(
    (entry) => entry.value !== null && now.get(entry.key) === undefined,
  );
  return gone.map((entry) => ({ ...entry, value: null, version: now.head }));
}
