// Parts: all desks, seats and messages that were ever met, by number, and what follows from each, computed once by the real code.

import type { AcceptorReply, AcceptorRequest } from "../../register/acceptor.ts";
import type { VoterId } from "../../register/ballot.ts";
import { type VoterList, voterOf } from "../../register/voter-list.ts";
import { type Acts, type DeskSteps, findActs } from "./acts.ts";
import type { Desk, DeskResult, Ended } from "./desk.ts";
import { Interner, Memo, SetInterner } from "./interner.ts";
import { headStartKey, heardKey, listKey, pairsKey, proposerKey, replyKey, requestKey } from "./keys.ts";
import { type Chosen, chosenKey, committedIn, type Observed, observedKey } from "./observed.ts";
import { type Asked, forget, isCurrent, type Seat, type SeatStep, seatKey } from "./seat.ts";

export interface SentRequest {
  readonly desk: number;
  readonly request: AcceptorRequest;
  /** By seat. */
  readonly isSentTo: readonly boolean[];
}

interface DeskPart {
  readonly desk: Desk;
  /** Of all but what it heard of single voters. */
  readonly shared: number;
  /** By seat: what it heard of that voter. */
  readonly columns: readonly number[];
  /** What it asks; -1: nothing. */
  readonly request: number;
}

interface ObservedPart {
  readonly observed: Observed;
  readonly chosen: readonly number[];
}

interface SeatPart {
  readonly seat: Seat;
  /** Votes that were on its disk, that have left it, and that it has replaced. */
  readonly durable: readonly number[];
  readonly left: readonly number[];
  readonly replaced: readonly number[];
}

export interface DeskEdge {
  readonly desk: number;
  readonly isNewTurn: boolean;
  readonly ended: Ended | null;
  /** Of `ended`, for memos. */
  readonly endedId: number;
}

export interface SeatEdge {
  readonly seat: number;
  readonly leaving: readonly { readonly desk: number; readonly request: number; readonly reply: number }[];
}

/** What a desk may be told, as the second number of its memo. Answers come after these: `+ seat + seats * reply`. */
const ALONE = { timer: 0, "give-up": 1, restart: 2, settle: 3 } as const;
const FLOORS_FROM = 4;
/** Epochs are few: more than any model reaches. */
const FLOORS_MAX = 60;
const LISTS_FROM = FLOORS_FROM + FLOORS_MAX;
const LISTS_MAX = 64;
const REPLIES_FROM = LISTS_FROM + LISTS_MAX;

export interface PartsOptions {
  readonly voters: readonly VoterId[];
  /** Their letters. */
  readonly proposers: readonly string[];
  /** The real code, with the rules of the voter of this number. */
  readonly ask: (voter: number, seat: Seat, asked: Asked) => SeatStep;
}

/** A request by its number, and whether its proposer still waits for an answer. */
export interface Delivery {
  readonly request: number;
  readonly isAwaited: boolean;
}

export class Parts {
  readonly #desks = new Interner<DeskPart>();
  readonly #seats = new Interner<SeatPart>();
  readonly #texts = new Interner<null>();
  readonly #requests = new Interner<SentRequest>();
  readonly #replies = new Interner<AcceptorReply>();
  readonly #votes = new Interner<Chosen>();
  readonly #lists = new Interner<VoterList>();
  readonly #byNumber = new Map<number, VoterList>();
  readonly #observed = new Interner<ObservedPart>();
  readonly #certified = new Memo<{ readonly vote: number; readonly seats: readonly number[] } | null>();
  readonly #acts = new Memo<Acts>();
  readonly #deskEdges = new Memo<DeskEdge | "cut" | null>();
  readonly #seatEdges: readonly Memo<SeatEdge>[];
  #ends = 0;
  /** Of small numbers: requests of former phases, replies to one desk. */
  readonly sets: SetInterner = new SetInterner();
  readonly voters: readonly VoterId[];
  readonly #letters: readonly string[];
  readonly #ask: PartsOptions["ask"];
  readonly #forgotten = new Memo<number>();

  constructor({ voters, proposers, ask }: PartsOptions) {
    this.voters = voters;
    this.#letters = proposers;
    this.#ask = ask;
    this.#seatEdges = voters.map(() => new Memo<SeatEdge>());
  }

