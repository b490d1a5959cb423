// Acceptor: one voter's part in a register (CASPaxos, Rystsov 2018; the acceptor is Synod's, Lamport 1998). It promises to take
// nothing below a ballot, and takes one value at a ballot. Pure: what changes must be on disk, synced, before the answer leaves.

import { type Ballot, compareBallots, isSameBallot, NO_BALLOT, type VoterId } from "./ballot.ts";
import type { RegisterName, Vote } from "./certificate.ts";
import { isSameValue, type RegisterValue } from "./value.ts";
import { type VoterList, voterOf } from "./voter-list.ts";

/** What an acceptor keeps of one register. */
export interface Slot {
  /** Nothing below it is taken any more. */
  readonly promised: Ballot;
  /** The last value taken, with our signature. */
  readonly accepted: Vote | null;
}

export const EMPTY_SLOT: Slot = { promised: NO_BALLOT, accepted: null };

interface Asked {
  readonly register: RegisterName;
  /** Number of the voter list that the asker goes by. */
  readonly list: number;
}

export type AcceptorRequest =
  /** What have you accepted? Changes nothing. */
  | (Asked & { readonly kind: "query" })
  /** Promise to take nothing below this ballot. */
  | (Asked & { readonly kind: "prepare"; readonly ballot: Ballot })
  /** Take this value at this ballot. `next`: and promise that ballot of the same proposer, which saves it the next prepare. */
  | (Asked & {
      readonly kind: "accept";
      readonly ballot: Ballot;
      readonly value: RegisterValue;
      readonly next: Ballot | null;
    });

/**
 * Why an acceptor did not do as asked; it changed nothing.
 * - `outdated`: it promised a higher ballot, which `promised` is. Try again above it.
 * - `former-list`: it goes by a newer voter list, `list`. Fetch that, then try again under it.
 * - `unknown-list`: it does not know the asker's list yet. Repeat: it fetches it.
 * - `not-a-voter`: asker or asked are not of this list.
 * - `second-value`: it took another value at this ballot. A bug of the proposer.
 * - `invalid`: this release cannot read the record, as `reason` says.
 */
export type Nack =
  | { readonly kind: "nack"; readonly code: "outdated"; readonly promised: Ballot }
  | { readonly kind: "nack"; readonly code: "former-list"; readonly list: number }
  | { readonly kind: "nack"; readonly code: "unknown-list" | "not-a-voter" | "second-value" }
  | { readonly kind: "nack"; readonly code: "invalid"; readonly reason: string };

export type AcceptorReply =
  | { readonly kind: "state"; readonly accepted: Vote | null }
  | { readonly kind: "promise"; readonly ballot: Ballot; readonly accepted: Vote | null }
  /** `promised`: what it promises from here on: `next`, if nobody was quicker. */
  | { readonly kind: "accepted"; readonly vote: Vote; readonly promised: Ballot }
  | Nack;

export interface AcceptorContext {
  readonly self: VoterId;
  /** The newest that this acceptor goes by; on its disk. Requests of older ones are refused for good. */
  readonly list: VoterList;
  /** Our signature of the value at this ballot, under our list. */
  readonly sign: (register: RegisterName, ballot: Ballot, value: RegisterValue) => Uint8Array;
  /** Null: this release can read the record. */
  readonly refusal: (register: RegisterName, record: Uint8Array) => string | null;
}

export interface AcceptorStep {
  readonly reply: AcceptorReply;
  /** The same object when nothing changed; else write it, sync, and only then reply. */
  readonly slot: Slot;
}

export function answer(context: AcceptorContext, slot: Slot, request: AcceptorRequest): AcceptorStep {
  const refused = checkList(context, request.list) ?? checkAsker(context, request);
  if (refused !== null) return { reply: refused, slot };
  switch (request.kind) {
    case "query":
      return { reply: { kind: "state", accepted: slot.accepted }, slot };
    case "prepare":
      return prepare(slot, request.ballot);
    case "accept":
      return accept(context, slot, request);
  }
}

/** Whether we may answer who goes by the list of this number. */
export function checkList(
  { self, list }: Pick<AcceptorContext, "self" | "list">,
  number: number,
): Nack | null {
  if (number < list.number) return { kind: "nack", code: "former-list", list: list.number };
  if (number > list.number) return { kind: "nack", code: "unknown-list" };
  return voterOf(list, self) === undefined ? { kind: "nack", code: "not-a-voter" } : null;
}

function checkAsker({ list }: AcceptorContext, request: AcceptorRequest): Nack | null {
  const isVoter = request.kind === "query" || voterOf(list, request.ballot.proposer) !== undefined;
  return isVoter ? null : { kind: "nack", code: "not-a-voter" };
}

/** The same ballot again is the same message again: its proposer uses it once. */
function prepare(slot: Slot, ballot: Ballot): AcceptorStep {
  const { promised, accepted } = slot;
  const order = compareBallots(ballot, promised);
  if (order < 0) return outdated(slot);
  const reply = { kind: "promise", ballot, accepted } as const;
  return { reply, slot: order === 0 ? slot : { promised: ballot, accepted } };
}

function accept(
  { list, sign, refusal }: AcceptorContext,
  slot: Slot,
  { register, ballot, value, next }: Extract<AcceptorRequest, { kind: "accept" }>,
): AcceptorStep {
  const { promised, accepted } = slot;
  if (accepted !== null && isSameBallot(accepted.ballot, ballot)) {
    if (!isSameValue(accepted.value, value)) return { reply: { kind: "nack", code: "second-value" }, slot };
    if (accepted.list === list.number) return { reply: { kind: "accepted", vote: accepted, promised }, slot };
  }
  if (compareBallots(ballot, promised) < 0) return outdated(slot);
  const reason = refusal(register, value.record);
  if (reason !== null) return { reply: { kind: "nack", code: "invalid", reason }, slot };
  const vote = { list: list.number, ballot, value, signature: sign(register, ballot, value) };
  const following = next !== null && compareBallots(next, ballot) > 0 ? next : ballot;
  return {
    reply: { kind: "accepted", vote, promised: following },
    slot: { promised: following, accepted: vote },
  };
}

function outdated(slot: Slot): AcceptorStep {
  return { reply: { kind: "nack", code: "outdated", promised: slot.promised }, slot };
}
