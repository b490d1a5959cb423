// VoterSeat: this member's acceptor, at the mesh. Questions come as tells; each answer leaves once what it says is on disk.

import type { Logger } from "pino";
import type { OwnerId } from "../../core/ids.ts";
import type { Mesh } from "../../mesh.ts";
import {
  type AcceptorContext,
  type AcceptorReply,
  type AcceptorRequest,
  answer,
} from "../../register/acceptor.ts";
import type { VoterId } from "../../register/ballot.ts";
import { type RegisterCrypto, type RegisterName, statementBytes } from "../../register/certificate.ts";
import { decodeAsk, encodeAnswer } from "../../register/register-codec.ts";
import { encodeLink, type VoterLink } from "../../register/voter-chain.ts";
import { type VoterList, voterOf } from "../../register/voter-list.ts";
import { messageOf } from "../../result.ts";
import type { AcceptorDisk } from "./acceptor-disk.ts";
import type { VoterDirectory } from "./voter-directory.ts";

export const ASK_TOPIC = "register-ask";
export const ANSWER_TOPIC = "register-answer";

export interface VoterSeatDeps {
  readonly mesh: Mesh;
  readonly cluster: string;
  readonly disk: AcceptorDisk;
  readonly directory: VoterDirectory;
  readonly crypto: RegisterCrypto;
  /** Null: this release can read the record. */
  readonly refusal: (register: RegisterName, record: Uint8Array) => string | null;
  readonly logger: Logger;
  readonly count: (counter: "register-asked" | "register-nacks" | "register-disk-failed") => void;
}

export class VoterSeat {
  readonly #deps: VoterSeatDeps;

  constructor(deps: VoterSeatDeps) {
    this.#deps = deps;
  }

  get voter(): VoterId {
    return this.#deps.disk.voter;
  }

  start(): void {
    const { mesh, directory } = this.#deps;
    for (const link of directory.links) this.#keep(link);
    directory.onAdopted((link) => this.#keep(link));
    mesh.onTell(ASK_TOPIC, (message, from) => void this.#asked(message, from));
  }

  /** The list that we go by is on disk before we answer under it: from then on older ones are refused for good. */
  #keep(link: VoterLink): void {
    const { number, isSettled } = link.list;
    // Two links may stand for one number; the disk reads them in this order.
    this.#deps.disk.putLink(2 * number + Number(isSettled && link.kind !== "root"), encodeLink(link));
  }

  async #asked(message: Uint8Array, from: OwnerId): Promise<void> {
    const { mesh, disk, logger, count } = this.#deps;
    const ask = decodeAsk(message);
    if (!ask.ok) {
      logger.debug({ from, reason: ask.error }, "question to the register refused");
      return;
    }
    const { serial, voter, request } = ask.value;
    // It means the voter that was here before this disk.
    const reply = voter === this.voter ? this.#reply(request, from) : NOT_A_VOTER;
    count("register-asked");
    if (reply.kind === "nack") count("register-nacks");
    try {
      await disk.synced();
      mesh.tell(from, ANSWER_TOPIC, encodeAnswer({ serial, voter, reply }));
    } catch (error) {
      count("register-disk-failed");
      logger.error(
        { err: error, reason: messageOf(error) },
        "register: the voter's disk failed; it does not answer",
      );
    }
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
    const { cluster, crypto, refusal } = this.#deps;
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

const NOT_A_VOTER: AcceptorReply = { kind: "nack", code: "not-a-voter" };

/** A ballot may be used by the member alone that it names. Of a former list the acceptor says so itself. */
function isSpokenFor(request: AcceptorRequest, list: VoterList, from: OwnerId): boolean {
  if (request.kind === "query" || request.list < list.number) return true;
  return voterOf(list, request.ballot.proposer)?.owner === from;
}