  deskId(desk: Desk): number {
    const shared = this.#textId(sharedKey(desk));
    const columns = this.voters.map((voter) => this.#textId(columnKey(desk, voter)));
    const key = `${shared} ${columns.join(" ")}`;
    const request = desk.asking === null ? -1 : this.#requestId(desk, desk.asking);
    return this.#desks.idOf(key, { desk, shared, columns, request });
  }

  desk(id: number): DeskPart {
    return this.#desks.get(id);
  }

  seatId(seat: Seat): number {
    const voted = (isIt: (cast: Seat["casts"][number]) => boolean) =>
      seat.casts.filter(isIt).map(this.voteId);
    return this.#seats.idOf(seatKey(seat), {
      seat,
      durable: voted(({ isDurable }) => isDurable),
      left: voted(({ hasLeft }) => hasLeft),
      replaced: voted((cast) => !isCurrent(seat, cast)),
    });
  }

  seat(id: number): SeatPart {
    return this.#seats.get(id);
  }

  request(id: number): SentRequest {
    return this.#requests.get(id);
  }

  reply(id: number): AcceptorReply {
    return this.#replies.get(id);
  }

  readonly voteId = ({ register, vote }: Chosen): number =>
    this.#votes.idOf(chosenKey({ register, vote }), { register, vote });

  vote(id: number): Chosen {
    return this.#votes.get(id);
  }

  listId(list: VoterList): number {
    this.#byNumber.set(list.number, list);
    return this.#lists.idOf(listKey(list), list);
  }

  /** The newest that was met of this number. Of one way through the states there is one. */
  listOfNumber(number: number): VoterList {
    const list = this.#byNumber.get(number);
    if (list === undefined) throw new Error(`bug: list ${number} was never in force`);
    return list;
  }

  list(id: number): VoterList {
    return this.#lists.get(id);
  }

  observedId(observed: Observed): number {
    const chosen = observed.chosen.map(this.voteId);
    return this.#observed.idOf(observedKey(observed), { observed, chosen });
  }

  observed(id: number): ObservedPart {
    return this.#observed.get(id);
  }

  /** What the ended operation says to be committed, and the seats of those who signed it. Null: nothing. */
  certified({
    ended,
    endedId,
  }: DeskEdge): { readonly vote: number; readonly seats: readonly number[] } | null {
    return this.#certified.get(endedId, 0, () => {
      const certified = ended === null ? null : committedIn(ended);
      if (certified === null) return null;
      return { vote: this.voteId(certified), seats: certified.signers.map((id) => this.voters.indexOf(id)) };
    });
  }

  // --- what follows

  aloneEdge(id: number, what: keyof typeof ALONE, step: (desk: Desk) => DeskResult): DeskEdge | "cut" | null {
    return this.#deskEdge(id, ALONE[what], step);
  }

  beginEdge(id: number, floor: number, step: (desk: Desk) => DeskResult): DeskEdge | "cut" | null {
    if (floor >= FLOORS_MAX) throw new Error(`bug: epoch ${floor}`);
    return this.#deskEdge(id, FLOORS_FROM + floor, step);
  }

  listEdge(id: number, list: number, step: (desk: Desk) => DeskResult): DeskEdge | "cut" | null {
    if (list >= LISTS_MAX) throw new Error(`bug: ${list} lists`);
    return this.#deskEdge(id, LISTS_FROM + list, step);
  }

  replyEdge(
    id: number,
    { seat, reply }: { readonly seat: number; readonly reply: number },
    step: (desk: Desk) => DeskResult,
  ): DeskEdge | "cut" | null {
    return this.#deskEdge(id, REPLIES_FROM + seat + this.voters.length * reply, step);
  }

  /** `replies`: the sets of answers that wait for the desk, by seat. */
  acts(id: number, replies: readonly number[], steps: DeskSteps): Acts {
    const waiting = this.#textId(replies.join(" "));
    return this.#acts.get(id, waiting, () => findActs(this, id, { replies, steps }));
  }

  /** Not remembered: it is rare. */
  edgeOf(id: number, result: DeskResult): DeskEdge | "cut" | null {
    if (result === null || result === "cut") return result;
    const desk = this.deskId(result.desk);
    if (desk === id && !result.isNewTurn && result.ended === null) return null;
    if (result.ended !== null) this.#ends += 1;
    return { desk, isNewTurn: result.isNewTurn, ended: result.ended, endedId: this.#ends };
  }

  /** What the seat of the voter of this number makes of a request. */
  requestEdge(voter: number, seat: number, { request, isAwaited }: Delivery): SeatEdge {
    const edges = this.#seatEdges[voter];
    if (edges === undefined) throw new Error(`bug: no voter ${voter}`);
    const column = 2 * request + Number(isAwaited);
    const known = edges.find(seat, column);
    if (known !== undefined) return known;
    const { desk, request: asked } = this.request(request);
    const step = this.#ask(voter, this.seat(seat).seat, { desk, id: request, request: asked, isAwaited });
    return edges.set(seat, column, this.seatEdge(step));
  }

  /** The seat without this vote, of which nothing can come any more. */
  forget(seat: number, vote: number): number {
    return this.#forgotten.get(seat, vote, () => {
      const from = this.seat(seat).seat;
      const casts = from.casts.filter((cast) => this.voteId(cast) === vote);
      return this.seatId(forget(from, casts));
    });
  }

  seatEdge({ seat, leaving }: SeatStep): SeatEdge {
    return {
      seat: this.seatId(seat),
      leaving: leaving.map(({ desk, request, reply }) => ({
        desk,
        request,
        reply: this.#replies.idOf(replyKey(reply), reply),
      })),
    };
  }

  #deskEdge(id: number, input: number, step: (desk: Desk) => DeskResult): DeskEdge | "cut" | null {
    return this.#deskEdges.get(id, input, () => this.edgeOf(id, step(this.desk(id).desk)));
  }

  #requestId(desk: Desk, request: AcceptorRequest): number {
    const isSentTo = this.voters.map((voter) => voterOf(desk.list, voter) !== undefined);
    const number = this.#letters.indexOf(desk.letter);
    const key = `${number} ${requestKey(request)} ${isSentTo.map(Number).join("")}`;
    return this.#requests.idOf(key, { desk: number, request, isSentTo });
  }

  #textId(text: string): number {
    return this.#texts.idOf(text, null);
  }
}

function sharedKey(desk: Desk): string {
  const { letter, list, done, running, attempts, round, headStarts, known, floor, settling, restarts } = desk;
  const proposer = running === null ? "-" : proposerKey(running);
  const settled =
    settling === null
      ? "-"
      : `${settling.list.number} ${[...settling.registers].sort()} ${[...settling.committed].sort()}`;
  const numbers = [done, attempts, round, floor, restarts].join(" ");
  const kept = [pairsKey(headStarts, headStartKey), pairsKey(known, String)];
  return [letter, listKey(list), numbers, kept, settled, proposer].join("|");
}

function columnKey({ running, settling }: Desk, voter: VoterId): string {
  const heard = running === null ? "" : heardKey(running, voter);
  return `${heard} ${settling?.shown.has(voter) ?? false}`;
}
