// DurableMapFile: the database of a DurableMap. A write is one transaction, synced. Synchronous: it belongs on a thread of its own.

import { closeSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

/** `PRAGMA user_version` of a file that this release wrote. */
const MAP_FORMAT = 1;
/** Another process may be about to end: a gate that stops finishes what runs for 10 s. */
const LOCK_TIMEOUT_MS = 12_000;

export interface DurableMapRow {
  readonly key: string;
  readonly value: Uint8Array;
}

export interface DurableMapChange {
  readonly key: string;
  /** Null: it is gone. */
  readonly value: Uint8Array | null;
}

export class DurableMapFile {
  readonly #database: DatabaseSync;

  /** Opens or makes the file, and gives its rows. Throws: it is another one's, or cannot be read; nothing was changed. */
  static open(
    { path, owner }: { readonly path: string; readonly owner: string },
    giveRow: (row: DurableMapRow) => void,
  ): DurableMapFile {
    closeSync(openSync(path, "a", 0o600));
    const database = new DatabaseSync(path, { timeout: LOCK_TIMEOUT_MS });
    try {
      prepare(database, owner);
      for (const row of database.prepare("SELECT key, value FROM item").iterate())
        giveRow({ key: String(row["key"]), value: row["value"] as Uint8Array });
      return new DurableMapFile(database);
    } catch (error) {
      database.close();
      throw error;
    }
  }

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Returns once all of it is on disk. Throws: nothing of it is. */
  write(changes: readonly DurableMapChange[]): void {
    const put = this.#database.prepare("INSERT OR REPLACE INTO item VALUES (?, ?)");
    const remove = this.#database.prepare("DELETE FROM item WHERE key = ?");
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      for (const { key, value } of changes) {
        if (value === null) remove.run(key);
        else put.run(key, value);
      }
      this.#database.exec("COMMIT");
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }
}

function prepare(database: DatabaseSync, owner: string): void {
  // EXCLUSIVE: no second process. FULL: with WAL only this syncs at each commit.
  database.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    PRAGMA trusted_schema = OFF`);
  const format = Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
  if (format !== 0 && format !== MAP_FORMAT)
    throw new Error(`it has format ${format}: run the release that wrote it`);
  if (format === 0) {
    database.exec(`BEGIN IMMEDIATE;
      CREATE TABLE owner (name TEXT NOT NULL) STRICT;
      CREATE TABLE item (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
      PRAGMA user_version = ${MAP_FORMAT}`);
    database.prepare("INSERT INTO owner VALUES (?)").run(owner);
    database.exec("COMMIT");
  }
  const found = database.prepare("SELECT name FROM owner").get()?.["name"];
  if (found !== owner) throw new Error(`it is of ${found}, not of ${owner}`);
}
