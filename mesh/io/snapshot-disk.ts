// SnapshotDisk: our end of the snapshot's thread.

import { ENTRIES_PER_OWNER_MAX, OWNERS_MAX } from "../limits.ts";
import { DiskError, DiskThread } from "./disk-thread.ts";
import type { RawMark, RawState, SnapshotPart } from "./snapshot-file.ts";
import type { SnapshotAnswer, SnapshotRequest } from "./snapshot-worker.ts";

export interface SnapshotDiskOptions {
  readonly path: string;
  readonly cluster: string;
}

export class SnapshotDisk {
  readonly #options: SnapshotDiskOptions;
  readonly #thread: DiskThread<SnapshotRequest, RawState, SnapshotAnswer> = new DiskThread(
    new URL("./snapshot-worker.ts", import.meta.url),
  );

  constructor(options: SnapshotDiskOptions) {
    this.#options = options;
  }

  /** `onState`: gives what is in it, state by state, unchecked. Rejects with `DiskError`. */
  async open(
    onState?: (state: RawState) => void,
  ): Promise<{ readonly marks: readonly RawMark[]; readonly setAside: string | null }> {
    const bounds = { owners: OWNERS_MAX, entriesPerOwner: ENTRIES_PER_OWNER_MAX };
    const wantsStates = onState !== undefined;
    const request = { kind: "open", wantsStates, bounds, ...this.#options } as const;
    const answer = await this.#thread.ask(request, onState);
    if (answer.kind !== "opened") throw new DiskError(`snapshot: answered ${answer.kind}`);
    return answer;
  }

  /** Resolves when it was taken; of the last part of a batch when all of it is on disk. Rejects with `DiskError`. */
  async write(part: SnapshotPart): Promise<void> {
    if (!this.#thread.isRunning) throw new DiskError("it is not open");
    await this.#thread.ask({ kind: "write", part });
  }

  /** Resolves when the thread has ended; nothing can be asked for any more. */
  async close(): Promise<void> {
    if (this.#thread.isRunning) await this.#thread.ask({ kind: "close" }).catch(() => undefined);
    await this.kill();
  }

  /** As `close`, wherever it is: what it has not committed is not on disk. */
  async kill(): Promise<void> {
    await this.#thread.end();
  }
}
