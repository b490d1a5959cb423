// Harness of the snapshot's tests: snapshots in a folder of their own, stores that they are of, and owners that write.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Logger, pino } from "pino";
import { decodeDeltaFields } from "../core/codec.ts";
import { ownerId } from "../core/ids.ts";
import { OwnState } from "../core/own-state.ts";
import type { SnapshotBatch } from "../core/snapshot-plan.ts";
import type { Store } from "../core/store.ts";
import { SNAPSHOT_FILE, Snapshot } from "../io/snapshot.ts";
import { openSnapshot } from "../io/snapshot-file.ts";
import { ENTRIES_PER_OWNER_MAX, OWNERS_MAX } from "../limits.ts";
import { standInCrypto } from "./stand-in-crypto.ts";
import { newStore } from "./store-harness.ts";

/** Batches as they are written; `next` is the one after those that were asked for. */
class Batches {
  readonly #written: SnapshotBatch[] = [];
  #news = Promise.withResolvers<void>();

  readonly add = (batch: SnapshotBatch): void => {
    this.#written.push(batch);
    this.#news.resolve();
  };

  async next(): Promise<SnapshotBatch> {
    for (;;) {
      const batch = this.#written.shift();
      if (batch !== undefined) return batch;
      this.#news = Promise.withResolvers<void>();
      await this.#news.promise;
    }
  }
}

export interface OpenedSnapshot {
  readonly snapshot: Snapshot;
  readonly store: Store;
  readonly batches: Batches;
  /** What became of each state that it held: "applied", or why not. */
  readonly outcomes: readonly string[];
}

/** What is in a file, as a store takes it. */
export interface ReadSnapshot {
  readonly store: Store;
  readonly outcomes: readonly string[];
  readonly setAside: string | null;
}

export class SnapshotFolder {
  readonly path: string = mkdtempSync(join(tmpdir(), "grapevine-snapshot-"));
  readonly #running: Snapshot[] = [];

  get file(): string {
    return join(this.path, SNAPSHOT_FILE);
  }

  /** Takes what it holds into a store, and follows that. */
  async open(
    options: { cluster?: string; stateDir?: string; logger?: Logger } = {},
  ): Promise<OpenedSnapshot> {
    const { cluster = "test", stateDir = this.path, logger = pino({ level: "silent" }) } = options;
    const batches = new Batches();
    const snapshot = await Snapshot.open(
      { stateDir, cluster, timing: { intervalMs: 1, retryFirstMs: 1 } },
      { logger, onWritten: batches.add },
    );
    this.#running.push(snapshot);
    const store = newStore();
    const outcomes = snapshot.takeStates().map((delta) => restore(store, delta));
    snapshot.begin(store);
    return { snapshot, store, batches, outcomes };
  }

  /** Opens it in this thread, and closes it. */
  read(cluster = "test"): ReadSnapshot {
    const store = newStore();
    const outcomes: string[] = [];
    const bounds = { owners: OWNERS_MAX, entriesPerOwner: ENTRIES_PER_OWNER_MAX };
    const { file, setAside } = openSnapshot({ path: this.file, cluster, bounds }, (raw) => {
      const decoded = decodeDeltaFields(raw);
      outcomes.push(decoded.ok ? restore(store, decoded.value) : decoded.error);
    });
    file.close();
    return { store, outcomes, setAside };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.splice(0).map((snapshot) => snapshot.stop()));
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.path, { recursive: true });
  }
}

function restore(store: Store, delta: Parameters<Store["restore"]>[0]): string {
  const outcome = store.restore(delta);
  return outcome.kind === "applied" ? "applied" : outcome.reason;
}

export function newOwner(name: string, incarnation = 1): OwnState {
  const owner = ownerId(name);
  const own = new OwnState(owner, { incarnation, startId: 1 }, standInCrypto(owner));
  own.announce();
  return own;
}

/** Writes, and brings all of it to `store`, as a sync does. */
export function write(
  own: OwnState,
  store: Store,
  entries: Readonly<Record<string, Uint8Array | null>>,
): void {
  for (const [key, value] of Object.entries(entries)) own.write(key, value);
  const head = own.seal();
  if (head === undefined) throw new Error("not announced");
  const { owner, start, counter: to, compacted } = own.state;
  const entriesOf = [...own.state.entries()];
  store.apply({ owner, start, from: 0, to, head, compacted, isRepair: false, entries: entriesOf });
}
