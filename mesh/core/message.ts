// Message: what members say to each other, one union. Never change a shipped variant; add one (and its golden bytes).

import type { Entry, MemberRole } from "../mesh.ts";
import type { Head } from "./head.ts";
import type { MemberName, OwnerId } from "./ids.ts";
import type { LivenessMessage } from "./liveness-face.ts";
import type { SummaryHash } from "./summary.ts";
import type { Start } from "./version.ts";

/** The format that this release speaks; the first byte of every message. */
export const FORMAT = 1;

/**
 * A stretch of one owner's history: all that changed after `from`, up to `to`. Who holds `from` or more holds `to`
 * after applying it; who holds less must not apply it. What was replaced later within the sender's state is left out.
 */
export interface HostDelta {
  readonly owner: OwnerId;
  readonly start: Start;
  readonly from: number;
  readonly to: number;
  /** Signed by the owner: its state at `head.counter`. Above `to`: this delta was cut, ask again. */
  readonly head: Head;
  /** The sender's compacted version: who is below it and continues would miss deletions. */
  readonly compacted: number;
  /** The answer to `wantsRepair`: the receiver builds this aside though it holds all of it. `from` is 0. */
  readonly isRepair: boolean;
  /** In version order, all newer than `from`. */
  readonly entries: readonly Entry[];
}

/** What its sender holds of one owner: of the state in force, or of one that it builds aside. */
export interface DigestItem {
  readonly owner: OwnerId;
  readonly start: Start;
  readonly counter: number;
  readonly compacted: number;
  /** Of the live values; compared only when both sides are in force and at the same counter. */
  readonly checksum: number;
  readonly isInForce: boolean;
  /** In a pull: send all of it from the beginning, our copy has other values than yours. */
  readonly wantsRepair: boolean;
}

/** First words on a connection, both ways, on a protocol that does not name the cluster: so a stranger learns why. */
export interface HelloMessage {
  readonly kind: "hello";
  readonly cluster: string;
  readonly name: MemberName;
  readonly role: MemberRole;
  /** That the sender's process was born with: it tells one process of a member from another. */
  readonly incarnation: number;
}

/** An owner's own newest changes, to everyone, over gossipsub. Best effort; a gap is pulled. */
export interface GossipMessage {
  readonly kind: "gossip";
  readonly delta: HostDelta;
}

/**
 * All that the sender holds in force, in one hash: answered by an empty delta. If you hold something else it says so, and
 * your digest follows.
 */
export interface SummaryMessage {
  readonly kind: "summary";
  readonly round: number;
  readonly hash: SummaryHash;
}

/** All that the sender holds, owner by owner: answer with what it lacks, and send your own if you lack something. */
export interface DigestMessage {
  readonly kind: "digest";
  readonly round: number;
  readonly items: readonly DigestItem[];
}

/** The same for the listed owners only: a gap was seen. */
export interface PullMessage {
  readonly kind: "pull";
  readonly round: number;
  readonly items: readonly DigestItem[];
}

/** The answer to the digest, pull or summary of the same round; empty when nothing is lacking. */
export interface DeltaMessage {
  readonly kind: "delta";
  readonly round: number;
  readonly deltas: readonly HostDelta[];
  /** Something did not fit: ask again with what you hold now. */
  readonly hasMore: boolean;
  /**
   * Your digest showed that you hold something that I lack, or your summary that we differ: my digest follows, perhaps after
   * others' turn. Not said of what I asked you for and then refused.
   */
  readonly isLacking: boolean;
}

/** One-way application message to one member (`Mesh.tell`). */
interface TellMessage {
  readonly kind: "tell";
  readonly topic: string;
  readonly body: Uint8Array;
}

/** Are you there? Sent on the standing stream while it is quiet; answered by a pong. */
interface PingMessage {
  readonly kind: "ping";
}

interface PongMessage {
  readonly kind: "pong";
}

export type ReplicaMessage = SummaryMessage | DigestMessage | PullMessage | DeltaMessage;

export type Message =
  | HelloMessage
  | GossipMessage
  | ReplicaMessage
  | TellMessage
  | PingMessage
  | PongMessage
  | LivenessMessage;
