// MemoryMesh: a Mesh in this process, for the tests of those who use one. Delivery is a microtask away, in order, lossless
// while a link is up; a link that comes back is synced. Built on no part of the real core: it is a second opinion on the
// contract, held to it by the same compliance suite (mesh-compliance.ts). Who waits for writes is the real thing: it is made
// of tells and of what the store shows.

import { isSameValue } from "../core/entry.ts";
import { encodeForget, type ForgetWord, forgetKey, forgetWordOf, forgottenIn } from "../core/forget-entry.ts";
import { type MemberName, memberName, type OwnerId, ownerId } from "../core/ids.ts";
import { decodeMember, encodeMember, MEMBER_KEY } from "../core/member.ts";
import { compareStarts, compareVersions, type Version } from "../core/version.ts";
import { Applied } from "../io/applied.ts";
import { Arrivals } from "../io/arrivals.ts";
import { ChangeFeed } from "../io/change-feed.ts";
import { serveHearing } from "../io/hearing.ts";
import { serveInspection } from "../io/inspection-service.ts";
import { compareMembers } from "../io/members.ts";
import { runHandler } from "../io/run-handler.ts";
import {
  type AppliedReport,
  type CallHandler,
  type Entry,
  type EntryChange,
  type Inspection,
  type MemberRole,
  type MemberView,
  type Mesh,
  MeshCallError,
  type StoreView,
  type TellHandler,
} from "../mesh.ts";
import { memoryInspection } from "./memory-inspection.ts";
import { assertBounds, type OwnerState, storeView } from "./memory-state.ts";
import { standInCrypto } from "./stand-in-crypto.ts";

export interface JoinOptions {
  readonly name: string;
  readonly role: MemberRole;
}

/** One cluster in memory: every member is linked to every other until `disconnect`. */
export class MemoryHub {
  readonly #members = new Map<OwnerId, MemoryMesh>();
  readonly #cut = new Set<string>();
  #joins = 0;

