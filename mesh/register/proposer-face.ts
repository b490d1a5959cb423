// Proposer, its face: what one operation on one register takes in and gives out, as values.

import type { AcceptorReply, AcceptorRequest } from "./acceptor.ts";
import type { Ballot, VoterId } from "./ballot.ts";
import type { Certificate, RegisterName, Vote } from "./certificate.ts";
import type { RegisterValue } from "./value.ts";
import type { VoterList } from "./voter-list.ts";

export type Operation =
  /** What a majority has. */
  | { readonly kind: "read" }
  /** The same, committed anew under the voter list of now. */
  | { readonly kind: "recommit" }
  /** Commits `record` as the next epoch if the register is at `expectedEpoch`; 0: it never was. */
  | { readonly kind: "swap"; readonly expectedEpoch: number; readonly record: Uint8Array }
  /** Commits `record` at `epoch` if the register is empty: how a backup comes back. */
  | { readonly kind: "seed"; readonly epoch: number; readonly record: Uint8Array };

export interface CommittedValue {
  readonly value: RegisterValue;
  readonly certificate: Certificate;
}

/**
 * How an operation ended.
 * - `committed`: a majority has it on disk.
 * - `conflict`: another swap was first; `current` is what stands; null: nothing ever did. Nothing of ours was or will be committed.
 * - `read`: what stands; null: the register never was.
 * - `unknown`: it may have been committed, or may be yet. Read before the next swap.
 * - `unavailable`: given up before anything was proposed; `missing` are the voters that have not answered since it asked last;
 *   none: others were quicker each time. Nothing of ours will be committed.
 * - `refused`: voters cannot take it, as `reason` says. Nothing of ours will be committed.
 */
export type Outcome =
  | ({ readonly kind: "committed" } & CommittedValue)
  | { readonly kind: "conflict"; readonly current: CommittedValue | null }
  | { readonly kind: "read"; readonly current: CommittedValue | null }
  | { readonly kind: "unknown" }
  | { readonly kind: "unavailable"; readonly missing: readonly VoterId[] }
  | { readonly kind: "refused"; readonly reason: string };

/** A majority has promised `ballot`, our own, and has `current` at the ballot before it: the next operation need not prepare. */
export interface HeadStart {
  readonly list: number;
  readonly ballot: Ballot;
  readonly current: RegisterValue;
}

export type ProposerInput =
  /** Two ballots of ours that nothing was ever sent with, the second above the first; on our disk as used. */
  | { readonly kind: "reserved"; readonly turn: number; readonly ballot: Ballot; readonly next: Ballot }
  | { readonly kind: "reply"; readonly from: VoterId; readonly turn: number; readonly reply: AcceptorReply }
  | { readonly kind: "timer"; readonly turn: number }
  /** A newer voter list is in force. */
  | { readonly kind: "list"; readonly list: VoterList }
  /** Nobody waits any longer. */
  | { readonly kind: "give-up" };

export type ProposerEffect =
  /** Answer with `reserved`: rounds above this one. */
  | { readonly kind: "reserve"; readonly turn: number; readonly above: number }
  /** Lost or repeated at will. Its answer comes back with `turn`, to this operation alone: others count their turns from 1 too. */
  | { readonly kind: "send"; readonly to: VoterId; readonly turn: number; readonly request: AcceptorRequest }
  | { readonly kind: "schedule"; readonly turn: number; readonly delayMs: number }
  /** A voter goes by this list or a newer one: fetch it, answer with `list`. */
  | { readonly kind: "fetch-list"; readonly list: number }
  /** Once, last. `headStart`: for the next operation on this register. */
  | { readonly kind: "end"; readonly outcome: Outcome; readonly headStart: HeadStart | null };

export interface ProposerOptions {
  readonly register: RegisterName;
  readonly self: VoterId;
  readonly list: VoterList;
  readonly operation: Operation;
  /** From the operation before, if it left one and nothing was begun since. */
  readonly headStart: HeadStart | null;
}

export interface ProposerDeps {
  /** In [0, 1). */
  readonly random: () => number;
  /** Whether the voter signed its vote. */
  readonly isSigned: (register: RegisterName, voter: VoterId, vote: Vote) => boolean;
  /** For the model: takes votes of several ballots together. Default false. */
  readonly isMixed?: boolean;
}
