// Seat: one voter's acceptor: the real `answer`, its memory and its disk. A reply leaves once what it was computed from is synced; a
// crash before that loses both. Pure: a step makes a new seat.

import {
  type AcceptorContext,
  type AcceptorReply,
  type AcceptorRequest,
  answer,
  EMPTY_SLOT,
  type Slot,
} from "../../register/acceptor.ts";
import { type Ballot, isSameBallot, NO_BALLOT, type VoterId } from "../../register/ballot.ts";
import type { RegisterName, Vote } from "../../register/certificate.ts";
import type { VoterList } from "../../register/voter-list.ts";
import type { BreakName } from "./breaks.ts";
import { listKey, replyKey, slotKey, voteKey } from "./keys.ts";

type Slots = ReadonlyMap<RegisterName, Slot>;

/** A vote of this voter, for all time: what it forgot was said all the same. */
export interface Cast {
  readonly register: RegisterName;
  readonly vote: Vote;
  /** It was on its disk, or what replaced it within one sync was. */
  readonly isDurable: boolean;
  /** It was in a reply. */
  readonly hasLeft: boolean;
  /** A crash took it before it was on disk. */
  readonly isLost: boolean;
}

/** A reply on its way to the proposer's desk, if that still waits for an answer to this request. */
interface Leaving {
  readonly desk: number;
  /** The number of the request. */
  readonly request: number;
  readonly register: RegisterName;
  readonly reply: AcceptorReply;
}

/** A request as it reaches a seat. */
export interface Asked {
  readonly desk: number;
  readonly id: number;
  readonly request: AcceptorRequest;
  /** Whether the proposer still waits for an answer. */
  readonly isAwaited: boolean;
}

export interface Seat {
  /** The newest that it goes by, on disk. */
  readonly list: VoterList;
  readonly memory: Slots;
  readonly disk: Slots;
  readonly casts: readonly Cast[];
  /** Wait for the sync. */
  readonly held: readonly Leaving[];
}

export interface SeatStep {
  readonly seat: Seat;
  readonly leaving: readonly Leaving[];
}

export interface SeatRules {
  readonly voter: VoterId;
  readonly broken: ReadonlySet<BreakName>;
  /** Memory and disk differ until a sync. */
  readonly isStaged: boolean;
  /** A list that was in force, by number. */
  readonly formerList: (number: number) => VoterList;
  readonly refusal: (record: Uint8Array) => string | null;
}

export function newSeat(list: VoterList): Seat {
  return { list, memory: new Map(), disk: new Map(), casts: [], held: [] };
}

export function seatKey({ list, memory, disk, casts, held }: Seat): string {
  const slots = (of: Slots) => [...of].map(([name, slot]) => `${name} ${slotKey(slot)}`).sort();
  const votes = casts.map(
    ({ register, vote, isDurable, hasLeft, isLost }) =>
      `${register} ${voteKey(vote)}${isDurable ? " d" : ""}${hasLeft ? " l" : ""}${isLost ? " x" : ""}`,
  );
  const written = memory === disk ? "=" : slots(disk).join(",");
  const waiting = held.map(({ request, reply }) => `${request} ${replyKey(reply)}`);
  return [
    list.number,
    listKey(list).split(" ")[1],
    slots(memory),
    written,
    votes.sort(),
    waiting.sort(),
  ].join("|");
}

const NO_SIGNATURE = new Uint8Array();

/** A request reaches it. */
export function ask(seat: Seat, { desk, id, request, isAwaited }: Asked, rules: SeatRules): SeatStep {
  const { register } = request;
  const slot = seat.memory.get(register) ?? EMPTY_SLOT;
  const step = answerOf(seat, slot, request, rules);
  const changed = step.slot === slot ? seat : withSlot(seat, register, step.slot);
  const reply = { desk, request: id, register, reply: shownReply(step.reply, rules) };
  if (!rules.isStaged) return leave(sync(changed), [reply]);
  if (leavesAtOnce(seat, changed, request, rules)) return leave(changed, [reply]);
  return {
    seat: isAwaited ? { ...changed, held: withHeld(changed.held, reply) } : changed,
    leaving: [],
  };
}

function leavesAtOnce(seat: Seat, changed: Seat, request: AcceptorRequest, { broken }: SeatRules): boolean {
  if (broken.has("unsynced-acceptor")) return true;
  const { register } = request;
  const hasVoteOnDisk = seat.disk.get(register)?.accepted === seat.memory.get(register)?.accepted;
  if (broken.has("unsynced-promise") && request.kind === "prepare" && hasVoteOnDisk) return true;
  const isUnchanged = changed === seat;
  return isUnchanged && (broken.has("unsynced-read") || seat.memory === seat.disk);
}

