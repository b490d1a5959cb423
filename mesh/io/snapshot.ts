// Snapshot: the store on our own disk, for a warm start. Read once, before the mesh starts; from then on what the disk lacks
// is written batch after batch, each only once the one before is on disk. A disk that fails costs the next start its
// warmth, and nothing now: it is told, counted, and tried again.

import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { decodeDeltaFields } from "../core/codec.ts";
import { entryBytesMax } from "../core/entry.ts";
import { ownerId } from "../core/ids.ts";
import type { HostDelta } from "../core/message.ts";
import { type SnapshotBatch, type SnapshotMark, SnapshotPlan } from "../core/snapshot-plan.ts";
import type { Store } from "../core/store.ts";
import {
  SNAPSHOT_BATCH_ENTRIES_MAX,
  SNAPSHOT_INTERVAL_MS,
  SNAPSHOT_PART_BYTES_MAX,
  SNAPSHOT_RETRY_FIRST_MS,
  SNAPSHOT_RETRY_LAST_MS,
  SNAPSHOT_STOP_MS,
} from "../limits.ts";
import { messageOf } from "../result.ts";
import { SnapshotDisk } from "./snapshot-disk.ts";
import {
  type RawMark,
  type RawState,
  SET_ASIDE_SUFFIX,
  type SnapshotPart,
  type SnapshotStretch,
} from "./snapshot-file.ts";

export const SNAPSHOT_FILE = "mesh-snapshot.sqlite";
/** As everywhere but in tests. */
const SNAPSHOT_TIMING = { intervalMs: SNAPSHOT_INTERVAL_MS, retryFirstMs: SNAPSHOT_RETRY_FIRST_MS };

/**
 * `snapshot-written`: batches on disk. `snapshot-failed`: tries that ended with an error, at the start or later.
 * `snapshot-set-aside`: files that could not be used. `snapshot-unreadable`: states in one that are none.
 */
type SnapshotCounter = "snapshot-written" | "snapshot-failed" | "snapshot-set-aside" | "snapshot-unreadable";

export interface SnapshotOptions {
  /** Must be there. */
  readonly stateDir: string;
  /** A file of another cluster is set aside. */
  readonly cluster: string;
  /** Less in tests. */
  readonly timing?: { readonly intervalMs: number; readonly retryFirstMs: number };
}

export interface SnapshotDeps {
  readonly logger: Logger;
  /** A batch is on disk. */
  readonly onWritten?: (batch: SnapshotBatch) => void;
}

export class Snapshot {
  readonly #logger: Logger;
  readonly #onWritten: (batch: SnapshotBatch) => void;
  readonly #path: string;
  readonly #timing: Required<SnapshotOptions>["timing"];
  readonly #disk: SnapshotDisk;
  readonly #plan = new SnapshotPlan();
  readonly #counters = new Map<SnapshotCounter, number>();
  readonly #stopping = new AbortController();
  #read: readonly HostDelta[] = [];
  #marks: readonly SnapshotMark[] = [];
  #isOpen = false;
  #failures = 0;
  #running: Promise<void> = Promise.resolve();

  /** Reads what is there. Never rejects: what cannot be read is told, and the start is cold. */
  static async open(options: SnapshotOptions, deps: SnapshotDeps): Promise<Snapshot> {
    const snapshot = new Snapshot(options, deps);
    await snapshot.#load();
    return snapshot;
  }

  private constructor(options: SnapshotOptions, { logger, onWritten = () => undefined }: SnapshotDeps) {
    this.#logger = logger;
    this.#onWritten = onWritten;
    this.#path = join(options.stateDir, SNAPSHOT_FILE);
    this.#timing = options.timing ?? SNAPSHOT_TIMING;
    this.#disk = new SnapshotDisk({ path: this.#path, cluster: options.cluster });
  }

  /** What it held, to be judged like a peer's words; the next call gives nothing. */
  takeStates(): readonly HostDelta[] {
    const states = this.#read;
    this.#read = [];
    return states;
  }

  /** Begins to write. Call in the same breath in which `store` took over the states, before it holds anything else. */
  begin(store: Store): void {
    this.#plan.begin(this.#marks, store);
    this.#running = this.#run(store);
  }

