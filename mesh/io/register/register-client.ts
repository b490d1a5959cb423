// RegisterClient: runs operations on registers to their end, over the mesh. Operations on one register wait for each other: a
// ballot and a head start are one operation's alone.

import type { OwnerId } from "../../core/ids.ts";
import type { VoterId } from "../../register/ballot.ts";
import type { Vote } from "../../register/certificate.ts";
import { type RegisterCrypto, type RegisterName, statementBytes } from "../../register/certificate.ts";
import { advance, begin, type Proposer } from "../../register/proposer.ts";
import type {
  HeadStart,
  Operation,
  Outcome,
  ProposerDeps,
  ProposerEffect,
  ProposerInput,
} from "../../register/proposer-face.ts";
import { decodeAnswer, encodeAsk } from "../../register/register-codec.ts";
import { type VoterList, voterOf } from "../../register/voter-list.ts";
import type { RegisterContext } from "./register-context.ts";
import type { VoterDirectory } from "./voter-directory.ts";
import type { VoterSeat } from "./voter-seat.ts";

/** Questions to acceptors, and their answers. */
export const ASK_TOPIC = "register-ask";
export const ANSWER_TOPIC = "register-answer";

export interface RegisterClientDeps extends RegisterContext {
  readonly directory: VoterDirectory;
  /** That proposes; undefined: we are no voter now. */
  readonly seat: () => Pick<VoterSeat, "voter" | "rounds"> | undefined;
  readonly random: () => number;
}

/** One operation under way. */
interface Running {
  readonly serial: number;
  readonly seat: Pick<VoterSeat, "voter" | "rounds">;
  proposer: Proposer;
  readonly timers: Set<NodeJS.Timeout>;
  readonly ended: PromiseWithResolvers<Outcome>;
}

export class RegisterClient {
  readonly #deps: RegisterClientDeps;
  readonly #proposerDeps: ProposerDeps;
  readonly #running = new Map<number, Running>();
  /** The end of the last operation on a register that was begun. */
  readonly #lines = new Map<RegisterName, Promise<unknown>>();
  readonly #headStarts = new Map<RegisterName, HeadStart>();
  #lastSerial = 0;
  #isStopped = false;

