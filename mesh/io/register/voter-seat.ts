// VoterSeat: one acceptor of this member: its memory on disk, and the lists that it goes by. What it answers is on disk before
// anybody hears of it.

import type { OwnerId } from "../../core/ids.ts";
import {
  type AcceptorContext,
  type AcceptorReply,
  type AcceptorRequest,
  answer,
} from "../../register/acceptor.ts";
import type { VoterId } from "../../register/ballot.ts";
import { type RegisterName, statementBytes } from "../../register/certificate.ts";
import { type RegistersShown, showRegisters } from "../../register/settle.ts";
import { encodeLink, type VoterLink } from "../../register/voter-chain.ts";
import { type VoterList, voterOf } from "../../register/voter-list.ts";
import type { AcceptorDisk } from "./acceptor-disk.ts";
import type { RegisterContext } from "./register-context.ts";
import type { VoterDirectory } from "./voter-directory.ts";

export interface VoterSeatDeps extends RegisterContext {
  readonly disk: AcceptorDisk;
  readonly directory: VoterDirectory;
  /** Null: this release can read the record. */
  readonly refusal: (register: RegisterName, record: Uint8Array) => string | null;
}

export class VoterSeat {
  readonly #deps: VoterSeatDeps;
  readonly #unsubscribe: () => void;

  constructor(deps: VoterSeatDeps) {
    this.#deps = deps;
    for (const link of deps.directory.links) this.#keep(link);
    this.#unsubscribe = deps.directory.onAdopted((link) => this.#keep(link));
  }

  get voter(): VoterId {
    return this.#deps.disk.voter;
  }

  /** It has never promised, accepted or proposed anything. */
  get isBlank(): boolean {
    return this.#deps.disk.isBlank;
  }

  /** `count` ballot rounds in a row above `above`, on disk as used. Rejects when the disk fails. */
  rounds(above: number, count: number): Promise<number> {
    return this.#deps.disk.rounds(above, count);
  }

  /** Resolves once what it says is on disk. Rejects when the disk fails: then nobody may be answered. */
  async answer(request: AcceptorRequest, from: OwnerId): Promise<AcceptorReply> {
    const reply = this.#reply(request, from);
    this.#deps.count("register-asked");
    if (reply.kind === "nack") this.#deps.count("register-nacks");
    await this.#deps.disk.synced();
    return reply;
  }

  /** The registers in which it ever accepted anything, if it goes by the list of that number. As `answer`. */
  async registers(list: number): Promise<RegistersShown> {
    const { disk, directory } = this.#deps;
    const shown: RegistersShown =
      directory.list === undefined
        ? { kind: "nack", code: "unknown-list" }
        : showRegisters({ self: this.voter, list: directory.list }, list, disk.slots);
    await disk.synced();
    return shown;
  }

  async close(): Promise<void> {
    this.#unsubscribe();
    await this.#deps.disk.close();
  }

  /** The list that we go by is on disk before we answer under it: from then on older ones are refused for good. */
  #keep(link: VoterLink): void {
    const { number, isSettled } = link.list;
    // Two links may stand for one number; the disk reads them in this order.
    this.#deps.disk.putLink(2 * number + Number(isSettled && link.kind !== "root"), encodeLink(link));
  }

  #reply(request: AcceptorRequest, from: OwnerId): AcceptorReply {
    const { disk, directory } = this.#deps;
    const { list } = directory;
    if (list === undefined || request.list > list.number) {
      directory.fetch(from);
      return { kind: "nack", code: "unknown-list" };
    }
    if (!isSpokenFor(request, list, from)) return NOT_A_VOTER;
    const slot = disk.slot(request.register);
    const step = answer(this.#context(list), slot, request);
    if (step.slot !== slot) disk.putSlot(request.register, step.slot);
    return step.reply;
  }

  #context(list: VoterList): AcceptorContext {
    const { cluster, mesh, refusal } = this.#deps;
    const { crypto } = mesh;
    const voter = this.voter;
    return {
      self: voter,
      list,
      refusal,
      sign: (register, ballot, value) => {
        const statement = { cluster, register, list: list.number, ballot, voter, value };
        return crypto.sign(statementBytes(statement, crypto.hash));
      },
    };
  }
}

export const NOT_A_VOTER: AcceptorReply = { kind: "nack", code: "not-a-voter" };

/** A ballot may be used by the member alone that it names. Of a former list the acceptor says so itself. */
function isSpokenFor(request: AcceptorRequest, list: VoterList, from: OwnerId): boolean {
  if (request.kind === "query" || request.list < list.number) return true;
  return voterOf(list, request.ballot.proposer)?.owner === from;
}
