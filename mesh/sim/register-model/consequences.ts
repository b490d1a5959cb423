// Consequences: what follows from a move for the rest of a state: which replies are still waited for, what is chosen now, what was
// reported, and which messages and votes nothing can come of any more.

import { compareBallots } from "../../register/ballot.ts";
import { listOf } from "../../register/testing/voters.ts";
import { majorityOf } from "../../register/voter-list.ts";
import type { BreakName } from "./breaks.ts";
import { Memo } from "./interner.ts";
import type { Layout, State } from "./layout.ts";
import {
  listsInForce,
  type Observed,
  observeCertificate,
  observeChosen,
  observeEnd,
  type Verdict,
} from "./observed.ts";
import type { DeskEdge, Parts, SeatEdge } from "./parts.ts";
import type { Scenario } from "./scenario.ts";
import { promisedIn } from "./seat.ts";

/** Breaks by which a voter forgets what it promised: old messages may matter again. */
const FORGETFUL: readonly BreakName[] = [
  "unsynced-acceptor",
  "unsynced-promise",
  "lost-disk",
  "second-value",
  "head-start-unpromised",
  "former-list",
];

interface ConsequencesOptions {
  readonly scenario: Scenario;
  readonly broken: ReadonlySet<BreakName>;
  /** Nothing is left out. */
  readonly isLiteral: boolean;
  /** Whether that desk has another operation to begin. */
  readonly mayBegin: (desk: number, id: number) => boolean;
}

const NO_FLOORS: Observed["floors"] = new Map();

type Fault = { readonly text: string } | null;

export class Consequences {
  readonly #parts: Parts;
  readonly #layout: Layout;
  readonly #options: ConsequencesOptions;
  readonly #isForgetful: boolean;
  readonly #isStaged: boolean;
  readonly #isLineWhole: boolean;
  readonly #chosen = new Memo<number | string>();
  readonly #ended = new Memo<number | string>();
  readonly #endedUnsigned = new Memo<number | string>();
  readonly #withoutFloors = new Memo<number>();
  readonly #majorities = new Memo<number>();
  readonly #inForce = new Memo<readonly number[]>();

  constructor(parts: Parts, layout: Layout, options: ConsequencesOptions) {
    this.#parts = parts;
    this.#layout = layout;
    this.#options = options;
    const { scenario, broken, isLiteral } = options;
    this.#isForgetful = isLiteral || FORGETFUL.some((name) => broken.has(name));
    this.#isStaged = scenario.crashes !== null;
    const tasks = Object.values(scenario.tasks).flat();
    this.#isLineWhole = !tasks.some(({ kind }) => kind === "guess" || kind === "seed");
  }

