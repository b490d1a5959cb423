// AcceptorFile: the database of one voter: what it promised, what it accepted, which rounds it has used up, which voter list it
// goes by. A write is one transaction, synced. Nothing here is ever set aside or made anew by itself: a voter that forgot what it
// promised could help two values to be chosen. All of it is synchronous, and belongs on a thread of its own (acceptor-worker.ts).

import { closeSync, openSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";

/** `PRAGMA user_version` of a file that this release wrote. */
const ACCEPTOR_FORMAT = 1;
/** Another process may be about to end. */
const LOCK_TIMEOUT_MS = 500;
/** What stays of the journal after a checkpoint; SQLite checkpoints at about this size. */
const JOURNAL_BYTES_MAX = 4 * 1024 * 1024;

/** A file that never was a voter's memory, or is none any more: copied without its log, cut short. */
export const NO_MEMORY = "it holds no memory of a voter";

export interface SlotRow {
  readonly register: string;
  readonly round: number;
  readonly proposer: string;
  /** `encodeVote`. */
  readonly vote: Uint8Array | null;
}

export interface AcceptorIdentity {
  readonly cluster: string;
  /** The member whose key signs for it. */
  readonly owner: string;
  /** Of a file that is made now; null: it must be there. */
  readonly newVoter: string | null;
}

export interface OpenedAcceptor {
  readonly voter: string;
  /** Every round up to it may have been used. */
  readonly reservedRound: number;
  /** Links of voter lists, oldest first. */
  readonly links: readonly Uint8Array[];
}

/** What changed. All of it is on disk or nothing. */
export interface AcceptorWrite {
  readonly slots: readonly SlotRow[];
  readonly reservedRound: number | null;
  /** By number. */
  readonly links: readonly { readonly number: number; readonly link: Uint8Array }[];
}

export class AcceptorFile {
  readonly #database: DatabaseSync;
  readonly #putSlot: StatementSync;
  readonly #putRound: StatementSync;
  readonly #putLink: StatementSync;

  /** Opens or makes the file, and gives its rows. Throws: it is not this voter's, or cannot be read; nothing was changed. */
  static open(
    path: string,
    identity: AcceptorIdentity,
    giveRow: (row: SlotRow) => void,
  ): { readonly file: AcceptorFile; readonly opened: OpenedAcceptor } {
    closeSync(openSync(path, "a", 0o600));
    const database = new DatabaseSync(path, { timeout: LOCK_TIMEOUT_MS });
    try {
      prepare(database, identity);
      const opened = readVoter(database, identity);
      readRows(database, giveRow);
      return { file: new AcceptorFile(database), opened };
    } catch (error) {
      database.close();
      throw error;
    }
  }

  private constructor(database: DatabaseSync) {
    this.#database = database;
    this.#putSlot = database.prepare("INSERT OR REPLACE INTO slot VALUES (?, ?, ?, ?)");
    this.#putRound = database.prepare("UPDATE voter SET reserved_round = ?");
    this.#putLink = database.prepare("INSERT OR REPLACE INTO link VALUES (?, ?)");
  }

  /** Returns once all of it is on disk. Throws: nothing of it is. */
  write({ slots, reservedRound, links }: AcceptorWrite): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      for (const { register, round, proposer, vote } of slots)
        this.#putSlot.run(register, round, proposer, vote);
      if (reservedRound !== null) this.#putRound.run(reservedRound);
      for (const { number, link } of links) this.#putLink.run(number, link);
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

function prepare(database: DatabaseSync, { cluster, owner, newVoter }: AcceptorIdentity): void {
  // EXCLUSIVE: no second process. FULL: with WAL only this syncs at each commit.
  database.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    PRAGMA journal_size_limit = ${JOURNAL_BYTES_MAX}; PRAGMA trusted_schema = OFF`);
  const format = Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
  if (format === ACCEPTOR_FORMAT) return;
  if (format !== 0)
    throw new Error(
      `it has format ${format}, this release reads ${ACCEPTOR_FORMAT}: run the one that wrote it`,
    );
  if (newVoter === null) throw new Error(NO_MEMORY);
  database.exec(`BEGIN IMMEDIATE;
    CREATE TABLE voter (
      cluster TEXT NOT NULL, owner TEXT NOT NULL, id TEXT NOT NULL, reserved_round INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE slot (
      register TEXT PRIMARY KEY, round INTEGER NOT NULL, proposer TEXT NOT NULL, vote BLOB
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE link (number INTEGER PRIMARY KEY, link BLOB NOT NULL) STRICT;
    PRAGMA user_version = ${ACCEPTOR_FORMAT}`);
  database.prepare("INSERT INTO voter VALUES (?, ?, ?, 0)").run(cluster, owner, newVoter);
  database.exec("COMMIT");
}

function readVoter(database: DatabaseSync, { cluster, owner }: AcceptorIdentity): OpenedAcceptor {
  const row = database.prepare("SELECT * FROM voter").get();
  if (row === undefined) throw new Error("it names no voter");
  if (row["cluster"] !== cluster) throw new Error(`it is of another cluster, ${row["cluster"]}`);
  if (row["owner"] !== owner) throw new Error(`it is of another member, ${row["owner"]}`);
  const links = database.prepare("SELECT link FROM link ORDER BY number").all();
  return {
    voter: String(row["id"]),
    reservedRound: Number(row["reserved_round"]),
    links: links.map(({ link }) => link as Uint8Array),
  };
}

function readRows(database: DatabaseSync, giveRow: (row: SlotRow) => void): void {
  for (const row of database.prepare("SELECT * FROM slot").iterate()) {
    giveRow({
      register: String(row["register"]),
      round: Number(row["round"]),
      proposer: String(row["proposer"]),
      vote: row["vote"] as Uint8Array | null,
    });
  }
}
