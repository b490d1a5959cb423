// VoterLists: changes of the voter list, by commits in the register of the voters; and what must follow each of them (settle.ts).

import { REGISTER_READ_MS, REGISTER_SWAP_MS, REGISTERS_AT_ONCE, SETTLE_LOOK_MS } from "../../limits.ts";
import type { RegisterName } from "../../register/certificate.ts";
import type { CommittedValue, Outcome } from "../../register/proposer-face.ts";
import {
  beginSettling,
  nextStep,
  recommitted,
  type Settling,
  showed,
  VOTERS_REGISTER,
} from "../../register/settle.ts";
import { encodeLink } from "../../register/voter-chain.ts";
import {
  changeVoters,
  describeVoterList,
  type VoterChange,
  type VoterList,
} from "../../register/voter-list.ts";
import { decodeVoterList, encodeVoterList } from "../../register/voter-list-codec.ts";
import { fail, messageOf, ok, type Result } from "../../result.ts";
import { askRegisters } from "./ask-registers.ts";
import { forEachAtOnce } from "./at-once.ts";
import type { RegisterClient } from "./register-client.ts";
import type { RegisterContext } from "./register-context.ts";
import type { VoterDirectory } from "./voter-directory.ts";

export interface VoterListsDeps extends RegisterContext {
  readonly client: RegisterClient;
  readonly directory: VoterDirectory;
  /** Found committed. */
  readonly onCommitted: (register: RegisterName, committed: CommittedValue) => void;
  /** Whether settling is ours: of all voters that live one begins. */
  readonly isFirst: () => boolean;
}

export class VoterLists {
  readonly #deps: VoterListsDeps;
  #timer: NodeJS.Timeout | undefined;
  /** The run under way, and of which list. */
  #settling: { readonly list: number | undefined; readonly ended: Promise<Result<VoterList>> } | undefined;
  #stopped = new AbortController();

  constructor(deps: VoterListsDeps) {
    this.#deps = deps;
  }

  /** From here on a list that nobody settles is settled. */
  start(): void {
    this.#stopped = new AbortController();
    this.#timer = setInterval(() => this.#look(), SETTLE_LOOK_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopped.abort();
    await this.#settling?.ended;
  }

  /** The next list, in force and settled, or why there is none: for people. After a failure on the way it may stand, unsettled. */
  async change(change: VoterChange, signal: AbortSignal): Promise<Result<VoterList>> {
    const { list } = this.#deps.directory;
    if (list === undefined) return fail("this cluster has no voters yet");
    const next = changeVoters(list, change);
    if (!next.ok) return next;
    const committed = await this.#commit(next.value, list, signal);
    if (!committed.ok) return committed;
    const { owner } = this.#deps.mesh.self;
    const isStillVoter = next.value.voters.some((voter) => voter.owner === owner);
    return isStillVoter ? this.settle(signal) : this.#untilSettled(next.value, signal);
  }

