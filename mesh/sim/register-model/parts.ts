// Parts: all desks, seats and messages that were ever met, by number, and what follows from each, computed once by the real code.

import type { AcceptorReply, AcceptorRequest } from "../../register/acceptor.ts";
import type { VoterId } from "../../register/ballot.ts";
import { majorityOf, type VoterList, voterOf } from "../../register/voter-list.ts";
import type { Desk, DeskResult, Ended } from "./desk.ts";
import { Interner, Memo, SetInterner } from "./interner.ts";
import { headStartKey, heardKey, listKey, pairsKey, proposerKey, replyKey, requestKey } from "./keys.ts";
import { type Chosen, chosenKey, type Observed, observedKey } from "./observed.ts";
import { type Asked, isCurrent, type Seat, type SeatStep, seatKey } from "./seat.ts";

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
const SHOWS_FROM = LISTS_FROM + LISTS_MAX;
const SHOWS_MAX = 8_192;
const REPLIES_FROM = SHOWS_FROM + SHOWS_MAX;

export class Parts {
  readonly #desks = new Interner<DeskPart>();
  readonly #seats = new Interner<SeatPart>();
  readonly #texts = new Interner<null>();
  readonly #requests = new Interner<SentRequest>();
  readonly #replies = new Interner<AcceptorReply>();
  readonly #votes = new Interner<Chosen>();
  readonly #lists = new Interner<VoterList>();
  readonly #majorities = new Map<number, number>();
  readonly #observed = new Interner<Observed>();
  readonly #deskEdges = new Memo<DeskEdge | "cut" | null>();
  readonly #seatEdges: readonly Memo<SeatEdge>[];
  #ends = 0;
  /** Of small numbers: requests of former phases, replies to one desk. */
  readonly sets: SetInterner = new SetInterner();
  readonly voters: readonly VoterId[];
  readonly #letters: readonly string[];

  constructor(voters: readonly VoterId[], letters: readonly string[]) {
    this.voters = voters;
    this.#letters = letters;
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
    this.#majorities.set(list.number, majorityOf(list));
    return this.#lists.idOf(listKey(list), list);
  }

  /** Of the list of this number that was in force. */
  majorityOf(list: number): number {
    const majority = this.#majorities.get(list);
    if (majority === undefined) throw new Error(`bug: list ${list} was never in force`);
    return majority;
  }

  list(id: number): VoterList {
    return this.#lists.get(id);
  }

  observedId(observed: Observed): number {
    return this.#observed.idOf(observedKey(observed), observed);
  }

  observed(id: number): Observed {
    return this.#observed.get(id);
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
    return this.#deskEdge(id, LISTS_FROM + list, step);
  }

  replyEdge(
    id: number,
    { seat, reply }: { readonly seat: number; readonly reply: number },
    step: (desk: Desk) => DeskResult,
  ): DeskEdge | "cut" | null {
    return this.#deskEdge(id, REPLIES_FROM + seat + this.voters.length * reply, step);
  }

  /** Not remembered: it is rare. */
  edgeOf(id: number, result: DeskResult): DeskEdge | "cut" | null {
    if (result === null || result === "cut") return result;
    const desk = this.deskId(result.desk);
    if (desk === id && !result.isNewTurn && result.ended === null) return null;
    if (result.ended !== null) this.#ends += 1;
    return { desk, isNewTurn: result.isNewTurn, ended: result.ended, endedId: this.#ends };
  }

  /** Of the voter of this number. */
  requestEdge(
    voter: number,
    {
      seat,
      request,
      isAwaited,
    }: { readonly seat: number; readonly request: number; readonly isAwaited: boolean },
    step: (seat: Seat, asked: Asked) => SeatStep,
  ): SeatEdge {
    const edges = this.#seatEdges[voter];
    if (edges === undefined) throw new Error(`bug: no voter ${voter}`);
    return edges.get(seat, 2 * request + Number(isAwaited), () => {
      const { desk, request: asked } = this.request(request);
      return this.seatEdge(step(this.seat(seat).seat, { desk, id: request, request: asked, isAwaited }));
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