  /**
   * A new member. After `stop()` of the member of this name: its restart, the same owner with a higher incarnation.
   * Like the real one it spreads nothing before `announce()`.
   */
  join(options: JoinOptions): Mesh {
    const owner = ownerId(`memory-${options.name}`);
    if (this.#members.has(owner)) throw new Error(`hub: ${options.name} is running`);
    this.#joins += 1;
    const self = { owner, name: memberName(options.name), role: options.role };
    const mesh = new MemoryMesh(self, { incarnation: 1_000 + this.#joins, startId: this.#joins }, this);
    this.#members.set(owner, mesh);
    for (const peer of this.peersOf(owner)) link(mesh, peer);
    return mesh;
  }

  /** Nothing passes between the two until `reconnect`. Others still relay. */
  disconnect(left: Mesh, right: Mesh): void {
    this.#cut.add(linkName(left.self.owner, right.self.owner));
    this.#members.get(left.self.owner)?.membersChanged();
    this.#members.get(right.self.owner)?.membersChanged();
  }

  /** Heals the link; each side ends with what the other had. */
  reconnect(left: Mesh, right: Mesh): void {
    this.#cut.delete(linkName(left.self.owner, right.self.owner));
    const [leftMember, rightMember] = [left, right].map((mesh) => this.#members.get(mesh.self.owner));
    if (leftMember !== undefined && rightMember !== undefined) link(leftMember, rightMember);
  }

  /** The running member `to`, if the link to it is up. Used by MemoryMesh alone. */
  reach(from: OwnerId, to: OwnerId): MemoryMesh | undefined {
    return this.#cut.has(linkName(from, to)) ? undefined : this.#members.get(to);
  }

  /** Used by MemoryMesh alone. */
  peersOf(owner: OwnerId): readonly MemoryMesh[] {
    if (!this.#members.has(owner)) return [];
    const others = [...this.#members.values()].filter((mesh) => mesh.self.owner !== owner);
    return others.filter((mesh) => this.reach(owner, mesh.self.owner) !== undefined);
  }

  /** Used by MemoryMesh alone. */
  leave(owner: OwnerId): void {
    const peers = this.peersOf(owner);
    this.#members.delete(owner);
    for (const peer of peers) peer.membersChanged();
  }
}

function link(left: MemoryMesh, right: MemoryMesh): void {
  left.syncFrom(right);
  right.syncFrom(left);
  left.membersChanged();
  right.membersChanged();
}

function linkName(left: OwnerId, right: OwnerId): string {
  return [left, right].sort().join(" ");
}

type Self = Mesh["self"];
type Start = Pick<Version, "incarnation" | "startId">;
type Way = Pick<EntryChange, "path" | "from">;

class MemoryMesh implements Mesh {
  readonly self: Self;
  readonly store: StoreView;
  readonly inspection: Inspection;
  readonly crypto: Mesh["crypto"];
  readonly #arrivals = new Arrivals(() => performance.now());
  readonly #hub: MemoryHub;
  readonly #own: OwnerState;
  readonly #states = new Map<OwnerId, OwnerState>();
  readonly #forgotten = new Map<OwnerId, Start>();
  readonly #changes = new ChangeFeed();
  readonly #memberListeners = new Set<() => void>();
  readonly #handlers = new Map<string, CallHandler>();
  readonly #tellHandlers = new Map<string, TellHandler>();
  readonly #stopped = new AbortController();
  readonly #applied: Applied;

  constructor(self: Self, start: Start, hub: MemoryHub) {
    this.self = self;
    this.#hub = hub;
    this.crypto = standInCrypto(self.owner);
    this.#own = { ...start, counter: 0, complete: false, entries: new Map() };
    this.#states.set(self.owner, this.#own);
    this.store = storeView(this.#states);
    this.inspection = memoryInspection(this.#states, this.#arrivals, () => [`${self.name} in memory`]);
    const record = {
      name: self.name,
      role: self.role,
      addresses: [],
      startedAtMs: start.incarnation,
      refutation: 0,
      isLeaving: false,
    };
    this.write(MEMBER_KEY, encodeMember(record));
    const count = (): void => undefined;
    this.#applied = new Applied({ mesh: this, nowMs: () => performance.now(), random: Math.random, count });
    serveInspection(this);
    serveHearing(this);
  }

  write(key: string, value: Uint8Array | null): Version {
    assertBounds(key, value);
    const held = this.#own.entries.get(key);
    if (held !== undefined && isSameValue(held.value, value)) return held.version;
    this.#own.counter += 1;
    const { incarnation, startId, counter } = this.#own;
    const copy = value === null ? null : new Uint8Array(value);
    const version = { incarnation, startId, counter };
    this.#store(
      this.#own,
      { owner: this.self.owner, key, value: copy, version },
      { path: "own", from: null },
    );
    return version;
  }

  whenApplied(version: Version, signal: AbortSignal): Promise<AppliedReport> {
    return this.#applied.whenApplied(version, signal);
  }

  beforeApplied(settle: () => void): void {
    this.#applied.answers.beforeApplied(settle);
  }

  announce(): void {
    this.#own.complete = true;
    for (const peer of this.#hub.peersOf(this.self.owner)) {
      later(() => {
        if (this.#hub.reach(this.self.owner, peer.self.owner) === peer) peer.syncFrom(this);
      });
    }
  }

  onChange(listener: (change: EntryChange) => void): () => void {
    return this.#changes.onChange(listener);
  }

  onSettled(listener: () => void): () => void {
    return this.#changes.onSettled(listener);
  }

  onMembers(listener: () => void): () => void {
    this.#memberListeners.add(listener);
    return () => this.#memberListeners.delete(listener);
  }

  members(): readonly MemberView[] {
    const byName = new Map<MemberName, MemberView>();
    for (const [owner, state] of this.#states) {
      const view = this.#memberView(owner, state);
      const other = view === undefined ? undefined : byName.get(view.name);
      if (view !== undefined && (other === undefined || other.incarnation < view.incarnation)) {
        byName.set(view.name, view);
      }
    }
    return [...byName.values()].sort(compareMembers);
  }

  /** It shows the later start of a name alone, and hides no other that could be asked for. */
  named(name: MemberName): readonly MemberView[] {
    return this.members().filter((member) => member.name === name);
  }

  async forget(owner: OwnerId): Promise<Version | undefined> {
    if (owner === this.self.owner) throw new Error("bug: a member forgets itself");
    const [state, member] = [this.#states.get(owner), this.members().find((one) => one.owner === owner)];
    const upTo = state ?? this.#forgotten.get(owner);
    const name = member?.name ?? this.forgotten().find((one) => one.owner === owner)?.name;
    if (upTo === undefined || name === undefined) return undefined;
    return this.write(forgetKey(owner), encodeForget({ upTo, name }));
  }

  forgotten(): ReturnType<Mesh["forgotten"]> {
    return forgottenIn(this.store);
  }

  #memberView(owner: OwnerId, state: OwnerState): MemberView | undefined {
    const value = state.entries.get(MEMBER_KEY)?.value;
    const record = value == null ? undefined : decodeMember(value);
    if (record?.ok !== true) return undefined;
    const { name, role, addresses } = record.value;
    const self = owner === this.self.owner;
    const connected = self || this.#hub.reach(this.self.owner, owner) !== undefined;
    const liveness = connected
      ? ({ state: "alive", sinceMs: 0, why: "" } as const)
      : ({ state: "suspect", sinceMs: 0, why: "not connected" } as const);
    return { owner, name, role, addresses, self, connected, liveness, incarnation: state.incarnation };
  }

  async *call(
    target: OwnerId,
    service: string,
    request: Uint8Array,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const peer = target === this.self.owner ? this : this.#hub.reach(this.self.owner, target);
    if (peer === undefined) throw new MeshCallError("unreachable", `no connection to ${target}`);
    const handler = peer.#handlers.get(service);
    if (handler === undefined) throw new MeshCallError("no-service", `no service ${service}`);
    const lost = new AbortController();
    const watch = peer.onMembers(() => {
      if (this.#hub.reach(this.self.owner, target) !== peer) {
        lost.abort(new MeshCallError("unreachable", `lost ${target}`));
      }
    });
    const ends = [signal, lost.signal, this.#stopped.signal];
    try {
      const run = { request: new Uint8Array(request), from: this.self.owner, signal: AbortSignal.any(ends) };
      for await (const chunk of runHandler(handler, run)) yield new Uint8Array(chunk);
    } finally {
      watch();
    }
  }

  handle(service: string, handler: CallHandler): void {
    this.#handlers.set(service, handler);
  }

  tell(target: OwnerId, topic: string, message: Uint8Array): boolean {
    const peer = target === this.self.owner ? this : this.#hub.reach(this.self.owner, target);
    if (peer === undefined) return false;
    const copy = new Uint8Array(message);
    later(() => {
      if (peer.#stopped.signal.aborted || this.#hub.reach(this.self.owner, target) !== peer) return;
      peer.#tellHandlers.get(topic)?.(copy, this.self.owner);
    });
    return true;
  }

  onTell(topic: string, handler: TellHandler): void {
    this.#tellHandlers.set(topic, handler);
  }

  async sync(target: OwnerId, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (target === this.self.owner) return;
    const peer = this.#hub.reach(this.self.owner, target);
    if (peer === undefined) throw new MeshCallError("unreachable", `no connection to ${target}`);
    this.syncFrom(peer);
    peer.syncFrom(this);
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new MeshCallError("aborted", "mesh stopped"));
    this.#applied.stop();
    this.#hub.leave(this.self.owner);
    this.membersChanged();
    this.#changes.clear();
    this.#memberListeners.clear();
  }

  /** Takes what `peer` holds and we lack. Used by the hub. */
  syncFrom(peer: MemoryMesh): void {
    for (const owner of peer.#states.keys()) this.#takeState(owner, peer);
  }

  membersChanged(): void {
    for (const listener of this.#memberListeners) listener();
  }

  #takeState(owner: OwnerId, peer: MemoryMesh): void {
    const offered = peer.#states.get(owner);
    if (owner === this.self.owner || offered === undefined || !offered.complete) return;
    if (this.#isForgotten(owner, offered)) return;
    const held = this.#states.get(owner);
    if (held !== undefined && compareStarts(held, offered) > 0) return;
    const isNewStart = held === undefined || compareStarts(held, offered) < 0;
    const state = isNewStart ? { ...offered, counter: 0, entries: new Map<string, Entry>() } : held;
    this.#states.set(owner, state);
    const entries = [...offered.entries.values()].sort((a, b) => compareVersions(a.version, b.version));
    const way = { path: "sync", from: peer.self.owner } as const;
    for (const entry of entries) this.#apply(state, entry, way);
    if (isNewStart && held !== undefined) this.#emitVanished(held, state, way);
  }

  /** Keys that only the incarnation before had are told as deleted. */
  #emitVanished(before: OwnerState, now: OwnerState, way: Way): void {
    const { incarnation, startId, counter } = now;
    for (const entry of before.entries.values()) {
      if (entry.value === null || now.entries.has(entry.key)) continue;
      this.#emit({ ...entry, value: null, version: { incarnation, startId, counter }, ...way });
    }
  }

  #receive(entry: Entry, from: MemoryMesh): void {
    const held = this.#states.get(entry.owner);
    if (held === undefined || compareStarts(held, entry.version) < 0) this.#takeState(entry.owner, from);
    else if (compareStarts(held, entry.version) === 0)
      this.#apply(held, entry, { path: "gossip", from: from.self.owner });
  }

  #apply(state: OwnerState, entry: Entry, way: Way): void {
    const held = state.entries.get(entry.key);
    if (held !== undefined && held.version.counter >= entry.version.counter) return;
    this.#store(state, entry, way);
  }

  /** Stores, tells our listeners, and passes it on: a member relays what it learnt. */
  #store(state: OwnerState, entry: Entry, way: Way): void {
    state.entries.set(entry.key, entry);
    state.counter = Math.max(state.counter, entry.version.counter);
    this.#emit({ ...entry, ...way });
    const word = forgetWordOf(entry);
    if (word !== undefined) this.#forget(word, way.from);
    if (entry.key === MEMBER_KEY) this.membersChanged();
    if (!state.complete) return;
    for (const peer of this.#hub.peersOf(this.self.owner)) {
      later(() => {
        if (this.#hub.reach(this.self.owner, peer.self.owner) === peer) peer.#receive(entry, this);
      });
    }
  }

  /** Of ourselves it is not modelled: who is connected is not forgotten. */
  #forget({ owner, upTo }: ForgetWord, from: EntryChange["from"]): void {
    this.#forgotten.set(owner, upTo);
    const state = this.#states.get(owner);
    if (owner === this.self.owner || state === undefined || !this.#isForgotten(owner, state)) return;
    this.#states.delete(owner);
    for (const entry of state.entries.values())
      if (entry.value !== null) this.#emit({ ...entry, value: null, path: "forgotten", from });
    this.membersChanged();
  }

  #isForgotten(owner: OwnerId, start: Start): boolean {
    const upTo = this.#forgotten.get(owner);
    return upTo !== undefined && compareStarts(start, upTo) <= 0;
  }

  #emit(change: EntryChange): void {
    this.#arrivals.note(change);
    if (!this.#changes.isUnsettled) later(() => this.#changes.settle());
    this.#changes.tell(change);
  }
}

// A microtask, not a timer: tests with faked timers must still see deliveries.
function later(deliver: () => void): void {
  queueMicrotask(deliver);
}
