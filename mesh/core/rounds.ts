// Rounds: the digests, summaries and pulls that wait for their answer. At most one for a peer, and one pull for an owner: what comes
// up meanwhile is remembered as "again". Of digests at most a few at once: peers beyond that wait for their turn. A round
// number is a token: an answer to a round that is over decides nothing. A sync that still has to be answered by the peer's
// own digest is parked until that came.

import { ROUND_TIMEOUT_MS, ROUNDS_AT_ONCE_MAX } from "../limits.ts";
import type { OwnerId } from "./ids.ts";

/** A `Mesh.sync`; chosen by the shell. */
export type SyncId = number;

/** A sync that waits for a round to end. */
export interface Waiter {
  readonly id: SyncId;
  /** How often the peer was sent all that it lacked before this round: its answer shows that it read that. */
  readonly told: number;
}

export interface Round {
  readonly round: number;
  readonly peer: OwnerId;
  /** Undefined: a digest of everything, or a summary. */
  readonly pulled: OwnerId | undefined;
  /** Only whether anything differs was asked. */
  readonly isSummary: boolean;
  /** What our store was when we asked. */
  readonly revision: number;
  readonly waiters: readonly Waiter[];
  readonly begunAtMs: number;
  /** Asked for once more while it ran: what was meant may be newer than its answer. */
  again: boolean;
  /** While it ran we sent the peer all that it lacked. */
  wasTold: boolean;
  /** Came while it ran: they wait for the round after it. */
  readonly nextWaiters: Waiter[];
}

export interface RoundRequest {
  readonly peer: OwnerId;
  readonly pulled?: OwnerId | undefined;
  readonly isSummary?: boolean;
  readonly revision: number;
  readonly waiters: readonly Waiter[];
}

/** What was given up: how many rounds, and the syncs that waited for them or were parked. */
export interface Lost {
  readonly rounds: number;
  readonly syncs: readonly SyncId[];
}

interface Parked {
  readonly waiter: Waiter;
  readonly peer: OwnerId;
  readonly begunAtMs: number;
}

export class Rounds {
  readonly #open = new Map<number, Round>();
  readonly #askedBackAt = new Map<OwnerId, number>();
  /** Peers that are to be asked when a round of another ends. */
  readonly #waiting = new Set<OwnerId>();
  #parked: readonly Parked[] = [];
  #last = 0;

  /** The new round, or undefined when one like it is open, which is followed by another, or too many of others are. */
  begin(request: RoundRequest, nowMs: number): Round | undefined {
    const running = this.#running(request);
    if (running !== undefined) {
      running.again = true;
      running.nextWaiters.push(...request.waiters);
      return undefined;
    }
    const isPull = request.pulled !== undefined;
    // A sync that somebody waits for goes at once.
    if (!isPull && request.waiters.length === 0 && this.#isFull()) {
      this.#waiting.add(request.peer);
      return undefined;
    }
    // A pull asks for one owner: who waits to ask for all goes on waiting.
    if (!isPull) this.#waiting.delete(request.peer);
    this.#last += 1;
    const round: Round = {
      round: this.#last,
      peer: request.peer,
      pulled: request.pulled,
      isSummary: request.isSummary === true,
      revision: request.revision,
      waiters: request.waiters,
      begunAtMs: nowMs,
      again: false,
      wasTold: false,
      nextWaiters: [],
    };
    this.#open.set(round.round, round);
    return round;
  }

  /** Takes the next peer that waited for its turn, if there is room for it. */
  takeWaiting(): OwnerId | undefined {
    const [next] = this.#waiting;
    if (next === undefined || this.#isFull()) return undefined;
    this.#waiting.delete(next);
    return next;
  }

  /** Takes the round that `peer` answered; undefined if it is over, or was somebody else's. */
  end(number: number, peer: OwnerId): Round | undefined {
    const round = this.#open.get(number);
    if (round?.peer !== peer) return undefined;
    this.#open.delete(number);
    return round;
  }

  /**
   * Whether to answer a digest that shows more than we hold with ours. Not if we did at this revision: either we still wait for
   * what it says, or we gained nothing, since we refuse what it holds (a bound). If it refused ours too, the two digests would call
   * for each other for ever.
   */
  askBack(peer: OwnerId, revision: number): "ask" | "asked" | "refused" {
    const isFirst = this.#askedBackAt.get(peer) !== revision;
    this.#askedBackAt.set(peer, revision);
    if (isFirst) return "ask";
    const isAsked = this.#waiting.has(peer) || this.#running({ peer, pulled: undefined }) !== undefined;
    return isAsked ? "asked" : "refused";
  }

  /** The next second: what was asked back in vain may be again. */
  forgetAskedBack(peer: OwnerId): void {
    this.#askedBackAt.delete(peer);
  }

  /** We sent `peer` all that it lacked: the syncs that were parked for it, and a round that runs takes note. */
  told(peer: OwnerId): readonly Waiter[] {
    const running = this.#running({ peer, pulled: undefined });
    if (running !== undefined) running.wasTold = true;
    return this.#takeParked((parked) => parked.peer === peer);
  }

  /** Until the peer's own digest came and was answered. */
  park(peer: OwnerId, waiter: Waiter, nowMs: number): void {
    this.#parked = [...this.#parked, { waiter, peer, begunAtMs: nowMs }];
  }

  /** Takes all that waited too long. */
  expire(nowMs: number): Lost {
    return this.#takeAll(({ begunAtMs }) => nowMs - begunAtMs >= ROUND_TIMEOUT_MS);
  }

  /** Takes all that is with a peer that was lost. */
  drop(lost: OwnerId): Lost {
    this.#askedBackAt.delete(lost);
    this.#waiting.delete(lost);
    return this.#takeAll(({ peer }) => peer === lost);
  }

  get size(): number {
    return this.#open.size;
  }

  #isFull(): boolean {
    let digests = 0;
    for (const { pulled } of this.#open.values()) digests += Number(pulled === undefined);
    return digests >= ROUNDS_AT_ONCE_MAX;
  }

  #running({ peer, pulled }: Pick<RoundRequest, "peer" | "pulled">): Round | undefined {
    for (const round of this.#open.values()) {
      const isLike = pulled === undefined ? round.peer === peer : true;
      if (isLike && round.pulled === pulled) return round;
    }
    return undefined;
  }

  #takeAll(isTaken: (waiting: Pick<Round, "peer" | "begunAtMs">) => boolean): Lost {
    const taken = [...this.#open.values()].filter(isTaken);
    for (const { round, peer } of taken) {
      this.#open.delete(round);
      this.#askedBackAt.delete(peer);
    }
    const waiters = taken.flatMap((round) => [...round.waiters, ...round.nextWaiters]);
    return { rounds: taken.length, syncs: [...waiters, ...this.#takeParked(isTaken)].map(({ id }) => id) };
  }

  #takeParked(isTaken: (parked: Parked) => boolean): readonly Waiter[] {
    const taken = this.#parked.filter(isTaken);
    if (taken.length > 0) this.#parked = this.#parked.filter((parked) => !isTaken(parked));
    return taken.map(({ waiter }) => waiter);
  }
}
