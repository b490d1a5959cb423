// The world of the proposer's transcripts: real proposers and acceptors of one register, and the messages between them, which
// stay until they are delivered, or delivered again. `lines` is what happened, in words.

import { type AcceptorReply, type AcceptorRequest, answer, EMPTY_SLOT, type Slot } from "../acceptor.ts";
import type { Ballot, VoterId } from "../ballot.ts";
import type { Vote } from "../certificate.ts";
import { advance, begin, describeProposer, type Proposer } from "../proposer.ts";
import type { HeadStart, Operation, ProposerDeps, ProposerEffect, ProposerInput } from "../proposer-face.ts";
import type { RegisterValue } from "../value.ts";
import type { VoterList } from "../voter-list.ts";
import { describeOutcome, describeReply, describeRequest, shortBallot } from "./describe.ts";
import { idOf, letterOf, listOf } from "./voters.ts";

const REGISTER = "app/hello";

interface Sent {
  readonly to: string;
  readonly turn: number;
  readonly request: AcceptorRequest;
}

interface Answered {
  readonly from: string;
  readonly turn: number;
  readonly reply: AcceptorReply;
}

interface Desk {
  proposer: Proposer | null;
  list: VoterList;
  /** On disk. */
  round: number;
  headStart: HeadStart | null;
  sent: Sent[];
  answers: Answered[];
}

interface Seat {
  list: VoterList;
  slot: Slot;
  /** Why it refuses records; null: it reads them. */
  refusal: string | null;
}

export class World {
  readonly lines: string[] = [];
  readonly #desks = new Map<string, Desk>();
  readonly #seats = new Map<string, Seat>();

  constructor(letters: string) {
    for (const letter of letters) this.#seat(letter, listOf(letters));
  }

  begin(letter: string, operation: Operation): void {
    const desk = this.#desk(letter);
    const { headStart, list } = desk;
    desk.headStart = null;
    this.#carryOut(letter, begin({ register: REGISTER, self: idOf(letter), list, operation, headStart }));
  }

