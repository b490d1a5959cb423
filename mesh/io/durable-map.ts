// DurableMap: a few thousand small values by key that outlive their process: in memory at once, on disk together (one sync for all
// that came while the last one ran), written by a thread. Nobody counts on a value before `synced` says so.

import { messageOf } from "../result.ts";
import { DiskThread } from "./disk-thread.ts";
import type { DurableMapRow } from "./durable-map-file.ts";
import type { DurableMapRequest } from "./durable-map-worker.ts";

export interface DurableMapOptions {
  readonly path: string;
  /** Whose it is: a file of another one is not opened. */
  readonly owner: string;
}

export class DurableMap {
  readonly #thread: DiskThread<DurableMapRequest, DurableMapRow, null> = new DiskThread(
    new URL("./durable-map-worker.ts", import.meta.url),
  );
  readonly #rows = new Map<string, Uint8Array>();
  readonly #options: DurableMapOptions;
  #dirty = new Set<string>();
  #writing: Promise<void> | undefined;

  /** Makes the file if it is not there. Rejects with why it cannot be used; then nothing was changed. */
  static async open(options: DurableMapOptions): Promise<DurableMap> {
    const map = new DurableMap(options);
    try {
      await map.#thread.ask({ kind: "open", ...options }, ({ key, value }) => map.#rows.set(key, value));
      return map;
    } catch (error) {
      await map.#thread.end();
      throw new Error(`${options.path}: ${messageOf(error)}`);
    }
  }

  private constructor(options: DurableMapOptions) {
    this.#options = options;
  }

  /** On disk, or on its way. */
  get rows(): ReadonlyMap<string, Uint8Array> {
    return this.#rows;
  }

  /** Null: it is gone. */
  put(key: string, value: Uint8Array | null): void {
    if (value === null) this.#rows.delete(key);
    else this.#rows.set(key, value);
    this.#dirty.add(key);
  }

  /** Resolves when all that was put until now is on disk. Rejects when the disk fails: it is tried again with the next call. */
  async synced(): Promise<void> {
    if (this.#writing !== undefined) await this.#writing.catch(() => undefined);
    // Whoever comes first writes what all others have put meanwhile.
    if (this.#dirty.size === 0) return this.#writing;
    this.#writing ??= this.#write();
    return this.#writing;
  }

  /** What is not on disk yet is written first, if the disk lets us. */
  async close(): Promise<void> {
    await this.synced().catch(() => undefined);
    if (this.#thread.isRunning) await this.#thread.ask({ kind: "close" }).catch(() => undefined);
    await this.#thread.end();
  }

  async #write(): Promise<void> {
    const dirty = this.#dirty;
    this.#dirty = new Set();
    const rows = [...dirty].map((key) => ({ key, value: this.#rows.get(key) ?? null }));
    try {
      await this.#thread.ask({ kind: "write", ...this.#options, rows });
    } catch (error) {
      // It is owed with what came since.
      for (const key of dirty) this.#dirty.add(key);
      throw error;
    } finally {
      this.#writing = undefined;
    }
  }
}
