// Operations: the real proposer of one process, as mesh/io/register/register-client.ts runs it: operations on one register wait for
// each other, a head start is the next one's alone, rounds are on disk before they are used. The breaks of proposers are here.

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
import type { AnswerMessage } from "../../register/register-codec.ts";
import { describeOutcome, describeRequest } from "../../register/testing/describe.ts";
import { voterOf } from "../../register/voter-list.ts";
import type { Clock } from "./clock.ts";
import { CLUSTER } from "./crypto.ts";
import type { Directory } from "./directory.ts";
import type { Disk } from "./disk.ts";
import type { Message, Send } from "./messages.ts";
import { hostOf, ownerOf } from "./names.ts";

/** Turns of one operation; both are one number on the wire. */
const TURNS_MAX = 2 ** 16;

export interface OperationsDeps {
  readonly clock: Clock;
  readonly self: number;
  readonly disk: Disk;
  readonly directory: Directory;
  readonly crypto: RegisterCrypto;
  readonly send: Send;
  /** It is about to ask others to accept a swap: from here on nobody knows what becomes of it if we crash. */
  readonly onPropose: () => void;
  /** Sees each end before whoever waits for it. */
  readonly judge: {
    /** The highest epoch that was reported so far. */
    floor(register: RegisterName): number;
    ended(ended: Ended): void;
  };
}

export interface Asked {
  readonly register: RegisterName;
  readonly operation: Operation;
  /** Then nobody waits any longer. */
  readonly withinMs: number;
}

export interface Ended {
  readonly register: RegisterName;
  readonly operation: Operation;
  readonly outcome: Outcome;
  /** Number of the list that it went by. */
  readonly list: number;
  /** The highest epoch that had been reported to anybody when it began. */
  readonly floor: number;
}

/** Not called if the process ends before. */
type Then = (ended: Ended) => void;

interface Waiting extends Asked {
  readonly untilMs: number;
  readonly then: Then;
}

interface Running {
  readonly serial: number;
  readonly waiting: Waiting;
  readonly floor: number;
  proposer: Proposer;
}

export class Operations {
  readonly #deps: OperationsDeps;
  readonly #proposerDeps: ProposerDeps;
  readonly #running = new Map<number, Running>();
  /** Of each register under way those that wait, after the one that runs. */
  readonly #lines = new Map<RegisterName, Waiting[]>();
  readonly #headStarts = new Map<RegisterName, HeadStart>();
  #lastSerial = 0;
  #isUp = true;

  constructor(deps: OperationsDeps) {
    this.#deps = deps;
    const { clock } = deps;
    this.#proposerDeps = {
      random: clock.random,
      isMixed: clock.isBroken("mixed-ballot-certificate"),
      isSigned: (...signed) => clock.isBroken("one-answer-read") || this.#isSigned(...signed),
    };
    deps.directory.onAdopted(() => this.#listChanged());
  }

