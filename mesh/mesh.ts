// Mesh: what `node` and `proxy-agent` see of the mesh. Implemented by io/mesh.ts over libp2p, and in memory by sim/memory-mesh.ts.

import type { Head, HeadCrypto } from "./core/head.ts";
import type { MemberName, OwnerId } from "./core/ids.ts";
import type { LivenessState } from "./core/liveness-face.ts";
import type { Version } from "./core/version.ts";

export type MemberRole = "host" | "proxy";

/** One value as its owner wrote it. `value` is opaque to the mesh: `records/` knows what it means. */
export interface Entry {
  readonly owner: OwnerId;
  readonly key: string;
  /** msgpack bytes, at most `ENTRY_VALUE_BYTES_MAX`; null is a tombstone: its owner deleted it. */
  readonly value: Uint8Array | null;
  readonly version: Version;
}

/**
 * A change of the store in force. `path` says by which way it came here. `forgotten`: its owner did not delete it, the owner is
 * gone for good, as a person said; the value is null, the version the entry's own.
 */
export interface EntryChange extends Entry {
  readonly path: "own" | "gossip" | "sync" | "disk" | "forgotten";
  /** Who handed it to us, which need not be its owner; null: nobody did. Of a forgotten one: the word that it is gone. */
  readonly from: OwnerId | null;
}

/**
 * `suspect`: it does not answer, which may be our own fault; `dead`: several members found so, and it did not object;
 * `left`: it said that it leaves.
 */
export interface MemberLiveness {
  readonly state: LivenessState;
  /** Since when, milliseconds since 1970 by our clock; since we met it while it is alive. */
  readonly sinceMs: number;
  /** For people: "" while it is alive, else how we know. */
  readonly why: string;
}

export interface MemberView {
  readonly owner: OwnerId;
  readonly name: MemberName;
  readonly role: MemberRole;
  /** A libp2p connection to it is open and its hello was accepted. True for ourselves. */
  readonly connected: boolean;
  /** As we judge it; others may judge otherwise. Ourselves: always alive. */
  readonly liveness: MemberLiveness;
  readonly self: boolean;
  readonly incarnation: number;
  /** Multiaddrs that it advertises. */
  readonly addresses: readonly string[];
}

export function connectedOwners(members: readonly MemberView[]): ReadonlySet<OwnerId> {
  return new Set(members.filter(({ connected }) => connected).map(({ owner }) => owner));
}

/** Read access to every host state in force. Tombstones are not listed. */
export interface StoreView {
  get(owner: OwnerId, key: string): Entry | undefined;
  /** All live entries whose key starts with `prefix`, of all owners, in (owner, key) order. */
  list(prefix: string): readonly Entry[];
  /** The newest version held of an owner's state, or undefined if nothing of it is held. */
  head(owner: OwnerId): Version | undefined;
  /**
   * True for a state that was read from our disk at the start, until a peer has shown it at this version, or a newer one is
   * in force: it was true once, and nobody has said that it still is.
   */
  isStale(owner: OwnerId): boolean;
}

/** How the newest version of an entry came here. */
export interface Arrival extends Pick<EntryChange, "from"> {
  readonly path: Exclude<EntryChange["path"], "forgotten">;
  /** How long ago, milliseconds on our monotonic clock: no clocks are compared. */
  readonly agoMs: number;
}

/** What is held of one owner, in force. */
export interface OwnerDigest {
  readonly owner: OwnerId;
  readonly version: Version;
  /** Of the live values: the same at all who hold the same at this version. */
  readonly checksum: number;
  /** Live ones. */
  readonly entries: number;
  /** `StoreView.isStale`. */
  readonly isStale: boolean;
}

/** One owner's whole state at one version, as it signed it. */
export interface SignedState {
  readonly owner: OwnerId;
  readonly start: Pick<Version, "incarnation" | "startId">;
  readonly head: Head;
  /** Live ones, in version order. */
  readonly entries: readonly Entry[];
}

/** What this member holds and how it came here, for who looks for a fault. Reads only; tombstones are shown. */
export interface Inspection {
  /** By owner. What nobody may be told of yet is left out: our own state before `announce`. */
  digests(): readonly OwnerDigest[];
  /** In version order. */
  entriesOf(owner: OwnerId): Iterable<Entry>;
  held(owner: OwnerId, key: string): Entry | undefined;
  /** Its state in force as it signed it; undefined: nothing is held, or nothing that it signed at this very version. */
  signed(owner: OwnerId): SignedState | undefined;
  /** null: not remembered any more. */
  arrivalOf(entry: Pick<Entry, "owner" | "key" | "version">): Arrival | null;
  /** How late our event loop was at worst in the last ten seconds or so. */
  lagMs(): number;
  /** For people: the parts of the mesh, a line each. */
  describe(): readonly string[];
}

/** Answers one request with a bounded or unbounded row of chunks. Throwing ends the caller's iteration with an error. */
export type CallHandler = (
  request: Uint8Array,
  from: OwnerId,
  signal: AbortSignal,
) => AsyncIterable<Uint8Array>;

/** A member that a write is waited for at. */
export interface AppliedMember {
  readonly owner: OwnerId;
  readonly name: MemberName;
  readonly role: MemberRole;
}

