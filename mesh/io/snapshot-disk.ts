// SnapshotDisk: our end of the snapshot's thread. One request at a time; what goes wrong there is an error here, and the
// thread that died of it is followed by another at the next `open`.

import { Worker } from "node:worker_threads";
import { ENTRIES_PER_OWNER_MAX, OWNERS_MAX } from "../limits.ts";
import type { RawMark, RawState, SnapshotPart } from "./snapshot-file.ts";
import type { SnapshotAnswer, SnapshotRequest } from "./snapshot-worker.ts";

/** Why is for people: the disk is full, another process has the file, … Nothing of the batch under way is on disk. */
class SnapshotError extends Error {
  override readonly name = "SnapshotError";
}

export interface SnapshotDiskOptions {
  readonly path: string;
  readonly cluster: string;
}

interface Waiting {
  readonly onState: (state: RawState) => void;
  readonly answered: PromiseWithResolvers<SnapshotAnswer>;
}

export class SnapshotDisk {
  readonly #options: SnapshotDiskOptions;
  #worker: Worker | undefined;
  #waiting: Waiting | undefined;
  #isEnded = false;

  constructor(options: SnapshotDiskOptions) {
    this.#options = options;
  }

  /** `onState`: gives what is in it, state by state, unchecked. Rejects with `SnapshotError`. */
  async open(
    onState?: (state: RawState) => void,
  ): Promise<{ readonly marks: readonly RawMark[]; readonly setAside: string | null }> {
    const bounds = { owners: OWNERS_MAX, entriesPerOwner: ENTRIES_PER_OWNER_MAX };
    const wantsStates = onState !== undefined;
    if (this.#isEnded) throw new SnapshotError("it was closed");
    this.#worker ??= this.#start();
    const answer = await this.#ask({ kind: "open", wantsStates, bounds, ...this.#options }, onState);
    if (answer.kind !== "opened") throw new SnapshotError(`snapshot: answered ${answer.kind}`);
    return answer;
  }

  /** Resolves when it was taken; of the last part of a batch when all of it is on disk. Rejects with `SnapshotError`. */
  async write(part: SnapshotPart): Promise<void> {
    await this.#ask({ kind: "write", part });
  }

  /** Resolves when the thread has ended; nothing can be asked for any more. */
  async close(): Promise<void> {
    if (this.#worker !== undefined) await this.#ask({ kind: "close" }).catch(() => undefined);
    await this.kill();
  }

  /** As `close`, wherever it is: what it has not committed is not on disk. */
  async kill(): Promise<void> {
    this.#isEnded = true;
    const worker = this.#worker;
    if (worker !== undefined) this.#died(worker, "it was closed");
    await worker?.terminate();
  }

  #start(): Worker {
    // Flags of ours (`--input-type`, `--inspect-brk`) are not meant for it.
    const worker = new Worker(new URL("./snapshot-worker.ts", import.meta.url), { execArgv: [] });
    worker.on("message", (answer: SnapshotAnswer) => this.#heard(worker, answer));
    worker.on("error", (error) => this.#died(worker, String(error)));
    worker.on("exit", () => this.#died(worker, "its thread ended"));
    return worker;
  }

  async #ask(
    request: SnapshotRequest,
    onState: Waiting["onState"] = () => undefined,
  ): Promise<SnapshotAnswer> {
    const worker = this.#worker;
    if (worker === undefined) throw new SnapshotError("it is not open");
    if (this.#waiting !== undefined) throw new Error("bug: two requests to the snapshot at once");
    const answered = Promise.withResolvers<SnapshotAnswer>();
    this.#waiting = { onState, answered };
    worker.postMessage(request);
    return answered.promise;
  }

  #heard(worker: Worker, answer: SnapshotAnswer): void {
    if (this.#worker !== worker) return;
    const waiting = this.#waiting;
    if (answer.kind === "state") {
      waiting?.onState(answer.state);
      return;
    }
    this.#waiting = undefined;
    if (answer.kind === "failed") waiting?.answered.reject(new SnapshotError(answer.reason));
    else waiting?.answered.resolve(answer);
  }

  #died(worker: Worker, reason: string): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.answered.reject(new SnapshotError(reason));
  }
}
