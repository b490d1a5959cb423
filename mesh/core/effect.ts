// Inputs and effects of the replica: values, so that a transcript prints them and the simulator drops and reorders them.

import type { Entry, EntryChange } from "../mesh.ts";
import type { ForgetWord } from "./forget-entry.ts";
import type { OwnerId } from "./ids.ts";
import type { GossipMessage, HostDelta, ReplicaMessage } from "./message.ts";
import type { SyncId } from "./rounds.ts";
import type { TimerToken } from "./timers.ts";

export type ReplicaInput =
  /** What our own disk held, whole states; at most once, and before all others. */
  | { readonly kind: "restore"; readonly deltas: readonly HostDelta[] }
  /** Once, before all that peers say: sets the first timers. */
  | { readonly kind: "begin" }
  | { readonly kind: "write"; readonly key: string; readonly value: Uint8Array | null }
  | { readonly kind: "announce" }
  /** Gossip of `delta.owner`, handed on by `from`. */
  | { readonly kind: "gossip"; readonly from: OwnerId; readonly delta: HostDelta }
  | { readonly kind: "message"; readonly from: OwnerId; readonly message: ReplicaMessage }
  /** Its hello was accepted and the standing stream is open. */
  | { readonly kind: "peer-connected"; readonly peer: OwnerId }
  | { readonly kind: "peer-disconnected"; readonly peer: OwnerId }
  /** Frames to this peer were dropped: what they said must be said by a sync. */
  | { readonly kind: "peer-overflowed"; readonly peer: OwnerId }
  | { readonly kind: "timer"; readonly token: TimerToken }
  /** The owner is gone for good, as our own disk knows: before `restore`. Of what peers know their entries tell. */
  | { readonly kind: "forget"; readonly word: ForgetWord }
  | { readonly kind: "sync"; readonly peer: OwnerId; readonly id: SyncId }
  /** The answer to `persist-incarnation`: it is on disk. `startId` is random. */
  | { readonly kind: "incarnation-persisted"; readonly incarnation: number; readonly startId: number };

/** What is counted; each is a metric. */
export type Counter =
  | "gossip-published"
  | "gossip-applied"
  | "duplicates"
  | "gaps"
  | "stale"
  | "rounds"
  | "summaries"
  | "pulls"
  | "rounds-expired"
  | "deltas-sent"
  | "deltas-applied"
  | "repairs"
  | "own-conflicts"
  | "tombstones-collected"
  | "refused-owners-max"
  | "refused-entries-max"
  | "refused-signature"
  | "refused-root"
  | "forgotten"
  | "twins"
  | "asides-dropped"
  | "snapshot-restored"
  | "snapshot-refused";

export type Effect =
  | { readonly kind: "publish"; readonly message: GossipMessage }
  | { readonly kind: "send"; readonly to: OwnerId; readonly message: ReplicaMessage }
  | { readonly kind: "schedule"; readonly token: TimerToken; readonly delayMs: number }
  /** The store in force changed; it holds all changes of this step already when the first one is told. */
  | { readonly kind: "changed"; readonly change: EntryChange }
  /** Heard just now, or again: what must survive us. */
  | { readonly kind: "forgotten"; readonly word: ForgetWord }
  /** Must be on disk before `incarnation-persisted` comes back; until then the old start goes on. */
  | { readonly kind: "persist-incarnation"; readonly incarnation: number }
  /** Another process runs with our key; `entries` are what it wrote. The younger, if it is us, is silent from now on. */
  | { readonly kind: "twin"; readonly isYounger: boolean; readonly entries: readonly Entry[] }
  | { readonly kind: "sync-ended"; readonly id: SyncId; readonly isReached: boolean }
  | { readonly kind: "count"; readonly counter: Counter; readonly by: number };