  operate(asked: Asked, then: Then): void {
    const waiting = { ...asked, untilMs: this.#deps.clock.nowMs + asked.withinMs, then };
    const line = this.#lines.get(asked.register);
    if (line !== undefined) {
      line.push(waiting);
      return;
    }
    this.#lines.set(asked.register, []);
    this.#begin(waiting);
  }

  answered({ answer }: Extract<Message, { kind: "answer" }>, from: number): void {
    const running = this.#runningOf(answer);
    if (running === undefined) {
      this.#deps.clock.counts.late += 1;
      return;
    }
    const { voter, serial, reply } = answer;
    // Nobody answers for another.
    if (voterOf(running.proposer.list, voter)?.owner !== ownerOf(from)) return;
    if (reply.kind === "nack" && reply.code === "outdated") this.#deps.clock.counts.duels += 1;
    const turn = serial % TURNS_MAX;
    const isBelieved = this.#deps.clock.isBroken("one-answer-read") && reply.kind === "state";
    // As if all had said what one did.
    const speakers = isBelieved ? running.proposer.list.voters.map(({ id }) => id) : [voter];
    for (const speaker of speakers) this.#step(running, { kind: "reply", from: speaker, turn, reply });
  }

  /** The process ends: how many were under way. */
  stop(): number {
    this.#isUp = false;
    return this.#running.size;
  }

  #runningOf({ serial }: AnswerMessage): Running | undefined {
    const number = Math.floor(serial / TURNS_MAX);
    const running = this.#running.get(number);
    if (running !== undefined || !this.#deps.clock.isBroken("late-answers")) return running;
    // Whoever asks next hears it.
    return this.#running
      .values()
      .find((one) => one.serial > number && this.#registers.get(number) === one.waiting.register);
  }

  /** By serial, for that break alone. */
  readonly #registers = new Map<number, RegisterName>();

  #begin(waiting: Waiting): void {
    const { clock, directory, disk, judge, self } = this.#deps;
    const { register, operation, withinMs, untilMs } = waiting;
    const { list } = directory;
    if (list === undefined || untilMs <= clock.nowMs) {
      const outcome = { kind: "unavailable", missing: [] } as const;
      this.#finish(waiting, { register, operation, outcome, list: list?.number ?? 0, floor: 0 });
      return;
    }
    const headStart = this.#headStarts.get(register) ?? null;
    if (!clock.isBroken("head-start-twice")) this.#headStarts.delete(register);
    if (headStart?.list === list.number && operation.kind !== "read") clock.counts.headStarts += 1;
    this.#lastSerial += 1;
    const [proposer, effects] = begin({ register, self: disk.voter, list, operation, headStart });
    const running = { serial: this.#lastSerial, waiting, proposer, floor: judge.floor(register) };
    this.#running.set(running.serial, running);
    if (clock.isBroken("late-answers")) this.#registers.set(running.serial, register);
    clock.tell(
      register,
      () => `host-${self} begins ${describeOperation(operation)} under list ${list.number}`,
    );
    clock.after(Math.min(withinMs, untilMs - clock.nowMs), () => this.#step(running, { kind: "give-up" }));
    this.#perform(running, effects);
  }

  #step(running: Running, input: ProposerInput): void {
    if (!this.#isUp || !this.#running.has(running.serial)) return;
    const [proposer, effects] = advance(running.proposer, input, this.#proposerDeps);
    running.proposer = proposer;
    this.#perform(running, effects);
  }

  #perform(running: Running, effects: readonly ProposerEffect[]): void {
    this.#tellQuestion(running, effects);
    const isProposal = effects.some((effect) => effect.kind === "send" && effect.request.kind === "accept");
    if (isProposal && running.waiting.operation.kind === "swap") this.#deps.onPropose();
    for (const effect of effects) this.#performOne(running, effect);
  }

  #performOne(running: Running, effect: ProposerEffect): void {
    const { clock, disk } = this.#deps;
    switch (effect.kind) {
      case "send":
        this.#send(running, effect);
        return;
      case "reserve":
        disk.rounds(effect.above, 2, (first) => {
          const [ballot, next] = [first, first + 1].map((round) => ({ round, proposer: disk.voter }));
          if (ballot !== undefined && next !== undefined)
            this.#step(running, { kind: "reserved", turn: effect.turn, ballot, next });
        });
        return;
      case "schedule":
        clock.after(effect.delayMs, () => this.#step(running, { kind: "timer", turn: effect.turn }));
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
    const ask = { serial: serial * TURNS_MAX + turn, voter: to, request };
    this.#deps.send(hostOf(owner), { kind: "ask", ask });
  }

  #fetchList({ list }: Extract<ProposerEffect, { kind: "fetch-list" }>): void {
    const { directory } = this.#deps;
    if ((directory.list?.number ?? 0) >= list) this.#listChanged();
    for (const { owner } of directory.list?.voters ?? []) directory.fetch(hostOf(owner));
  }

  #listChanged(): void {
    const { list } = this.#deps.directory;
    if (list === undefined) return;
    for (const running of [...this.#running.values()]) this.#step(running, { kind: "list", list });
  }

  #end(running: Running, { outcome, headStart }: Extract<ProposerEffect, { kind: "end" }>): void {
    const { clock, self } = this.#deps;
    const { waiting, proposer, floor, serial } = running;
    const { register, operation } = waiting;
    this.#running.delete(serial);
    if (headStart !== null) this.#headStarts.set(register, headStart);
    clock.tell(register, () => `host-${self}'s ${operation.kind}: ${describeOutcome(outcome, headStart)}`);
    const isDenied = clock.isBroken("unknown-as-unavailable") && outcome.kind === "unknown";
    const told: Outcome = isDenied ? { kind: "unavailable", missing: [] } : outcome;
    this.#finish(waiting, { register, operation, outcome: told, list: proposer.list.number, floor });
  }

  #finish({ register, then }: Waiting, ended: Ended): void {
    this.#deps.judge.ended(ended);
    const next = this.#lines.get(register)?.shift();
    if (next === undefined) this.#lines.delete(register);
    then(ended);
    if (next !== undefined) this.#begin(next);
  }

  #tellQuestion(running: Running, effects: readonly ProposerEffect[]): void {
    const sends = effects.filter((effect) => effect.kind === "send");
    const [first] = sends;
    if (first === undefined) return;
    const { clock, self } = this.#deps;
    clock.tell(running.waiting.register, () => {
      const to = sends.map((send) => voterOf(running.proposer.list, send.to)?.name).join(" ");
      return `host-${self} asks ${to}: ${describeRequest(first.request)}`;
    });
  }

  #isSigned(...[register, voter, vote]: Parameters<ProposerDeps["isSigned"]>): boolean {
    const { directory, crypto } = this.#deps;
    const list = directory.listOf(vote.list);
    const owner = list === undefined ? undefined : voterOf(list, voter)?.owner;
    if (owner === undefined) return false;
    const { ballot, value } = vote;
    const statement = { cluster: CLUSTER, register, list: vote.list, ballot, voter, value };
    return crypto.verify(owner, statementBytes(statement, crypto.hash), vote.signature);
  }
}

function describeOperation(operation: Operation): string {
  if (operation.kind === "read" || operation.kind === "recommit") return `a ${operation.kind}`;
  const epoch = operation.kind === "seed" ? operation.epoch : operation.expectedEpoch + 1;
  return `a ${operation.kind} to epoch ${epoch}, "${new TextDecoder().decode(operation.record)}"`;
}