  /** Writes what is still lacking, within `SNAPSHOT_STOP_MS`, and leaves no thread behind. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const deadline = setTimeout(() => void this.#disk.kill(), SNAPSHOT_STOP_MS);
    await this.#running;
    await this.#disk.close();
    clearTimeout(deadline);
  }

  counters(): ReadonlyMap<string, number> {
    return this.#counters;
  }

  async #load(): Promise<void> {
    const states: HostDelta[] = [];
    try {
      this.#marks = await this.#open((raw) => {
        const decoded = decodeDeltaFields(raw);
        if (decoded.ok) states.push(decoded.value);
        else this.#count("snapshot-unreadable");
      });
    } catch (error) {
      this.#failed(error);
    }
    this.#read = states;
  }

  async #run(store: Store): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await pause(this.#delayMs(), signal);
      await this.#write(store);
    }
    await this.#write(store);
  }

  #delayMs(): number {
    const { intervalMs, retryFirstMs } = this.#timing;
    if (this.#failures === 0) return intervalMs;
    return Math.min(SNAPSHOT_RETRY_LAST_MS, retryFirstMs * 2 ** Math.min(this.#failures - 1, 16));
  }

  /** What the disk lacks now; what changes meanwhile is left for the next time. Never rejects. */
  async #write(store: Store): Promise<void> {
    try {
      if (!this.#isOpen) this.#plan.resume(await this.#open());
      let batch: SnapshotBatch | undefined;
      do {
        batch = this.#plan.next(store, SNAPSHOT_BATCH_ENTRIES_MAX);
        if (batch !== undefined) await this.#writeBatch(batch);
      } while (batch?.hasMore === true);
      this.#recovered();
    } catch (error) {
      this.#failed(error);
    }
  }

  async #writeBatch(batch: SnapshotBatch): Promise<void> {
    for (const part of partsOf(batch)) await this.#disk.write(part);
    this.#plan.confirm(batch);
    this.#count("snapshot-written");
    this.#onWritten(batch);
  }

  async #open(onState?: (state: RawState) => void): Promise<readonly SnapshotMark[]> {
    const { marks, setAside: reason } = await this.#disk.open(onState);
    this.#isOpen = true;
    if (reason !== null) {
      this.#count("snapshot-set-aside");
      const file = this.#path + SET_ASIDE_SUFFIX;
      this.#logger.warn({ reason, file }, "snapshot cannot be used, set aside: begun anew");
    }
    return marks.map(markOf);
  }

  /** Told once, until it works again. */
  #failed(error: unknown): void {
    this.#isOpen = false;
    this.#count("snapshot-failed");
    this.#failures += 1;
    if (this.#failures > 1) return;
    const reason = messageOf(error);
    this.#logger.error({ reason, file: this.#path }, "snapshot fails: after a crash this member starts cold");
  }

  #recovered(): void {
    if (this.#failures > 0) this.#logger.info({ file: this.#path }, "snapshot is written again");
    this.#failures = 0;
  }

  #count(counter: SnapshotCounter): void {
    this.#counters.set(counter, (this.#counters.get(counter) ?? 0) + 1);
  }
}

function markOf({ owner, incarnation, startId, counter, compacted }: RawMark): SnapshotMark {
  return { owner: ownerId(owner), start: { incarnation, startId }, counter, compacted };
}

/** A batch in pieces that are copied to the thread without a stall. */
function* partsOf({ deltas, removed }: SnapshotBatch): Generator<SnapshotPart> {
  let stretches: SnapshotStretch[] = [];
  let bytes = 0;
  for (const piece of deltas.flatMap((delta) => [...piecesOf(delta)])) {
    if (stretches.length > 0 && bytes + piece.bytes > SNAPSHOT_PART_BYTES_MAX) {
      yield { stretches, removed: [], isLast: false };
      [stretches, bytes] = [[], 0];
    }
    stretches.push(piece.stretch);
    bytes += piece.bytes;
  }
  yield { stretches, removed, isLast: true };
}

interface Piece {
  readonly stretch: SnapshotStretch;
  readonly bytes: number;
}

/** At least one: a head alone is news too. */
function* piecesOf(delta: HostDelta): Generator<Piece> {
  let entries: HostDelta["entries"][number][] = [];
  let bytes = 0;
  let replaces = delta.from === 0;
  for (const entry of delta.entries) {
    if (entries.length > 0 && bytes + entryBytesMax(entry) > SNAPSHOT_PART_BYTES_MAX) {
      yield { stretch: stretchOf(delta, entries, replaces), bytes };
      [entries, bytes, replaces] = [[], 0, false];
    }
    entries.push(entry);
    bytes += entryBytesMax(entry);
  }
  yield { stretch: stretchOf(delta, entries, replaces), bytes };
}

function stretchOf(
  { owner, start, to: counter, compacted, head }: HostDelta,
  entries: HostDelta["entries"],
  replaces: boolean,
): SnapshotStretch {
  const { completeAt, born, raisedAbove, root, signature } = head;
  const bornAt = { bornIncarnation: born.incarnation, bornStartId: born.startId };
  const rows = entries.map(({ key, value, version }) => [key, value, version.counter] as const);
  return {
    owner,
    ...start,
    counter,
    compacted,
    completeAt,
    ...bornAt,
    raisedAbove,
    root,
    signature,
    replaces,
    entries: rows,
  };
}

async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  // Aborted: the caller's loop ends.
  await delay(delayMs, undefined, { signal }).catch(() => undefined);
}
