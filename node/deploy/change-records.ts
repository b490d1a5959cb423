// Change records: a person's word put into the records of one app or several, one swap each, against the machines that swap them too.

import {
  type AppName,
  type AppRecord,
  type CommittedApp,
  messageOf,
  NoMajorityError,
  type Register,
} from "../../mesh/index.ts";

/** `unavailable`: said again it goes on; `apps` are done. `invalid`: `message` says what to do; nothing changed. */
export type RecordsResult =
  | { readonly code: "done"; readonly apps: readonly AppName[] }
  | { readonly code: "invalid"; readonly message: string }
  | { readonly code: "unavailable"; readonly message: string; readonly apps: readonly AppName[] };

export interface RecordsDeps {
  readonly register: Register;
  readonly learn: (committed: CommittedApp) => void;
  readonly wallMs: () => number;
}

export interface RecordsChange {
  /** Of the apps that are not deleted. */
  readonly isMeant: (record: AppRecord) => boolean;
  /** The record itself: it stands so already. Throws what stands in the way. */
  readonly changed: (record: AppRecord) => AppRecord;
}

/** Swaps for one app that may lose against the machine of its rollout before it is given up. */
const TRIES_MAX = 10;

export async function changeRecords(
  deps: RecordsDeps,
  { isMeant, changed }: RecordsChange,
): Promise<Exclude<RecordsResult, { readonly code: "invalid" }>> {
  const apps: AppName[] = [];
  try {
    await deps.register.readAll();
    const known = deps.register.known().filter(({ record }) => !record.deleted && isMeant(record));
    for (const { record } of known) {
      await changeRecord(deps, record.app, changed);
      apps.push(record.app);
    }
    return { code: "done", apps };
  } catch (error) {
    return { code: "unavailable", message: messageOf(error), apps };
  }
}

export interface ChangedRecord {
  /** What stands. */
  readonly committed: CommittedApp;
  /** False: it stood so already, and was not committed again. */
  readonly isChanged: boolean;
}

/** Null: there is no such app. Throws what `changed` does, `NoMajorityError`, and when others are always faster. */
export async function changeRecord(
  { register, learn }: RecordsDeps,
  app: AppName,
  changed: RecordsChange["changed"],
): Promise<ChangedRecord | null> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const committed = await register.read(app);
    if (committed === null || committed.record.deleted) return null;
    const next = changed(committed.record);
    if (next === committed.record) return { committed, isChanged: false };
    const result = await register.swap(app, committed.epoch, next);
    if (result.code === "committed") {
      learn(result.committed);
      return { committed: result.committed, isChanged: true };
    }
    if (result.code === "unavailable") throw new NoMajorityError(result.missing);
  }
  throw new Error(`the record of ${app} could not be changed: try again`);
}
