// Register store: the register of a cluster with one voter. Each commit is on disk, synced, before anyone hears of it.

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { type AppName, appName } from "../core/ids.ts";
import { ENTRY_VALUE_BYTES_MAX } from "../limits.ts";
import {
  type AppRecord,
  type CommittedApp,
  decodeAppRecord,
  encodeAppRecord,
  encodeCommittedApp,
} from "../records/app.ts";
import { decideSwap } from "../register/decide-swap.ts";
import type { Register, SwapResult } from "../register/register.ts";

/** `PRAGMA user_version` of a file that this release wrote. */
const STORE_FORMAT = 1;

/**
 * The file cannot be used as it is. Nothing was changed.
 * - `locked`: another process has it open: two agents with one state folder.
 * - `unreadable`: not a database, or damaged. Restore it from a copy.
 * - `unknown-format`: a newer release wrote it.
 * - `bad-record`: one app's row cannot be decoded; the message names the app.
 */
class RegisterStoreError extends Error {
  override readonly name = "RegisterStoreError";
  readonly code: "locked" | "unreadable" | "unknown-format" | "bad-record";
  constructor(code: RegisterStoreError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** Told of each commit, and at `start` of each that is on disk. `recordBytes` are those on disk, never encoded again. */
export type CommitListener = (committed: CommittedApp, recordBytes: Uint8Array) => void;

interface Row {
  readonly committed: CommittedApp;
  readonly bytes: Uint8Array;
}

export class SingleVoterRegister implements Register {
  readonly #onCommit: CommitListener;
  readonly #database: DatabaseSync;
  readonly #write: StatementSync;
  /** What is on disk, decoded: reads cost nothing, and the file is ours alone while it is open. */
  readonly #rows: Map<AppName, Row>;

  /** Opens or makes the file. Throws `RegisterStoreError`. */
  constructor(options: { readonly path: string }, deps: { readonly onCommit: CommitListener }) {
    this.#onCommit = deps.onCommit;
    const opened = open(options.path);
    this.#database = opened.database;
    this.#rows = opened.rows;
    this.#write = opened.database.prepare(
      "INSERT INTO app (name, epoch, record) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, record = excluded.record",
    );
  }

  /** Tells the listener all that is on disk. Before `mesh.announce()`: a restarted voter must not seem to have lost its apps. */
  start(): void {
    for (const row of this.#rows.values()) this.#onCommit(row.committed, row.bytes);
  }

  async read(app: AppName): Promise<CommittedApp | null> {
    return this.#rows.get(app)?.committed ?? null;
  }

  async list(): Promise<readonly CommittedApp[]> {
    const all = [...this.#rows.values()].map((row) => row.committed);
    return all.sort((left, right) => (left.record.app < right.record.app ? -1 : 1));
  }

  /** Rejects for a record that may not be committed by anyone (a bug of the caller), and when the disk fails. */
  async swap(app: AppName, expectedEpoch: number, record: AppRecord): Promise<SwapResult> {
    const current = this.#rows.get(app)?.committed ?? null;
    const bytes = encodeAppRecord(record);
    assertReadable(app, bytes);
    const decision = decideSwap(current?.epoch ?? 0, {
      app,
      expectedEpoch,
      recordApp: record.app,
      entryBytes: encodeCommittedApp(expectedEpoch + 1, bytes).length,
      entryBytesMax: ENTRY_VALUE_BYTES_MAX,
    });
    if (decision.code === "refused") throw new RangeError(`register: ${decision.reason}`);
    if (decision.code === "conflict") return { code: "conflict", current };
    this.#write.run(app, decision.epoch, bytes);
    const committed = { epoch: decision.epoch, record };
    this.#rows.set(app, { committed, bytes });
    this.#onCommit(committed, bytes);
    return { code: "committed", committed };
  }

  stop(): void {
    if (this.#database.isOpen) this.#database.close();
  }
}

/** What nobody can decode every reader would refuse, and this voter at its next start. */
function assertReadable(app: AppName, bytes: Uint8Array): void {
  const decoded = decodeAppRecord(bytes);
  if (!decoded.ok) throw new RangeError(`register: the record of ${app} is not valid: ${decoded.error}`);
}

function open(path: string): { readonly database: DatabaseSync; readonly rows: Map<AppName, Row> } {
  // Loaded here and not at the head: whoever enters mesh by its front door must not pay for a database.
  const { DatabaseSync: Database } = process.getBuiltinModule("node:sqlite");
  let database: DatabaseSync | undefined;
  try {
    database = new Database(path, { timeout: 0 });
    // FULL: with WAL only this syncs at each commit. EXCLUSIVE: a second agent on this file fails at its start.
    database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    prepareFormat(database, path);
    return { database, rows: readRows(database, path) };
  } catch (error) {
    database?.close();
    throw storeError(error, path);
  }
}

function prepareFormat(database: DatabaseSync, path: string): void {
  const format = database.prepare("PRAGMA user_version").get()?.["user_version"];
  if (format !== 0 && format !== STORE_FORMAT) {
    throw new RegisterStoreError(
      "unknown-format",
      `${path} has format ${format}, this release reads ${STORE_FORMAT}: run the release that wrote it`,
    );
  }
  database.exec(`BEGIN IMMEDIATE;
    CREATE TABLE IF NOT EXISTS app (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, record BLOB NOT NULL) STRICT;
    PRAGMA user_version = ${STORE_FORMAT};
    COMMIT`);
}

function readRows(database: DatabaseSync, path: string): Map<AppName, Row> {
  const rows = new Map<AppName, Row>();
  for (const row of database.prepare("SELECT name, epoch, record FROM app ORDER BY name").iterate()) {
    const name = String(row["name"]);
    const { epoch, record: bytes } = row;
    if (typeof epoch !== "number" || !(bytes instanceof Uint8Array)) throw badRecord(path, name, "no epoch");
    const record = decodeAppRecord(bytes);
    if (!record.ok) throw badRecord(path, name, record.error);
    if (record.value.app !== name) throw badRecord(path, name, `it is of ${record.value.app}`);
    rows.set(appName(name), { committed: { epoch, record: record.value }, bytes });
  }
  return rows;
}

function badRecord(path: string, app: string, reason: string): RegisterStoreError {
  return new RegisterStoreError(
    "bad-record",
    `${path}: the record of app ${app} cannot be read (${reason}): restore the file from a copy`,
  );
}

/** SQLITE_BUSY, section "Result Codes" of SQLite's C interface. */
const SQLITE_BUSY = 5;

function storeError(error: unknown, path: string): RegisterStoreError {
  if (error instanceof RegisterStoreError) return error;
  const { errcode, message } = error as { readonly errcode?: number; readonly message?: string };
  if (errcode === SQLITE_BUSY) {
    return new RegisterStoreError("locked", `${path} is in use: another agent runs with this state folder`);
  }
  return new RegisterStoreError("unreadable", `${path} cannot be used (${message}): restore it from a copy`);
}
