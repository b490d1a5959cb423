// Consequences: what follows from a move for the rest of a state: which replies are still waited for, what is chosen now, what was
// reported, and which messages and votes nothing can come of any more.

import { Memo } from "./interner.ts";
import type { Layout, State } from "./layout.ts";
import { Leftovers, type LeftoversOptions } from "./leftovers.ts";
import { ListsInForce } from "./lists-in-force.ts";
import { type Observed, observeCertificate, observeChosen, observeEnd, type Verdict } from "./observed.ts";
import type { DeskEdge, Parts, SeatEdge } from "./parts.ts";

type Fault = { readonly text: string } | null;

export class Consequences {
  readonly #parts: Parts;
  readonly #layout: Layout;
  readonly #options: LeftoversOptions;
  readonly #leftovers: Leftovers;
  readonly #lists: ListsInForce;
  readonly #isLineWhole: boolean;
  readonly #chosen = new Memo<number | string>();
  readonly #ended = new Memo<number | string>();
  readonly #endedUnsigned = new Memo<number | string>();

  constructor(parts: Parts, layout: Layout, options: LeftoversOptions) {
    this.#parts = parts;
    this.#layout = layout;
    this.#options = options;
    this.#lists = new ListsInForce(parts, layout, options.scenario.voters);
    this.#leftovers = new Leftovers(parts, layout, this.#lists, options);
    const tasks = Object.values(options.scenario.tasks).flat();
    this.#isLineWhole = !tasks.some(({ kind }) => kind === "guess" || kind === "seed");
  }

  /** Lists that anybody may learn, by number. */
  listsInForce(state: State): readonly number[] {
    return this.#lists.of(state);
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
        this.#leftovers.dropRequests(next);
      }
      for (let seat = 0; seat < layout.seats; seat += 1) this.#answer(next, seat, at);
    }
    const violation = edge.ended === null ? null : this.#observeEnd(next, edge);
    this.#leftovers.dropFloors(next);
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
      const replies = this.#leftovers.withReply(next[slot] ?? 0, reply);
      isNew ||= replies !== next[slot];
      next[slot] = replies;
    }
    if (!isNew) return "nothing";
    if (before === edge.seat) return null;
    next[layout.seatAt(at)] = edge.seat;
    const fault = this.#observeVotes(next, before, edge.seat);
    this.#leftovers.dropRequests(next);
    this.#leftovers.dropVotes(next);
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
    for (const { reply } of leaving) next[slot] = this.#leftovers.withReply(next[slot] ?? 0, reply);
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
    const needed = this.#lists.majorityOf(next, this.#parts.vote(vote).vote.list);
    let count = 0;
    for (let seat = 0; seat < this.#layout.seats; seat += 1) {
      const part = this.#parts.seat(next[this.#layout.seatAt(seat)] ?? 0);
      if (part[what].includes(vote)) count += 1;
    }
    return count >= needed;
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

  #dropReplies(next: State, desk: number): void {
    for (let seat = 0; seat < this.#layout.seats; seat += 1)
      next[this.#layout.repliesAt(seat, desk)] = this.#parts.sets.empty;
  }
}