  /** Lists that anybody may learn, by number. */
  listsInForce(state: State): readonly number[] {
    const id = state[this.#layout.observedAt] ?? 0;
    return this.#inForce.get(id, 0, () =>
      listsInForce(this.#parts.observed(id).observed).map((list) => this.#parts.listId(list)),
    );
  }

  /** Puts the desk's step into `next`; what is wrong then. */
  ofDesk(next: State, at: number, edge: DeskEdge): string | null {
    const layout = this.#layout;
    const { request } = this.#parts.desk(next[at] ?? 0);
    next[at] = edge.desk;
    if (edge.isNewTurn) {
      if (!this.#isTakenForNext(edge)) this.#dropReplies(next, at);
      if (request >= 0 && this.#parts.request(request).request.kind !== "query") {
        next[layout.formerAt] = this.#parts.sets.add(next[layout.formerAt] ?? 0, request);
        this.#dropRequests(next);
      }
      for (let seat = 0; seat < layout.seats; seat += 1) this.#answer(next, seat, at);
    }
    const violation = edge.ended === null ? null : this.#observeEnd(next, edge);
    this.#dropFloors(next);
    return violation;
  }

  /** With that break a read hears what was answered to the operation before, and its own turn has that number too. */
  #isTakenForNext({ desk, ended }: DeskEdge): boolean {
    if (!this.#options.broken.has("late-answers")) return false;
    const { request } = this.#parts.desk(desk);
    return ended !== null || (request >= 0 && this.#parts.request(request).request.kind === "query");
  }

  /** Puts the seat's step into `next`; "nothing" if nothing is new by it, else what is wrong then. */
  ofSeat(next: State, at: number, edge: SeatEdge): Fault | "nothing" {
    const layout = this.#layout;
    const before = next[layout.seatAt(at)] ?? 0;
    let isNew = before !== edge.seat;
    for (const { desk, request, reply } of edge.leaving) {
      if (this.#parts.desk(next[desk] ?? 0).request !== request) continue;
      const slot = layout.repliesAt(at, desk);
      const replies = this.#withReply(next[slot] ?? 0, reply);
      isNew ||= replies !== next[slot];
      next[slot] = replies;
    }
    if (!isNew) return "nothing";
    if (before === edge.seat) return null;
    next[layout.seatAt(at)] = edge.seat;
    const fault = this.#observeVotes(next, before, edge.seat);
    this.#dropRequests(next);
    this.#dropVotes(next);
    for (let desk = 0; desk < layout.desks; desk += 1) this.#answer(next, at, desk);
    return fault;
  }

  /**
   * A question that changes nothing at the voter may have reached it at any time, also just now: its answer is there from the moment
   * on when it could be, for the proposer to hear or not.
   */
  #answer(next: State, at: number, desk: number): void {
    const { request } = this.#parts.desk(next[desk] ?? 0);
    if (this.#options.isLiteral) return;
    if (request < 0 || this.#parts.request(request).isSentTo[at] !== true) return;
    const seat = next[this.#layout.seatAt(at)] ?? 0;
    const { seat: after, leaving } = this.#parts.requestEdge(at, seat, { request, isAwaited: true });
    if (after !== seat) return;
    const slot = this.#layout.repliesAt(at, desk);
    for (const { reply } of leaving) next[slot] = this.#withReply(next[slot] ?? 0, reply);
  }

  /**
   * A voter that refuses again has promised more since: who hears only that does what it would have done after hearing both, and
   * who is to hear the first alone may hear it before the second was sent.
   */
  #withReply(replies: number, reply: number): number {
    const { sets } = this.#parts;
    if (this.#isForgetful || !this.#isOutdated(reply)) return sets.add(replies, reply);
    const others = sets.get(replies).filter((other) => other !== reply && this.#isOutdated(other));
    return sets.add(
      others.reduce((kept, other) => sets.remove(kept, other), replies),
      reply,
    );
  }

  #isOutdated(reply: number): boolean {
    const answered = this.#parts.reply(reply);
    return answered.kind === "nack" && answered.code === "outdated";
  }

  // --- what is observed

  #observeVotes(next: State, before: number, after: number): Fault {
    const { durable, left } = this.#parts.seat(after);
    const old = this.#parts.seat(before);
    for (const vote of durable) {
      if (old.durable.includes(vote) || !this.#isMajority(next, vote, "durable")) continue;
      const isLineWhole = this.#isLineWhole;
      const fault = this.#observe(next, this.#chosen, vote, (observed) =>
        observeChosen(observed, this.#parts.vote(vote), { isLineWhole }),
      );
      if (fault !== null) return fault;
    }
    for (const vote of left) {
      if (old.left.includes(vote) || !this.#isMajority(next, vote, "left")) continue;
      const id = next[this.#layout.observedAt] ?? 0;
      const verdict = observeCertificate(this.#parts.observed(id).observed, this.#parts.vote(vote));
      if ("violation" in verdict) return { text: verdict.violation };
    }
    return null;
  }

  #observe(
    next: State,
    memo: Memo<number | string>,
    what: number,
    judge: (observed: Observed) => Verdict,
  ): Fault {
    const id = next[this.#layout.observedAt] ?? 0;
    const result = memo.get(id, what, () => {
      const verdict = judge(this.#parts.observed(id).observed);
      return "violation" in verdict ? verdict.violation : this.#parts.observedId(verdict);
    });
    if (typeof result === "string") return { text: result };
    next[this.#layout.observedAt] = result;
    return null;
  }

  #isMajority(next: State, vote: number, what: "durable" | "left"): boolean {
    const needed = this.#majorityOf(next, this.#parts.vote(vote).vote.list);
    let count = 0;
    for (let seat = 0; seat < this.#layout.seats; seat += 1) {
      const part = this.#parts.seat(next[this.#layout.seatAt(seat)] ?? 0);
      if (part[what].includes(vote)) count += 1;
    }
    return count >= needed;
  }

  /** Of the list of this number that is in force in this state: another way may have brought another. */
  #majorityOf(next: State, list: number): number {
    const id = next[this.#layout.observedAt] ?? 0;
    return this.#majorities.get(id, list, () => {
      const lists = [
        listOf(this.#options.scenario.voters),
        ...listsInForce(this.#parts.observed(id).observed),
      ];
      const inForce = lists.find(({ number }) => number === list);
      if (inForce === undefined)
        throw new Error(`bug: somebody voted under list ${list}, which is not in force`);
      return majorityOf(inForce);
    });
  }

  #observeEnd(next: State, edge: DeskEdge): string | null {
    const { ended, endedId } = edge;
    if (ended === null) return null;
    const certified = this.#parts.certified(edge);
    const isSigned = certified?.seats.every((seat) => this.#hasVoted(next, seat, certified.vote)) ?? true;
    const memo = isSigned ? this.#ended : this.#endedUnsigned;
    return (
      this.#observe(next, memo, endedId, (observed) => observeEnd(observed, ended, isSigned))?.text ?? null
    );
  }

  /** Votes of which nothing can come are forgotten, so a vote that is chosen counts for all. */
  #hasVoted(next: State, seat: number, vote: number): boolean {
    if (this.#parts.observed(next[this.#layout.observedAt] ?? 0).chosen.includes(vote)) return true;
    return this.#parts.seat(next[this.#layout.seatAt(seat)] ?? 0).left.includes(vote);
  }

  // --- what is of no use any more

  /** What was reported matters to operations that begin later. */
  #dropFloors(next: State): void {
    if (this.#options.isLiteral) return;
    for (let desk = 0; desk < this.#layout.desks; desk += 1)
      if (this.#options.mayBegin(desk, next[desk] ?? 0)) return;
    const id = next[this.#layout.observedAt] ?? 0;
    next[this.#layout.observedAt] = this.#withoutFloors.get(id, 0, () =>
      this.#parts.observedId({ ...this.#parts.observed(id).observed, floors: NO_FLOORS }),
    );
  }

  #dropReplies(next: State, desk: number): void {
    for (let seat = 0; seat < this.#layout.seats; seat += 1)
      next[this.#layout.repliesAt(seat, desk)] = this.#parts.sets.empty;
  }

  /** Requests of former phases that change no voter any more, whenever they come. */
  #dropRequests(next: State): void {
    if (this.#isForgetful) return;
    const { sets } = this.#parts;
    const former = next[this.#layout.formerAt] ?? 0;
    for (const request of sets.get(former)) {
      if (this.#isOfUse(next, request)) continue;
      next[this.#layout.formerAt] = sets.remove(next[this.#layout.formerAt] ?? 0, request);
    }
  }

  #isOfUse(next: State, request: number): boolean {
    const { isSentTo } = this.#parts.request(request);
    const delivery = { request, isAwaited: false };
    for (let voter = 0; voter < this.#layout.seats; voter += 1) {
      if (isSentTo[voter] !== true) continue;
      const seat = next[this.#layout.seatAt(voter)] ?? 0;
      const { seat: after, leaving } = this.#parts.requestEdge(voter, seat, delivery);
      if (after !== seat) return true;
      const [first] = leaving;
      const reply = first === undefined ? null : this.#parts.reply(first.reply);
      if (reply?.kind === "nack" && reply.code === "unknown-list") return true;
    }
    return false;
  }

  /** Replaced votes that are chosen already, or can never be. */
  #dropVotes(next: State): void {
    if (this.#isForgetful || this.#isStaged) return;
    const { seats } = this.#layout;
    for (let at = 0; at < seats; at += 1) {
      const id = next[this.#layout.seatAt(at)] ?? 0;
      for (const vote of this.#parts.seat(id).replaced) {
        if (!this.#isDecided(next, vote)) continue;
        const slot = this.#layout.seatAt(at);
        next[slot] = this.#parts.forget(next[slot] ?? 0, vote);
      }
    }
  }

  #isDecided(next: State, vote: number): boolean {
    if (this.#parts.observed(next[this.#layout.observedAt] ?? 0).chosen.includes(vote)) return true;
    const one = this.#parts.vote(vote);
    let possible = 0;
    for (let at = 0; at < this.#layout.seats; at += 1) {
      const { seat, durable } = this.#parts.seat(next[this.#layout.seatAt(at)] ?? 0);
      const isOpen =
        seat.list.number <= one.vote.list &&
        compareBallots(promisedIn(seat, one.register), one.vote.ballot) <= 0;
      if (isOpen || durable.includes(vote)) possible += 1;
    }
    return possible < this.#majorityOf(next, one.vote.list);
  }
}