export interface AppliedAck extends AppliedMember {
  /** From the write to its answer, milliseconds on our monotonic clock: an upper bound that needs no clock sync. */
  readonly ms: number;
}

/** Who has a write in force. Together the set that was frozen at the write. */
export interface AppliedReport {
  /** In the order of their answers. */
  readonly acks: readonly AppliedAck[];
  /** `why`, for people: "not connected", "has not answered". */
  readonly missing: readonly (AppliedMember & { readonly why: string })[];
}

export type TellHandler = (message: Uint8Array, from: OwnerId) => void;

/**
 * A member's place in the mesh. All methods but `whenApplied`, `call`, `sync` and `stop` are synchronous and never block.
 * What peers send is decoded before a handler of ours sees it; a handler's bytes are the caller's to decode.
 */
export interface Mesh {
  readonly self: { readonly owner: OwnerId; readonly name: MemberName; readonly role: MemberRole };
  readonly store: StoreView;
  readonly inspection: Inspection;
  /** Our key, and everybody's: what registers sign and check. */
  readonly crypto: HeadCrypto;

  /**
   * Writes our own entry (null: deletes it) and gossips it. Before `announce` writes are only collected.
   * Writing the bytes that are there already changes nothing and returns the version in force.
   * Throws (a bug) when key or value is over its bound.
   */
  write(key: string, value: Uint8Array | null): Version;

  /**
   * Resolves when every member of the ack set has `version` of our own state, as `write` returned it, in force; on abort
   * with who has not. Never rejects, and the write stands either way. Call it in the same breath as the write: the set (every
   * registered proxy, a silent one too, and all others that are connected) and the clock are frozen then. Who is lost stays
   * in the set, and is asked again when it is back, restarted or not.
   */
  whenApplied(version: Version, signal: AbortSignal): Promise<AppliedReport>;
  /**
   * `settle` is called before we tell an owner what of it is in force here. When it returns, all that `onChange` told must
   * be: a proxy builds its route table. Without one the store itself is what counts.
   */
  beforeApplied(settle: () => void): void;

  /**
   * Declares our new incarnation complete: from here on peers may let it take the place of the one before.
   * Call once, when all that survived a restart was written again (`no-empty-table`).
   */
  announce(): void;

  /** Calls `listener` after each change of the store, our own included. Returns the way to unsubscribe. */
  onChange(listener: (change: EntryChange) => void): () => void;
  /** Calls `listener` once all changes of one step were told: who builds something of them builds it once. Returns the way to unsubscribe. */
  onSettled(listener: () => void): () => void;

  /**
   * All members known, ourselves first, then by name. Of two owners with one name one is shown: who is connected, and of
   * two such the one with the higher incarnation.
   */
  members(): readonly MemberView[];
  /** All owners of that name, those too that `members` does not show since another of them has the better claim. */
  named(name: MemberName): readonly MemberView[];
  /** Calls `listener` when a member came, was connected or was lost. Returns the way to unsubscribe. */
  onMembers(listener: () => void): () => void;

  /**
   * Request and streamed answer over a stream of its own. `service` is a short name ("bundle").
   * The iteration throws a `MeshCallError` when the target cannot be reached, has no such service, or failed.
   */
  call(target: OwnerId, service: string, request: Uint8Array, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** Registers the one handler of a service. Calling ourselves is allowed and goes straight to it. */
  handle(service: string, handler: CallHandler): void;

  /**
   * One-way message over the standing stream to `target`: at most once, in order, bounded queue. Lost when the target
   * is not connected: who needs it to arrive repeats it. Returns false when it was not queued. The topics "applied" and
   * "applied-ask" are the mesh's own.
   */
  tell(target: OwnerId, topic: string, message: Uint8Array): boolean;
  onTell(topic: string, handler: TellHandler): void;

  /**
   * Anti-entropy with `target` until our store holds all that the target's held, and the target's all that ours held,
   * when this was called (what a bound refuses excepted). Rejects on abort, and when the target is lost, silent or slow.
   */
  sync(target: OwnerId, signal: AbortSignal): Promise<void>;

  /**
   * Says that `owner`, not ourselves, is gone for good, as a person knows: every member removes its entries, and takes none of
   * its present start or earlier ones any more, from whomever; one that it begins later is welcome. Whoever lives and is
   * forgotten by mistake begins a later one at once. Resolves with the version of our entry that says so, once that is on our
   * disk and told. Said before, by whomever, it is said again. Undefined: nothing is held of that owner. Rejects when our disk fails, and then nothing was said.
   */
  forget(owner: OwnerId): Promise<Version | undefined>;
  /** Those that are gone for good, as their names were, by the words that are held. */
  forgotten(): readonly { readonly owner: OwnerId; readonly name: MemberName }[];

  /** Closes all streams and connections and leaves no timer of ours behind; some of libp2p's run out within a second. */
  stop(): Promise<void>;
}

/** Whose fault: `unreachable` the network's or a dead target; `no-service` a peer of another release; `failed` the target's handler (its message is in `message`); `aborted` our own signal. State here is never changed by a failed call. */
export type MeshCallCode = "unreachable" | "no-service" | "failed" | "aborted";

export class MeshCallError extends Error {
  override readonly name = "MeshCallError";
  readonly code: MeshCallCode;
  constructor(code: MeshCallCode, message: string) {
    super(message);
    this.code = code;
  }
}