  /** The newest request of that kind and ballot to this voter reaches it; its answer waits. */
  ask(letter: string, to: string, what: string): void {
    const sent = this.#desk(letter).sent.findLast(
      (one) => one.to === to && describeRequest(one.request).startsWith(what),
    );
    if (sent === undefined) throw new Error(`${letter} sent nothing like "${what}" to ${to}`);
    const seat = this.#seats.get(to);
    if (seat === undefined) throw new Error(`no voter ${to}`);
    const context = {
      self: idOf(to),
      list: seat.list,
      sign: (_: string, ballot: Ballot, value: RegisterValue) => signature(to, ballot, value),
      refusal: () => seat.refusal,
    };
    const { reply, slot } = answer(context, seat.slot, sent.request);
    seat.slot = slot;
    this.#desk(letter).answers.push({ from: to, turn: sent.turn, reply });
    this.lines.push(`  ${to}: ${describeReply(reply)}`);
  }

  /** The newest answer of that voter reaches the proposer. */
  hear(letter: string, from: string): void {
    const heard = this.#desk(letter).answers.findLast((one) => one.from === from);
    if (heard === undefined) throw new Error(`${from} answered ${letter} nothing`);
    this.advance(letter, { kind: "reply", from: idOf(from), turn: heard.turn, reply: heard.reply });
  }

  timer(letter: string): void {
    this.advance(letter, { kind: "timer", turn: this.#desk(letter).proposer?.turn ?? 0 });
  }

  advance(letter: string, input: ProposerInput): void {
    const { proposer } = this.#desk(letter);
    if (proposer === null) {
      this.lines.push("  nobody waits for it");
      return;
    }
    const stepped = advance(proposer, input, DEPS);
    if (stepped[0] === proposer && stepped[1].length === 0) this.lines.push("  nothing");
    this.#carryOut(letter, stepped);
  }

  /** The proposer goes by this list from here on. */
  learn(letter: string, list: VoterList): void {
    const desk = this.#desk(letter);
    desk.list = list;
    if (desk.proposer !== null) this.advance(letter, { kind: "list", list });
  }

  adopt(letter: string, list: VoterList): void {
    this.#seat(letter, list).list = list;
  }

  refuse(letter: string, reason: string | null): void {
    const seat = this.#seats.get(letter);
    if (seat !== undefined) seat.refusal = reason;
  }

  /** What is only in memory is gone. */
  crash(letter: string): void {
    const desk = this.#desk(letter);
    desk.proposer = null;
    desk.headStart = null;
    desk.answers = [];
  }

  isBusy(letter: string): boolean {
    return this.#desk(letter).proposer !== null;
  }

  isAnswered(letter: string, from: string): boolean {
    return this.#desk(letter).answers.some((one) => one.from === from);
  }

  describeSlots(): readonly string[] {
    return [...this.#seats].map(
      ([
        letter,
        {
          slot: { promised, accepted },
        },
      ]) => {
        const vote =
          accepted === null ? "nothing" : `${accepted.value.epoch} at ${shortBallot(accepted.ballot)}`;
        return `  ${letter}: promised ${shortBallot(promised)}, accepted ${vote}`;
      },
    );
  }

  describeProposers(): readonly string[] {
    return [...this.#desks].map(([letter, { proposer }]) => {
      return `  ${letter}: ${proposer === null ? "no operation" : describeProposer(proposer)}`;
    });
  }

  #carryOut(letter: string, [proposer, effects]: readonly [Proposer, readonly ProposerEffect[]]): void {
    const desk = this.#desk(letter);
    desk.proposer = proposer;
    const sends = effects.filter((effect) => effect.kind === "send");
    const [first] = sends;
    if (first !== undefined) {
      desk.sent.push(...sends.map(({ to, turn, request }) => ({ to: letterOf(to), turn, request })));
      const to = sends.map((send) => letterOf(send.to)).join(" ");
      this.lines.push(`  ${describeRequest(first.request)} -> ${to}`);
    }
    for (const effect of effects) this.#carryOutOne(letter, desk, effect);
  }

  #carryOutOne(letter: string, desk: Desk, effect: ProposerEffect): void {
    switch (effect.kind) {
      case "send":
        return;
      case "schedule":
        this.lines.push(`  looks again in ${effect.delayMs} ms`);
        return;
      case "fetch-list":
        this.lines.push(`  fetches list ${effect.list}`);
        return;
      case "reserve": {
        const round = Math.max(desk.round, effect.above) + 1;
        desk.round = round + 1;
        const [ballot, next] = [round, round + 1].map((each) => ({ round: each, proposer: idOf(letter) }));
        if (ballot === undefined || next === undefined) return;
        this.lines.push(`  reserves ${shortBallot(ballot)} and ${shortBallot(next)}`);
        this.advance(letter, { kind: "reserved", turn: effect.turn, ballot, next });
        return;
      }
      case "end":
        desk.headStart = effect.headStart;
        desk.proposer = null;
        this.lines.push(`  ${describeOutcome(effect.outcome, effect.headStart)}`);
    }
  }

  #desk(letter: string): Desk {
    const list = this.#seats.get(letter)?.list;
    if (list === undefined) throw new Error(`no voter ${letter}`);
    const desk = this.#desks.get(letter) ?? {
      proposer: null,
      list,
      round: 0,
      headStart: null,
      sent: [],
      answers: [],
    };
    this.#desks.set(letter, desk);
    return desk;
  }

  #seat(letter: string, list: VoterList): Seat {
    const seat = this.#seats.get(letter) ?? { list, slot: EMPTY_SLOT, refusal: null };
    this.#seats.set(letter, seat);
    return seat;
  }
}

const DEPS: ProposerDeps = {
  random: () => 0.5,
  isSigned: (_register, voter: VoterId, vote: Vote) =>
    isSameBytes(vote.signature, signature(letterOf(voter), vote.ballot, vote.value)),
};

/** Anybody could make it; whether it holds is what the certificate's tests are for. */
function signature(letter: string, ballot: Ballot, { epoch }: RegisterValue): Uint8Array {
  return new TextEncoder().encode(`${letter} ${shortBallot(ballot)} ${epoch}`);
}

function isSameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}
