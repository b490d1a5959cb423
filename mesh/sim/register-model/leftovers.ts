// Leftovers: messages, votes and reports of which nothing can come any more. Two states that differ only by those are one.

import { compareBallots } from "../../register/ballot.ts";
import type { BreakName } from "./breaks.ts";
import { Memo } from "./interner.ts";
import type { Layout, State } from "./layout.ts";
import type { ListsInForce } from "./lists-in-force.ts";
import type { Observed } from "./observed.ts";
import type { Parts } from "./parts.ts";
import type { Scenario } from "./scenario.ts";
import { crashSeat, promisedIn } from "./seat.ts";

/** Breaks by which a voter forgets what it promised: old messages may matter again. */
const FORGETFUL: readonly BreakName[] = [
  "unsynced-acceptor",
  "unsynced-promise",
  "lost-disk",
  "second-value",
  "head-start-unpromised",
  "former-list",
];

export interface LeftoversOptions {
  readonly scenario: Scenario;
  readonly broken: ReadonlySet<BreakName>;
  /** Nothing is dropped. */
  readonly isLiteral: boolean;
  /** Whether that desk has another operation to begin. */
  readonly mayBegin: (desk: number, id: number) => boolean;
}

const NO_FLOORS: Observed["floors"] = new Map();

export class Leftovers {
  readonly #parts: Parts;
  readonly #layout: Layout;
  readonly #lists: ListsInForce;
  readonly #options: LeftoversOptions;
  readonly #isForgetful: boolean;
  readonly #isStaged: boolean;
  readonly #withoutFloors = new Memo<number>();
  readonly #crashed = new Memo<number>();

  constructor(parts: Parts, layout: Layout, lists: ListsInForce, options: LeftoversOptions) {
    this.#parts = parts;
    this.#layout = layout;
    this.#lists = lists;
    this.#options = options;
    const { scenario, broken, isLiteral } = options;
    this.#isForgetful = isLiteral || FORGETFUL.some((name) => broken.has(name));
    this.#isStaged = scenario.crashes !== null;
  }

  /** What was reported matters to operations that begin later. */
  dropFloors(next: State): void {
    if (this.#options.isLiteral) return;
    for (let desk = 0; desk < this.#layout.desks; desk += 1)
      if (this.#options.mayBegin(desk, next[desk] ?? 0)) return;
    const id = next[this.#layout.observedAt] ?? 0;
    next[this.#layout.observedAt] = this.#withoutFloors.get(id, 0, () =>
      this.#parts.observedId({ ...this.#parts.observed(id).observed, floors: NO_FLOORS }),
    );
  }

  /**
   * A voter that refuses again has promised more since: who hears only that does what it would have done after hearing both, and
   * who is to hear the first alone may hear it before the second was sent.
   */
  withReply(replies: number, reply: number): number {
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

  /** Requests of former phases that change no voter any more, whenever they come. */
  dropRequests(next: State): void {
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
    for (let voter = 0; voter < this.#layout.seats; voter += 1) {
      if (isSentTo[voter] !== true) continue;
      const seat = next[this.#layout.seatAt(voter)] ?? 0;
      if (this.#changes(voter, seat, request)) return true;
      // What is only in its memory may be gone tomorrow.
      if (this.#isStaged && this.#changes(voter, this.#afterCrash(seat), request)) return true;
    }
    return false;
  }

  #changes(voter: number, seat: number, request: number): boolean {
    const { seat: after, leaving } = this.#parts.requestEdge(voter, seat, { request, isAwaited: false });
    if (after !== seat) return true;
    const [first] = leaving;
    const reply = first === undefined ? null : this.#parts.reply(first.reply);
    // It may know that list later.
    return reply?.kind === "nack" && reply.code === "unknown-list";
  }

  #afterCrash(seat: number): number {
    return this.#crashed.get(seat, 0, () => {
      const crashed = crashSeat(this.#parts.seat(seat).seat);
      return crashed === null ? seat : this.#parts.seatId(crashed);
    });
  }

  /** Replaced votes that are chosen already, or can never be. */
  dropVotes(next: State): void {
    if (this.#isForgetful || this.#isStaged) return;
    for (let at = 0; at < this.#layout.seats; at += 1) {
      const slot = this.#layout.seatAt(at);
      for (const vote of this.#parts.seat(next[slot] ?? 0).replaced)
        if (this.#isDecided(next, vote)) next[slot] = this.#parts.forget(next[slot] ?? 0, vote);
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
    return possible < this.#lists.majorityOf(next, one.vote.list);
  }
}
