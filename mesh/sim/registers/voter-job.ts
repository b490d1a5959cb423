// Voter job: at one voter: puts in force the next list that somebody wishes, and settles it, with the real `changeVoters` and
// `settle.ts`. It keeps nothing on disk: when its process dies another one begins anew.

import { REGISTER_READ_MS, REGISTER_RESEND_MS, REGISTER_SWAP_MS } from "../../limits.ts";
import type { CommittedValue } from "../../register/proposer-face.ts";
import {
  beginSettling,
  nextStep,
  recommitted,
  type SettleStep,
  type Settling,
  showed,
  VOTERS_REGISTER,
} from "../../register/settle.ts";
import { changeVoters, type VoterChange, type VoterList, voterOf } from "../../register/voter-list.ts";
import { decodeVoterList, encodeVoterList } from "../../register/voter-list-codec.ts";
import type { Clock } from "./clock.ts";
import type { Message } from "./messages.ts";
import { hostOf } from "./names.ts";
import type { Ended } from "./operations.ts";
import type { Process } from "./process.ts";

/** Registers that are committed anew at one time. */
const RECOMMITS_AT_ONCE = 32;
/** Reads of the voters' register that may fail in a row. */
const FAILURES_MAX = 5;

export interface VoterJobDeps {
  readonly clock: Clock;
  readonly process: Process;
  readonly serial: number;
  /** Null: the list is as it should be. */
  readonly wish: (list: VoterList) => VoterChange | null;
  readonly onSettle: (list: VoterList, host: number) => void;
  readonly onSettled: (list: VoterList, host: number) => void;
}

export class VoterJob {
  readonly #deps: VoterJobDeps;
  #settling: Settling | null = null;
  /** Registers whose recommit is under way. */
  readonly #underWay = new Set<string>();
  /** Of the register of the voters, as it was read last. */
  #epoch = 0;
  #failures = 0;
  #isOver = false;

  constructor(deps: VoterJobDeps) {
    this.#deps = deps;
    deps.process.onShown((shown) => this.#hear(shown));
    this.#read();
  }

  get process(): Process {
    return this.#deps.process;
  }

  /** It ended, or its process did. */
  get isOver(): boolean {
    return this.#isOver || !this.process.isUp;
  }

  // --- the list

  #read(): void {
    this.#settling = null;
    const { operations, isVoter } = this.process;
    if (!isVoter || this.#failures > FAILURES_MAX) {
      this.#isOver = true;
      return;
    }
    const asked = {
      register: VOTERS_REGISTER,
      operation: { kind: "read" },
      withinMs: REGISTER_READ_MS,
    } as const;
    operations.operate(asked, ({ outcome }) => {
      if (outcome.kind !== "read") {
        this.#failures += 1;
        this.#deps.clock.after(REGISTER_RESEND_MS, () => this.#read());
        return;
      }
      this.#failures = 0;
      this.#epoch = outcome.current?.value.epoch ?? 0;
      if (outcome.current !== null) this.#learn(outcome.current);
      this.#proceed();
    });
  }

  /** Who committed it may not have lived to say so. */
  #learn(committed: CommittedValue): void {
    const list = decodeVoterList(committed.value.record);
    if (!list.ok) throw new Error(`bug: a voter list that cannot be read: ${list.error}`);
    this.process.directory.learnOwn({ kind: "committed", list: list.value, committed });
  }

  #proceed(): void {
    const { clock, process, wish } = this.#deps;
    const { list } = process.directory;
    if (list === undefined || !process.isVoter) {
      this.#isOver = true;
      return;
    }
    if (!list.isSettled && !clock.isBroken("early-second-voter-change")) {
      this.#settle(list);
      return;
    }
    const change = wish(list);
    const next =
      change === null
        ? null
        : changeVoters(list, change, { needsSettled: !clock.isBroken("early-second-voter-change") });
    if (next?.ok === true) this.#swap(next.value);
    else this.#isOver = true;
  }

  #swap(list: VoterList): void {
    const operation = { kind: "swap", expectedEpoch: this.#epoch, record: encodeVoterList(list) } as const;
    const asked = { register: VOTERS_REGISTER, operation, withinMs: REGISTER_SWAP_MS };
    this.process.operations.operate(asked, ({ outcome }) => {
      if (outcome.kind !== "committed") {
        this.#read();
        return;
      }
      this.#epoch = outcome.value.epoch;
      this.#learn(outcome);
      if (list.isSettled) this.#deps.onSettled(list, this.process.self);
      this.#proceed();
    });
  }

  // --- settling it

  #settle(list: VoterList): void {
    this.#settling = beginSettling(list);
    this.#underWay.clear();
    this.#deps.onSettle(list, this.process.self);
    this.#settleFurther();
  }

  #settleFurther(): void {
    const settling = this.#settling;
    if (settling === null) return;
    const { list } = this.process.directory;
    if (list?.number !== settling.list.number || list.isSettled) {
      this.#read();
      return;
    }
    const step = this.#step(settling);
    switch (step.kind) {
      case "ask":
        this.#ask(step, settling);
        return;
      case "recommit":
        this.#recommit(step, settling);
        return;
      case "mark":
        this.#settling = null;
        this.#swap({ ...list, isSettled: true });
    }
  }

  #step(settling: Settling): SettleStep {
    const isMarkedAtOnce = this.#deps.clock.isBroken("settle-uncommitted");
    return nextStep(isMarkedAtOnce ? { ...settling, committed: settling.registers } : settling);
  }

  #ask({ voters }: Extract<SettleStep, { kind: "ask" }>, settling: Settling): void {
    const { clock, process, serial } = this.#deps;
    const { list } = settling;
    for (const voter of voters) {
      const owner = voterOf(list, voter)?.owner;
      if (owner !== undefined)
        process.send(hostOf(owner), { kind: "show", serial, voter, list: list.number });
    }
    clock.after(REGISTER_RESEND_MS, () => {
      // Nobody answered meanwhile.
      if (this.#settling === settling && !this.isOver) this.#settleFurther();
    });
  }

  #hear({ serial, voter, reply }: Extract<Message, { kind: "shown" }>): void {
    const settling = this.#settling;
    if (settling === null || serial !== this.#deps.serial || reply.kind !== "registers") return;
    if (settling.shown.has(voter)) return;
    this.#settling = showed(settling, voter, reply.names);
    this.#settleFurther();
  }

  #recommit({ registers }: Extract<SettleStep, { kind: "recommit" }>, { list }: Settling): void {
    for (const register of registers) {
      if (this.#underWay.size >= RECOMMITS_AT_ONCE) return;
      if (this.#underWay.has(register)) continue;
      this.#underWay.add(register);
      const asked = { register, operation: { kind: "recommit" }, withinMs: REGISTER_SWAP_MS } as const;
      this.process.operations.operate(asked, (ended) => this.#recommitted(ended, list));
    }
  }

  #recommitted({ register, outcome, list: number }: Ended, list: VoterList): void {
    if (this.#settling?.list !== list) return;
    this.#underWay.delete(register);
    if (outcome.kind === "read") {
      this.#deps.clock.counts.recommits += 1;
      const under = outcome.current?.certificate.list ?? number;
      this.#settling = recommitted(this.#settling, register, under);
    }
    this.#settleFurther();
  }
}
