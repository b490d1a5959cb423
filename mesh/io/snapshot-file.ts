// SnapshotFile: the snapshot's database. One row for each host state with the head that its owner signed, one for each of its
// entries; a batch is one transaction, so that a kill at any moment leaves the states of before it or of after it.
// All of it is synchronous, and belongs on a thread that has nothing else to do (snapshot-worker.ts).

import { closeSync, existsSync, openSync, renameSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { messageOf } from "../result.ts";

/** `PRAGMA user_version` of a file that this release wrote. */
const SNAPSHOT_FORMAT = 1;
/** Behind the name of a file that could not be used; the one that was there before goes. */
export const SET_ASIDE_SUFFIX = ".set-aside";
/** Another process may be about to end. */
const LOCK_TIMEOUT_MS = 500;
/** What stays of the journal after a checkpoint; SQLite checkpoints at about this size. */
const JOURNAL_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Result codes of SQLite that say nothing against the file: the system, the disk or another process is in the way. PERM,
 * BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN.
 */
const PASSING_CODES: ReadonlySet<number> = new Set([3, 5, 6, 7, 8, 9, 10, 13, 14]);

/** It is a database, but none that this release and this cluster wrote. */
class ForeignFileError extends Error {
  override readonly name = "ForeignFileError";
}

type EntryRow = readonly [key: string, value: Uint8Array | null, counter: number];

/** Part of a batch: some entries of one host state, and what it is once all of the batch is there. */
export interface SnapshotStretch {
  readonly owner: string;
  readonly incarnation: number;
  readonly startId: number;
  readonly counter: number;
  /** Tombstones at or below it are not kept. */
  readonly compacted: number;
  readonly completeAt: number;
  readonly bornIncarnation: number;
  readonly bornStartId: number;
  readonly raisedAbove: number;
  readonly root: Uint8Array;
  readonly signature: Uint8Array;
  /** What was there of this owner goes first. */
  readonly replaces: boolean;
  readonly entries: readonly EntryRow[];
}

export interface SnapshotPart {
  readonly stretches: readonly SnapshotStretch[];
  /** Owners of whom nothing stays. */
  readonly removed: readonly string[];
  /** With this one the batch is whole: commit. */
  readonly isLast: boolean;
}

/** What the file says of one owner. Nothing of it was checked: numbers may be any, or not whole. */
export interface RawMark {
  readonly owner: string;
  readonly incarnation: number;
  readonly startId: number;
  readonly counter: number;
  readonly compacted: number;
}

/** A host state as the codec's list of plain values (`decodeDeltaFields`), unchecked. */
export type RawState = readonly unknown[];

interface SnapshotBounds {
  readonly owners: number;
  readonly entriesPerOwner: number;
}

export interface OpenedSnapshot {
  readonly file: SnapshotFile;
  readonly marks: readonly RawMark[];
  /** Why what was there could not be used, and was moved out of the way; null: it could, or there was nothing. */
  readonly setAside: string | null;
}

export interface OpenRequest {
  /** Its folder must be there. */
  readonly path: string;
  /** A file of another one is set aside. */
  readonly cluster: string;
  readonly bounds: SnapshotBounds;
}

/**
 * Opens or makes the file, and gives each state in it to `onState`. A file that cannot be used is set aside, and a new one
 * made; states that it gave before that was found out were given. Throws when the disk or another process is in the way.
 */
export function openSnapshot(request: OpenRequest, onState: (state: RawState) => void): OpenedSnapshot {
  try {
    return { ...openOnce(request, onState), setAside: null };
  } catch (error) {
    if (!isFilesFault(error)) throw error;
    setAside(request.path);
    return {
      ...openOnce(request, onState),
      setAside: messageOf(error),
    };
  }
}

function openOnce(
  { path, cluster, bounds }: OpenRequest,
  onState: (state: RawState) => void,
): Pick<OpenedSnapshot, "file" | "marks"> {
  // Readable by us alone; the journal takes after it.
  closeSync(openSync(path, "a", 0o600));
  const database = new DatabaseSync(path, { timeout: LOCK_TIMEOUT_MS, readBigInts: true });
  try {
    prepare(database, cluster);
    const marks = readStates(database, bounds, onState);
    return { file: new SnapshotFile(database), marks };
  } catch (error) {
    database.close();
    throw error;
  }
}

function prepare(database: DatabaseSync, cluster: string): void {
  // EXCLUSIVE: no shared memory beside the file, and no second writer. FULL: with WAL only this syncs at each commit.
  database.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    PRAGMA journal_size_limit = ${JOURNAL_BYTES_MAX}; PRAGMA trusted_schema = OFF`);
  const format = Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
  if (format !== 0 && format !== SNAPSHOT_FORMAT) {
    throw new ForeignFileError(`it has format ${format}, this release reads ${SNAPSHOT_FORMAT}`);
  }
  if (format === 0) create(database, cluster);
  const owner = database.prepare("SELECT cluster FROM snapshot").get()?.["cluster"];
  if (owner !== cluster) throw new ForeignFileError("it is of another cluster");
}

function create(database: DatabaseSync, cluster: string): void {
  database.exec(`BEGIN IMMEDIATE;
    CREATE TABLE snapshot (cluster TEXT NOT NULL) STRICT;
    CREATE TABLE state (
      owner TEXT PRIMARY KEY, incarnation INTEGER NOT NULL, start_id INTEGER NOT NULL, counter INTEGER NOT NULL,
      compacted INTEGER NOT NULL, complete_at INTEGER NOT NULL, born_incarnation INTEGER NOT NULL,
      born_start_id INTEGER NOT NULL, raised_above INTEGER NOT NULL, root BLOB NOT NULL, signature BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE entry (
      owner TEXT NOT NULL, key TEXT NOT NULL, counter INTEGER NOT NULL, value BLOB, PRIMARY KEY (owner, key)
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = ${SNAPSHOT_FORMAT}`);
  database.prepare("INSERT INTO snapshot (cluster) VALUES (?)").run(cluster);
  database.exec("COMMIT");
}

function readStates(
  database: DatabaseSync,
  bounds: SnapshotBounds,
  onState: (state: RawState) => void,
): readonly RawMark[] {
  const entriesOf = database.prepare(
    "SELECT key, value, counter FROM entry WHERE owner = ? ORDER BY counter LIMIT ?",
  );
  const marks: RawMark[] = [];
  for (const row of database.prepare("SELECT * FROM state LIMIT ?").iterate(bounds.owners)) {
    const mark = {
      owner: String(row["owner"]),
      incarnation: Number(row["incarnation"]),
      startId: Number(row["start_id"]),
      counter: Number(row["counter"]),
      compacted: Number(row["compacted"]),
    };
    const { owner, incarnation, startId, counter, compacted } = mark;
    // One more than can be held is refused as such.
    const entries = entriesOf
      .all(owner, bounds.entriesPerOwner + 1)
      .map((entry) => [entry["key"], entry["value"], Number(entry["counter"])]);
    const born = [Number(row["born_incarnation"]), Number(row["born_start_id"])];
    const signed = [Number(row["raised_above"]), row["root"], row["signature"]];
    const head = [counter, Number(row["complete_at"]), ...born, ...signed];
    onState([owner, incarnation, startId, 0, counter, compacted, false, head, entries]);
    marks.push(mark);
  }
  return marks;
}

/** True if no patience will make it readable. */
function isFilesFault(error: unknown): boolean {
  if (error instanceof ForeignFileError) return true;
  const { code, errcode } = error as { readonly code?: unknown; readonly errcode?: unknown };
  // The low byte is the code, the rest says it more closely ("Result Codes" of SQLite's C interface).
  return code === "ERR_SQLITE_ERROR" && typeof errcode === "number" && !PASSING_CODES.has(errcode & 0xff);
}

function setAside(path: string): void {
  for (const suffix of ["", "-wal", "-journal"]) {
    if (existsSync(path + suffix)) renameSync(path + suffix, path + SET_ASIDE_SUFFIX + suffix);
  }
}

export class SnapshotFile {
  readonly #database: DatabaseSync;
  readonly #removeState: StatementSync;
  readonly #removeEntries: StatementSync;
  readonly #removeTombstones: StatementSync;
  readonly #compactedOf: StatementSync;
  readonly #putEntry: StatementSync;
  readonly #putState: StatementSync;
  #isInBatch = false;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#removeState = database.prepare("DELETE FROM state WHERE owner = ?");
    this.#removeEntries = database.prepare("DELETE FROM entry WHERE owner = ?");
    this.#removeTombstones = database.prepare(
      "DELETE FROM entry WHERE owner = ? AND value IS NULL AND counter <= ?",
    );
    this.#compactedOf = database.prepare("SELECT compacted FROM state WHERE owner = ?");
    this.#putEntry = database.prepare(
      "INSERT OR REPLACE INTO entry (owner, key, value, counter) VALUES (?, ?, ?, ?)",
    );
    this.#putState = database.prepare(
      "INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
  }

  /** With the last part of a batch it returns once all of that is on disk. Throws: the file is closed, nothing of it is. */
  write(part: SnapshotPart): void {
    try {
      if (!this.#isInBatch) this.#database.exec("BEGIN IMMEDIATE");
      this.#isInBatch = true;
      for (const owner of part.removed) this.#remove(owner);
      for (const stretch of part.stretches) this.#put(stretch);
      if (!part.isLast) return;
      this.#database.exec("COMMIT");
      this.#isInBatch = false;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** What was not committed is gone. */
  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  #remove(owner: string): void {
    this.#removeState.run(owner);
    this.#removeEntries.run(owner);
  }

  #put(stretch: SnapshotStretch): void {
    const { owner, counter, compacted } = stretch;
    if (stretch.replaces) this.#remove(owner);
    for (const [key, value, entryCounter] of stretch.entries) {
      this.#putEntry.run(owner, key, value, entryCounter);
    }
    const before = Number(this.#compactedOf.get(owner)?.["compacted"] ?? 0);
    if (compacted > before) this.#removeTombstones.run(owner, compacted);
    const { incarnation, startId, completeAt, bornIncarnation, bornStartId } = stretch;
    const { raisedAbove, root, signature } = stretch;
    const numbers = [counter, compacted, completeAt, bornIncarnation, bornStartId, raisedAbove];
    this.#putState.run(owner, incarnation, startId, ...numbers, root, signature);
  }
}
