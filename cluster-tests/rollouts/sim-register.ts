// Sim register: the app's record on the voters, changed by compare-and-swap alone. How voters agree has simulators of its own; here it
// is atomic, and what goes wrong is what its users see: an answer that is lost, a majority that is away for a while.

import { type AppRecord, type CommittedApp, encodeAppRecord } from "../../mesh/index.ts";

export class SimRegister {
  committed: CommittedApp | null = null;
  commits = 0;
  /** No majority of the voters can be reached. */
  isAway = false;
  readonly #records = new Map<number, AppRecord>();
  readonly #onCommit: (before: AppRecord | null, committed: CommittedApp) => void;

  constructor(onCommit: (before: AppRecord | null, committed: CommittedApp) => void) {
    this.#onCommit = onCommit;
  }

  /** False: another one was first. */
  swap(expectedEpoch: number, next: AppRecord): boolean {
    if (this.isAway || expectedEpoch !== (this.committed?.epoch ?? 0)) return false;
    // What cannot be encoded is found.
    encodeAppRecord(next);
    this.commits += 1;
    this.#set({ epoch: expectedEpoch + 1, record: next });
    return true;
  }

  /** As it was left by another run. */
  restore(committed: CommittedApp): void {
    this.committed = committed;
    this.#records.set(committed.epoch, committed.record);
  }

  recordOf(epoch: number): AppRecord {
    const record = this.#records.get(epoch);
    if (record === undefined) throw new Error(`nobody committed epoch ${epoch}`);
    return record;
  }

  #set(committed: CommittedApp): void {
    const before = this.committed?.record ?? null;
    this.restore(committed);
    this.#onCommit(before, committed);
  }
}