  constructor(deps: RegisterClientDeps) {
    this.#deps = deps;
    const { cluster, directory } = deps;
    const { crypto } = deps.mesh;
    this.#proposerDeps = {
      random: deps.random,
      isSigned: (register, voter, vote) =>
        isSigned({ cluster, crypto, directory }, { register, voter, vote }),
    };
  }

  start(): void {
    const { mesh, directory } = this.#deps;
    mesh.onTell(ANSWER_TOPIC, (message, from) => this.#answered(message, from));
    directory.onAdopted(() => this.#listChanged());
  }

  /** Ends all that runs, as an abort does; nothing is begun any more. */
  stop(): void {
    this.#isStopped = true;
    for (const running of [...this.#running.values()]) this.#step(running, { kind: "give-up" });
  }

  /** Never rejects. Aborted: `unknown` if anything of it may have been committed, else `unavailable`. */
  async operate(register: RegisterName, operation: Operation, signal: AbortSignal): Promise<Outcome> {
    const before = this.#lines.get(register) ?? Promise.resolve();
    const outcome = before.then(() => this.#operate(register, operation, signal));
    this.#lines.set(register, outcome);
    const ended = await outcome;
    if (this.#lines.get(register) === outcome) this.#lines.delete(register);
    return ended;
  }

  async #operate(register: RegisterName, operation: Operation, signal: AbortSignal): Promise<Outcome> {
    const { directory, count } = this.#deps;
    const { list } = directory;
    if (list === undefined) return { kind: "refused", reason: "this cluster has no voters yet" };
    const seat = this.#deps.seat();
    if (seat === undefined) return { kind: "refused", reason: "this host is no voter any more" };
    if (signal.aborted || this.#isStopped) return { kind: "unavailable", missing: [] };
    count("register-operations");
    const headStart = this.#headStarts.get(register) ?? null;
    this.#headStarts.delete(register);
    this.#lastSerial += 1;
    const [proposer, effects] = begin({ register, self: seat.voter, list, operation, headStart });
    const ended = Promise.withResolvers<Outcome>();
    const running: Running = { serial: this.#lastSerial, seat, proposer, timers: new Set(), ended };
    this.#running.set(running.serial, running);
    const giveUp = (): void => this.#step(running, { kind: "give-up" });
    signal.addEventListener("abort", giveUp, { once: true });
    this.#perform(running, effects);
    const outcome = await ended.promise;
    signal.removeEventListener("abort", giveUp);
    return outcome;
  }

  #step(running: Running, input: ProposerInput): void {
    const [proposer, effects] = advance(running.proposer, input, this.#proposerDeps);
    running.proposer = proposer;
    this.#perform(running, effects);
  }

  #perform(running: Running, effects: readonly ProposerEffect[]): void {
    for (const effect of effects) this.#performOne(running, effect);
  }

  #performOne(running: Running, effect: ProposerEffect): void {
    switch (effect.kind) {
      case "send":
        this.#send(running, effect);
        return;
      case "reserve":
        void this.#reserve(running, effect);
        return;
      case "schedule":
        this.#schedule(running, effect);
        return;
      case "fetch-list":
        this.#fetchList(effect);
        return;
      case "end":
        this.#end(running, effect);
    }
  }

  #send(
    { serial, proposer }: Running,
    { to, turn, request }: Extract<ProposerEffect, { kind: "send" }>,
  ): void {
    const owner = voterOf(proposer.list, to)?.owner;
    if (owner === undefined) return;
    // The turn comes back with the answer: both are one number on the wire.
    const message = { serial: serial * TURNS_MAX + turn, voter: to, request };
    this.#deps.mesh.tell(owner, ASK_TOPIC, encodeAsk(message));
  }

  #answered(message: Uint8Array, from: OwnerId): void {
    const answer = decodeAnswer(message);
    if (!answer.ok) return;
    const { serial, voter, reply } = answer.value;
    const running = this.#running.get(Math.floor(serial / TURNS_MAX));
    // Nobody answers for another.
    if (running === undefined || voterOf(running.proposer.list, voter)?.owner !== from) return;
    if (reply.kind === "nack" && reply.code === "outdated") this.#deps.count("register-duels");
    this.#step(running, { kind: "reply", from: voter, turn: serial % TURNS_MAX, reply });
  }

  /** A disk that fails leaves the operation without ballots, until its caller gives up. */
  async #reserve(
    running: Running,
    { turn, above }: Extract<ProposerEffect, { kind: "reserve" }>,
  ): Promise<void> {
    const { seat } = running;
    const first = await seat.rounds(above, 2).catch(() => undefined);
    if (first === undefined) return;
    const [ballot, next] = [first, first + 1].map((round) => ({ round, proposer: seat.voter }));
    if (ballot !== undefined && next !== undefined)
      this.#step(running, { kind: "reserved", turn, ballot, next });
  }

  #schedule(running: Running, { turn, delayMs }: Extract<ProposerEffect, { kind: "schedule" }>): void {
    const timer = setTimeout(() => {
      running.timers.delete(timer);
      this.#step(running, { kind: "timer", turn });
    }, delayMs);
    running.timers.add(timer);
  }

  #fetchList({ list }: Extract<ProposerEffect, { kind: "fetch-list" }>): void {
    const { directory } = this.#deps;
    if ((directory.list?.number ?? 0) >= list) this.#listChanged();
    for (const { owner } of directory.list?.voters ?? []) directory.fetch(owner);
  }

  #listChanged(): void {
    const { list } = this.#deps.directory;
    if (list === undefined) return;
    for (const running of [...this.#running.values()]) this.#step(running, { kind: "list", list });
  }

  #end(running: Running, { outcome, headStart }: Extract<ProposerEffect, { kind: "end" }>): void {
    for (const timer of running.timers) clearTimeout(timer);
    this.#running.delete(running.serial);
    if (headStart !== null) this.#headStarts.set(running.proposer.options.register, headStart);
    running.ended.resolve(outcome);
  }
}

/** Turns of one operation: some tens at most, since each is a round trip or a wait. */
const TURNS_MAX = 2 ** 16;

function isSigned(
  {
    cluster,
    crypto,
    directory,
  }: Pick<RegisterClientDeps, "cluster" | "directory"> & { readonly crypto: RegisterCrypto },
  {
    register,
    voter,
    vote,
  }: { readonly register: RegisterName; readonly voter: VoterId; readonly vote: Vote },
): boolean {
  const list: VoterList | undefined = directory.listOf(vote.list);
  const owner = list === undefined ? undefined : voterOf(list, voter)?.owner;
  if (owner === undefined) return false;
  const { ballot, value } = vote;
  const statement = { cluster, register, list: vote.list, ballot, voter, value };
  return crypto.verify(owner, statementBytes(statement, crypto.hash), vote.signature);
}
