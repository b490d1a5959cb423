// Register clients: each reads and swaps registers at a voter of its own, one operation after the other, and goes to another voter
// when its own is down. What they saw is their history.

import type { RegisterOperation } from "../../mesh/sim/linearizability.ts";
import { type Asked, operationOf } from "./register-history.ts";
import { ProcessEndedError, type RegisterProcess } from "./register-process.ts";
import type { RegisterProcesses } from "./register-processes.ts";
import type { TimedOutcome, ToldRecord } from "./register-protocol.ts";

const HISTORY_SHOWN = 12;
/** The rest are reads. */
const SWAPS_SHARE = 0.7;

export interface ClientCounts {
  readonly operations: number;
  readonly reads: number;
  readonly commits: number;
  readonly conflicts: number;
  /** Swaps whose outcome nobody told: their member was killed, or said so. */
  readonly unknowns: number;
  /** Swaps and reads that were given up before anything was changed. */
  readonly failures: number;
}

export class RegisterClients {
  readonly history: RegisterOperation[] = [];
  readonly #cluster: RegisterProcesses;
  readonly #apps: readonly string[];
  readonly #random: () => number;
  readonly #onOperation: (operation: RegisterOperation) => void;
  /** By client. */
  readonly #waiting = new Map<string, string>();
  #lastRelease = 0;
  #isOver = false;

  constructor(
    cluster: RegisterProcesses,
    options: {
      readonly apps: readonly string[];
      readonly random: () => number;
      readonly onOperation: (operation: RegisterOperation) => void;
    },
  ) {
    this.#cluster = cluster;
    this.#apps = options.apps;
    this.#random = options.random;
    this.#onOperation = options.onOperation;
  }

  /** Resolves when all have stopped, and the last operation of each has returned. Rejects with what went wrong in one. */
  async run(count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, (_, rank) => this.#run(rank)));
  }

  stop(): void {
    this.#isOver = true;
    this.#cluster.look();
  }

  /** What each waits for, and what came of the last operations. */
  describe(): string {
    const waiting = [...this.#waiting].map(([client, what]) => `${client} waits for ${what}`);
    return [...waiting, ...this.history.slice(-HISTORY_SHOWN).map((last) => JSON.stringify(last))].join("\n");
  }

  get counts(): ClientCounts {
    const count = (is: (operation: RegisterOperation) => boolean) => this.history.filter(is).length;
    const ofSwaps = (kind: string) => count(({ call, outcome }) => call === "swap" && outcome.kind === kind);
    return {
      operations: this.history.length,
      reads: count(({ call, outcome }) => call === "read" && outcome.kind === "ok"),
      commits: ofSwaps("ok"),
      conflicts: ofSwaps("conflict"),
      unknowns: ofSwaps("unknown"),
      failures: ofSwaps("fail") + count(({ call, outcome }) => call === "read" && outcome.kind === "unknown"),
    };
  }

  async #run(rank: number): Promise<void> {
    const client = `client-${rank + 1}`;
    /** Epochs that it saw last. Not there: it has to read first. */
    const seen = new Map<string, number>();
    while (!this.#isOver) {
      const member = await this.#voterFor(rank);
      if (member === undefined) return;
      const register = this.#pick();
      const expectedEpoch = seen.get(register);
      const isSwap = expectedEpoch !== undefined && this.#random() < SWAPS_SHARE;
      if (isSwap) this.#lastRelease += 1;
      const swap = isSwap ? { expectedEpoch, release: this.#lastRelease } : null;
      const epoch = await this.#operate(member, { client, register, swap });
      if (epoch === null) seen.delete(register);
      else seen.set(register, epoch);
    }
  }

  /** Of those that run the one of its rank, so that each has its own as long as there are so many. Undefined: it is over. */
  async #voterFor(rank: number): Promise<RegisterProcess | undefined> {
    const cluster = this.#cluster;
    while (!this.#isOver) {
      await cluster.until("a voter that runs", () => this.#isOver || cluster.voting.length > 0);
      // All may be gone again by now.
      const member = cluster.voting[rank % cluster.voting.length];
      if (member !== undefined) return member;
    }
    return undefined;
  }

  /** Some more often than others: they are fought for. */
  #pick(): string {
    return this.#apps[Math.floor(this.#random() ** 2 * this.#apps.length)] ?? "";
  }

  /** The epoch that it saw; null: it has to read. */
  async #operate(member: RegisterProcess, asked: Asked): Promise<number | null> {
    const askedUs = Number(process.hrtime.bigint()) / 1_000;
    this.#waiting.set(asked.client, `${member.name}: ${JSON.stringify(asked)}`);
    const timed = await askTimed(member, asked);
    this.#waiting.delete(asked.client);
    if (timed === undefined) return null;
    const operation = operationOf(asked, askedUs, timed);
    this.history.push(operation);
    this.#onOperation(operation);
    const { outcome } = timed ?? {};
    if (outcome === undefined || !("shown" in outcome)) return null;
    if (outcome.kind === "committed") assertCommitted(asked, outcome.shown);
    return outcome.shown?.epoch ?? 0;
  }
}

/** Null: it was killed meanwhile. Undefined: it is no voter any more and did nothing. */
async function askTimed(
  member: RegisterProcess,
  { register: app, swap }: Asked,
): Promise<TimedOutcome | null | undefined> {
  try {
    return swap === null ? await member.ask("read", { app }) : await member.ask("swap", { app, ...swap });
  } catch (error) {
    return error instanceof ProcessEndedError ? null : undefined;
  }
}

/** It may tell of a newer one that was committed since; at the epoch asked for it can tell of no other. */
function assertCommitted({ register, swap }: Asked, shown: ToldRecord): void {
  if (swap === null || shown.epoch > swap.expectedEpoch + 1) return;
  if (shown.epoch === swap.expectedEpoch + 1 && shown.release === swap.release) return;
  throw new Error(
    `${register}: swap(${swap.expectedEpoch}, ${swap.release}) was committed as ${shown.epoch} ${shown.release}`,
  );
}