  /** Others do it: who removed itself has no say in the new list. */
  async #untilSettled(list: VoterList, signal: AbortSignal): Promise<Result<VoterList>> {
    const { directory } = this.#deps;
    const isOver = (): boolean => this.#isOver(list);
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const unsubscribe = directory.onAdopted(() => {
      if (isOver()) resolve();
    });
    signal.addEventListener("abort", () => resolve(), { once: true });
    if (isOver() || signal.aborted) resolve();
    await over;
    unsubscribe();
    return isOver()
      ? ok(directory.list ?? list)
      : fail(`${describeVoterList(list)}: it is being settled by others`);
  }

  /** It is settled, or a newer one is in force. */
  #isOver({ number }: VoterList): boolean {
    const { list } = this.#deps.directory;
    return list !== undefined && (list.number > number || (list.number === number && list.isSettled));
  }

  /** Commits every register under the list in force, and says so. Done by whomever, it is done. */
  settle(signal: AbortSignal): Promise<Result<VoterList>> {
    const patience = AbortSignal.any([signal, this.#stopped.signal]);
    const list = this.#deps.directory.list?.number;
    if (this.#settling !== undefined) {
      const { list: underWay, ended } = this.#settling;
      return underWay === list ? ended : ended.then(() => this.settle(signal));
    }
    const ended = this.#settle(patience).finally(() => {
      this.#settling = undefined;
    });
    this.#settling = { list, ended };
    return ended;
  }

  #look(): void {
    const { directory, isFirst, logger } = this.#deps;
    const { list } = directory;
    if (list === undefined || list.isSettled || this.#settling !== undefined || !isFirst()) return;
    // What is to be kept under it is not committed yet: that is `restore`'s.
    if (directory.isRestoring) return;
    void this.settle(this.#stopped.signal).then((settled) => {
      if (!settled.ok)
        logger.warn({ list: list.number, reason: settled.error }, "voter list not settled yet");
    });
  }

  async #settle(signal: AbortSignal): Promise<Result<VoterList>> {
    const { directory } = this.#deps;
    const { list } = directory;
    if (list === undefined) return fail("this cluster has no voters yet");
    let settling = beginSettling(list);
    while (!this.#isOver(list)) {
      if (signal.aborted) return fail(`${describeVoterList(list)}: ${describeProgress(settling)}`);
      try {
        settling = await this.#step(settling, signal);
      } catch (error) {
        return fail(`${describeVoterList(list)}: ${messageOf(error)}`);
      }
    }
    return ok(directory.list ?? list);
  }

  async #step(settling: Settling, signal: AbortSignal): Promise<Settling> {
    const step = nextStep(settling);
    switch (step.kind) {
      case "ask":
        return this.#ask(settling, signal);
      case "recommit":
        return this.#recommit(settling, step.registers, signal);
      case "mark": {
        const marked = await this.#commit(step.list, settling.list, signal);
        // The first voter that lives looks after lists that are not settled: it may have been quicker.
        if (!marked.ok && !this.#isOver(settling.list)) throw new Error(marked.error);
        return settling;
      }
    }
  }

  async #ask(settling: Settling, signal: AbortSignal): Promise<Settling> {
    const { list } = settling;
    const patience = patient(signal, REGISTER_READ_MS);
    let next = settling;
    const missing: string[] = [];
    const asked = list.voters.map(async (voter) => {
      try {
        const names = await askRegisters(this.#deps, { voter, list: list.number }, patience);
        next = showed(next, voter.id, names);
      } catch (error) {
        missing.push(`${voter.name} (${messageOf(error)})`);
      }
    });
    await Promise.all(asked);
    if (nextStep(next).kind === "ask") throw new Error(`no majority says what it has: ${missing.join(", ")}`);
    return next;
  }

  async #recommit(
    settling: Settling,
    registers: readonly RegisterName[],
    signal: AbortSignal,
  ): Promise<Settling> {
    const { client, onCommitted } = this.#deps;
    let next = settling;
    await forEachAtOnce(registers, REGISTERS_AT_ONCE, async (register) => {
      const recommit = { kind: "recommit" } as const;
      const outcome = await client.operate(register, recommit, patient(signal, REGISTER_SWAP_MS));
      if (outcome.kind !== "read")
        throw new Error(`${register} could not be committed anew: ${outcome.kind}`);
      const { current } = outcome;
      if (current !== null) onCommitted(register, current);
      next = recommitted(next, register, current?.certificate.list ?? settling.list.number);
    });
    return next;
  }

  /** Swaps `next` into the register of the voters, if `list` is what it and we go by. */
  async #commit(next: VoterList, list: VoterList, signal: AbortSignal): Promise<Result<VoterList>> {
    const { client, directory } = this.#deps;
    const read = await client.operate(VOTERS_REGISTER, { kind: "read" }, patient(signal, REGISTER_READ_MS));
    const standing = this.#learn(read);
    if (!standing.ok) return standing;
    if (directory.list?.number !== list.number) return fail("the voters were changed meanwhile: look again");
    const operation = {
      kind: "swap",
      expectedEpoch: standing.value?.value.epoch ?? 0,
      record: encodeVoterList(next),
    } as const;
    const swapped = await client.operate(VOTERS_REGISTER, operation, patient(signal, REGISTER_SWAP_MS));
    const learned = this.#learn(swapped);
    if (swapped.kind === "committed" && learned.ok) return ok(next);
    return learned.ok ? fail("somebody else changed the voters at the same time: look again") : learned;
  }

  /** What an operation showed, which is a list in force here from then on. */
  #learn(outcome: Outcome): Result<CommittedValue | null> {
    const { directory, mesh } = this.#deps;
    switch (outcome.kind) {
      case "committed":
      case "conflict":
      case "read": {
        const current = outcome.kind === "committed" ? outcome : outcome.current;
        if (current === null) return ok(null);
        const { value, certificate } = current;
        const list = decodeVoterList(value.record);
        if (!list.ok) return list;
        const link = { kind: "committed", list: list.value, committed: { value, certificate } } as const;
        directory.learn(encodeLink(link), mesh.self.owner);
        return ok({ value, certificate });
      }
      case "unknown":
        return fail("the outcome is not known: `grapevine voters` shows what is in force");
      case "unavailable":
        return fail(
          `no majority of the voters answers: ${directory.namesOf(outcome.missing).join(", ")} missing`,
        );
      case "refused":
        return fail(outcome.reason);
    }
  }
}

function patient(signal: AbortSignal, ms: number): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(ms)]);
}

function describeProgress({ registers, committed }: Settling): string {
  return `${committed.size} of ${registers.size} registers were committed under it`;
}