function answerOf(
  { list }: Seat,
  slot: Slot,
  request: AcceptorRequest,
  rules: SeatRules,
): { readonly reply: AcceptorReply; readonly slot: Slot } {
  const { broken } = rules;
  const context: AcceptorContext = {
    self: rules.voter,
    // Without the fence it answers those that go by a list that it once had.
    list: broken.has("former-list") && request.list < list.number ? rules.formerList(request.list) : list,
    sign: () => NO_SIGNATURE,
    refusal: (_register, record) => rules.refusal(record),
  };
  const step = answer(context, slot, request);
  const { reply } = step;
  if (reply.kind === "nack" && reply.code === "second-value" && broken.has("second-value")) {
    const forgetful = { promised: "ballot" in request ? request.ballot : NO_BALLOT, accepted: null };
    return answer(context, forgetful, request);
  }
  if (broken.has("head-start-unpromised") && request.kind === "accept" && step.slot.accepted !== null) {
    return { reply, slot: { ...step.slot, promised: request.ballot } };
  }
  return step;
}

function shownReply(reply: AcceptorReply, { broken }: SeatRules): AcceptorReply {
  return broken.has("hidden-vote") && reply.kind === "promise" ? { ...reply, accepted: null } : reply;
}

function withSlot(seat: Seat, register: RegisterName, slot: Slot): Seat {
  const memory = new Map([...seat.memory, [register, slot]]);
  const { accepted } = slot;
  const isCast = accepted !== null && accepted !== seat.memory.get(register)?.accepted;
  const casts = isCast ? withCast(seat.casts, register, accepted) : seat.casts;
  return { ...seat, memory, casts };
}

function withCast(casts: readonly Cast[], register: RegisterName, vote: Vote): readonly Cast[] {
  const again = casts.find((cast) => isCastOf(cast, register, vote));
  const fresh = { register, vote, isDurable: false, hasLeft: false, isLost: false };
  if (again === undefined) return [...casts, fresh];
  return again.isLost ? casts.map((cast) => (cast === again ? { ...cast, isLost: false } : cast)) : casts;
}

function isCastOf(cast: Cast, register: RegisterName, vote: Vote): boolean {
  return cast.register === register && voteKey(cast.vote) === voteKey(vote);
}

function withHeld(held: readonly Leaving[], reply: Leaving): readonly Leaving[] {
  const key = replyKey(reply.reply);
  const isHeld = held.some((other) => other.request === reply.request && replyKey(other.reply) === key);
  return isHeld ? held : [...held, reply];
}

/** Votes in these replies have left. */
function leave(seat: Seat, leaving: readonly Leaving[]): SeatStep {
  let { casts } = seat;
  for (const { register, reply } of leaving) {
    const vote = voteIn(reply);
    if (vote === null) continue;
    casts = casts.map((cast) =>
      cast.hasLeft || !isCastOf(cast, register, vote) ? cast : { ...cast, hasLeft: true },
    );
  }
  return { seat: { ...seat, casts }, leaving };
}

function voteIn(reply: AcceptorReply): Vote | null {
  if (reply.kind === "accepted") return reply.vote;
  return reply.kind === "nack" ? null : reply.accepted;
}

function sync(seat: Seat): Seat {
  if (seat.memory === seat.disk) return seat;
  const casts = seat.casts.map((cast) =>
    cast.isDurable || cast.isLost ? cast : { ...cast, isDurable: true },
  );
  return { ...seat, disk: seat.memory, casts, held: [] };
}

/** What is in memory is on disk now; what waited for it leaves. Null: nothing to write. */
export function syncSeat(seat: Seat): SeatStep | null {
  return seat.memory === seat.disk ? null : leave(sync(seat), seat.held);
}

/** Memory and what waited are gone. A vote that nobody saw was never cast. Null: nothing is lost. */
export function crashSeat(seat: Seat): Seat | null {
  if (seat.memory === seat.disk) return null;
  const casts = seat.casts
    .filter(({ isDurable, hasLeft }) => isDurable || hasLeft)
    .map((cast) => (cast.isDurable || cast.isLost ? cast : { ...cast, isLost: true }));
  return { ...seat, memory: seat.disk, casts, held: [] };
}

/** Its disk is lost, and it goes on under its old id, which it must not. */
export function loseDisk(seat: Seat): Seat {
  return { ...newSeat(seat.list), casts: seat.casts };
}

/** Without these of its votes: nothing will come of them any more. */
export function forget(seat: Seat, votes: readonly Cast[]): Seat {
  return { ...seat, casts: seat.casts.filter((cast) => !votes.includes(cast)) };
}

/** A list that is in force. Null: it has it, or a newer one. */
export function adopt(seat: Seat, list: VoterList): Seat | null {
  return list.number > seat.list.number ? { ...seat, list } : null;
}

export function isCurrent({ memory }: Seat, { register, vote }: Cast): boolean {
  const accepted = memory.get(register)?.accepted ?? null;
  return accepted !== null && accepted.list === vote.list && isSameBallot(accepted.ballot, vote.ballot);
}

export function promisedIn({ memory }: Seat, register: RegisterName): Ballot {
  return memory.get(register)?.promised ?? NO_BALLOT;
}
