// State lock: one process for one state folder. The system gives it back when the process ends, however it ends.

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

const LOCK_FILE = "lock";
/** SQLITE_BUSY (sqlite.org/rescode.html): another process holds it. */
const BUSY = 5;

/** Another process uses the folder. Nothing was changed. */
export class StateLockedError extends Error {
  override readonly name = "StateLockedError";
}

export interface StateLock {
  release(): void;
}

/** Throws `StateLockedError`. `folder` must exist. */
export function lockState(folder: string): StateLock {
  const database = new DatabaseSync(join(folder, LOCK_FILE), { timeout: 0 });
  try {
    // A record lock of the system's, which SQLite has for all of them; there is nothing in the file.
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (Reflect.get(Object(error), "errcode") !== BUSY) throw error;
    throw new StateLockedError(
      `${folder} is in use by another process, which may be about to end: wait for it, or choose another folder`,
    );
  }
  return {
    release: () => {
      if (database.isOpen) database.close();
    },
  };
}
