// Seat: the real acceptor of one process, at its disk, as mesh/io/register/voter-seat.ts has it: each answer leaves once what it says is
// on disk. The breaks of acceptors are here.

import {
  type AcceptorContext,
  type AcceptorReply,
  type AcceptorRequest,
  answer,
} from "../../register/acceptor.ts";
import type { VoterId } from "../../register/ballot.ts";
import {
  type RegisterCrypto,
  type RegisterName,
  statementBytes,
  type Vote,
} from "../../register/certificate.ts";
import type { AskMessage } from "../../register/register-codec.ts";
import { showRegisters } from "../../register/settle.ts";
import { describeReply, describeRequest } from "../../register/testing/describe.ts";
import { encodeLink, type VoterLink } from "../../register/voter-chain.ts";
import type { VoterList } from "../../register/voter-list.ts";
import type { Clock } from "./clock.ts";
import { CLUSTER } from "./crypto.ts";
import type { Directory } from "./directory.ts";
import type { Disk } from "./disk.ts";
import type { Message, Send } from "./messages.ts";

export interface SeatDeps {
  readonly clock: Clock;
  readonly self: number;
  readonly disk: Disk;
  readonly directory: Directory;
  readonly crypto: RegisterCrypto;
  readonly send: Send;
  /** A vote of this voter has left it, with its signature. */
  readonly onLeft: (register: RegisterName, vote: Vote) => void;
}

const NOT_A_VOTER: AcceptorReply = { kind: "nack", code: "not-a-voter" };

export class Seat {
  readonly #deps: SeatDeps;

  constructor(deps: SeatDeps) {
    this.#deps = deps;
    for (const link of deps.directory.links) this.#keep(link);
    deps.directory.onAdopted((link) => this.#keep(link));
  }

  get voter(): VoterId {
    return this.#deps.disk.voter;
  }

  asked({ ask }: Extract<Message, { kind: "ask" }>, from: number): void {
    const { voter, request } = ask;
    // It means the voter that was here before this disk.
    const reply = voter === this.voter ? this.#reply(request, from) : NOT_A_VOTER;
    if (this.#leavesAtOnce(request)) this.#leave(ask, reply, from);
    else this.#deps.disk.synced(() => this.#leave(ask, reply, from));
  }

  show({ serial, voter, list }: Extract<Message, { kind: "show" }>, from: number): void {
    const { disk, directory, send } = this.#deps;
    const known = directory.list;
    if (known === undefined || list > known.number) directory.fetch(from);
    const isAsked = voter === this.voter && known !== undefined;
    const reply = isAsked
      ? showRegisters({ self: voter, list: known }, list, disk.slots)
      : ({ kind: "nack", code: "not-a-voter" } as const);
    // The list by which it refuses the former is on disk first.
    disk.synced(() => send(from, { kind: "shown", serial, voter, reply }));
  }

  #keep(link: VoterLink): void {
    const { number, isSettled } = link.list;
    this.#deps.disk.putLink(2 * number + Number(isSettled && link.kind !== "root"), encodeLink(link));
  }

  #leavesAtOnce(request: AcceptorRequest): boolean {
    const { clock } = this.#deps;
    if (clock.isBroken("unsynced-acceptor")) return true;
    return clock.isBroken("unsynced-read") && request.kind === "query";
  }

  #leave({ serial, voter, request }: AskMessage, reply: AcceptorReply, from: number): void {
    const { clock, self, send, onLeft } = this.#deps;
    const { register } = request;
    const vote = voteIn(reply);
    if (vote !== null) onLeft(register, vote);
    clock.tell(
      register,
      () => `host-${self} to host-${from}'s ${describeRequest(request)}: ${describeReply(reply)}`,
    );
    send(from, { kind: "answer", answer: { serial, voter, reply } });
  }

  #reply(request: AcceptorRequest, from: number): AcceptorReply {
    const { disk, directory, clock } = this.#deps;
    const { list } = directory;
    if (list === undefined || request.list > list.number) {
      clock.counts.unknownLists += 1;
      directory.fetch(from);
      return { kind: "nack", code: "unknown-list" };
    }
    const slot = disk.slot(request.register);
    const step = answer(this.#context(this.#listFor(request, list)), slot, request);
    const promisesLess = clock.isBroken("head-start-unpromised") && request.kind === "accept";
    if (step.slot !== slot)
      disk.putSlot(request.register, promisesLess ? { ...step.slot, promised: request.ballot } : step.slot);
    if (step.reply.kind === "nack" && step.reply.code === "former-list") clock.counts.formerLists += 1;
    const isHidden = clock.isBroken("hidden-vote") && step.reply.kind === "promise";
    return isHidden ? { ...step.reply, accepted: null } : step.reply;
  }

  /** Without the fence it answers those that go by a list that it once had. */
  #listFor(request: AcceptorRequest, list: VoterList): VoterList {
    const { clock, directory } = this.#deps;
    const isFenced = !clock.isBroken("former-list") || request.list === list.number;
    return isFenced ? list : (directory.listOf(request.list) ?? list);
  }

  #context(list: VoterList): AcceptorContext {
    const { crypto } = this.#deps;
    const { voter } = this;
    return {
      self: voter,
      list,
      refusal: () => null,
      sign: (register, ballot, value) => {
        const statement = { cluster: CLUSTER, register, list: list.number, ballot, voter, value };
        return crypto.sign(statementBytes(statement, crypto.hash));
      },
    };
  }
}

function voteIn(reply: AcceptorReply): Vote | null {
  if (reply.kind === "accepted") return reply.vote;
  return reply.kind === "nack" ? null : reply.accepted;
}
