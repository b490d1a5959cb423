// Liveness, its face: what goes into the failure detector and what comes out, as values. SWIM (Das, Gupta, Motivala 2002) with
// Lifeguard's local health, suspicion and refutation (Dadgar, Phillips, Currey 2018). The judgement is local and never
// gossiped; what travels are accusations, observed facts that each accuser writes into its own state, and refutations.

import type { OwnerId } from "./ids.ts";

/**
 * Which life of a member a fact is about. `incarnation`: of its start; `refutation`: how often this start has answered an
 * accusation. Compared in this order; a higher life voids every accusation of a lower one.
 */
export interface Life {
  readonly incarnation: number;
  readonly refutation: number;
}

/** `closed`: its connection was closed and its kernel refuses ours; `silent`: no answer, neither to us nor through others. */
type AccusationReason = "closed" | "silent";

/** "I cannot reach that life of it": what an accuser keeps in its own state until it can, or is dead itself. */
export interface Accusation {
  readonly life: Life;
  readonly reason: AccusationReason;
}

/** A member other than ourselves, as its member entry says. */
export interface LivenessMember {
  readonly owner: OwnerId;
  readonly life: Life;
  /** It said itself that it leaves: nobody suspects it until a new incarnation. */
  readonly hasLeft: boolean;
}

export type LivenessState = "alive" | "suspect" | "dead" | "left";

/** Said on the standing stream. Serials are the asker's own. */
export type LivenessMessage =
  /** Are you there? `accused`: the life of you that somebody accuses, as known here, so that you can refute it (Lifeguard's buddy). */
  | { readonly kind: "probe"; readonly serial: number; readonly accused: Life | null }
  | { readonly kind: "probe-ack"; readonly serial: number }
  /** Probe `target` for me. */
  | { readonly kind: "probe-request"; readonly serial: number; readonly target: OwnerId }
  /** `isAlive`: the target answered me. False: it did not, but I am here (Lifeguard's nack). */
  | { readonly kind: "probe-report"; readonly serial: number; readonly isAlive: boolean };

export interface LivenessToken {
  readonly purpose: string;
  readonly serial: number;
}

export type LivenessInput =
  /** Once, first. */
  | { readonly kind: "begin" }
  /** Ours, when a start of ours was raised. */
  | { readonly kind: "life"; readonly life: Life }
  /** All members but ourselves of whom we hold a member entry; whenever that changes. */
  | { readonly kind: "members"; readonly members: readonly LivenessMember[] }
  /** One of them is new, or its entry changed. */
  | { readonly kind: "member"; readonly member: LivenessMember }
  /** The standing stream to it came up or went down: a hint. */
  | { readonly kind: "link"; readonly peer: OwnerId; readonly isUp: boolean }
  /** A dial of ours came to nothing. `isRefused`: by its own kernel, nobody listens there. */
  | { readonly kind: "dial-failed"; readonly peer: OwnerId; readonly isRefused: boolean }
  | { readonly kind: "message"; readonly from: OwnerId; readonly message: LivenessMessage }
  /** What `accuser` (never ourselves) holds against `suspect` (maybe ourselves) from now on; null: nothing any more. */
  | {
      readonly kind: "accusation";
      readonly accuser: OwnerId;
      readonly suspect: OwnerId;
      readonly accusation: Accusation | null;
    }
  /** Our own event loop was late by this much, milliseconds. */
  | { readonly kind: "lag"; readonly lagMs: number }
  | { readonly kind: "timer"; readonly token: LivenessToken };

export type LivenessEffect =
  /** Over the standing stream; lost when the link is down. */
  | { readonly kind: "send"; readonly to: OwnerId; readonly message: LivenessMessage }
  | { readonly kind: "schedule"; readonly token: LivenessToken; readonly delayMs: number }
  /** Write it into our own state, in place of what we held against `suspect`; null: take it back. */
  | { readonly kind: "accuse"; readonly suspect: OwnerId; readonly accusation: Accusation | null }
  /** Somebody accuses us: write our member entry anew with this refutation. */
  | { readonly kind: "refute"; readonly refutation: number }
  /** Look at the link to it now: ping it at the fast interval, and cut it when that stays unanswered. */
  | { readonly kind: "doubt"; readonly peer: OwnerId }
  /** Our judgement changed. `why`: for people, a line. */
  | {
      readonly kind: "judged";
      readonly owner: OwnerId;
      readonly from: LivenessState;
      readonly to: LivenessState;
      readonly why: string;
    }
  | { readonly kind: "count"; readonly counter: string; readonly by: number };
