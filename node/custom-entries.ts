// Custom entries: facts that people spread through this agent, under `custom/`. Each is on disk before the mesh hears of it,
// and restored before our new start is announced: what was answered survives a kill at any moment (`no-lost-entry`).

import type { Logger } from "pino";
import { type ZodType, z } from "zod";
import {
  type AppliedReport,
  decodeRecord,
  ENTRY_VALUE_BYTES_MAX,
  encodeRecord,
  type Mesh,
  messageOf,
  TOMBSTONE_GRACE_MS,
  type Version,
} from "../mesh/index.ts";
import type { CustomFile } from "./custom-file.ts";

/** Of the keys of entries that people put. */
export const CUSTOM_PREFIX = "custom/";
/** With the prefix within the bound of an entry's key, and safe in a path: see `keyProblem`. */
const KEY_CHARS_MAX = 249;
const KEY_SEGMENT = /^(?!\.{1,2}$)[A-Za-z0-9._~:@=+,-]+$/;
/** All of them are one file, which each write replaces: some milliseconds of a disk. */
const ENTRIES_MAX = 1_000;
const VALUES_BYTES_MAX: number = 4 * 1024 * 1024;
/** With those deleted lately, which the mesh keeps as tombstones. Half of an owner's bound: our VMs must find room. */
const KEYS_MAX = 10_000;
/** The mesh collects them within its grace and one round of collection. */
const DELETED_KEPT_MS: number = TOMBSTONE_GRACE_MS + 60 * 60 * 1_000;

/** Waits until the write is in force at every one, at most so long, and no longer than `signal`. */
export interface WaitOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * - `written`: on disk and in the mesh; `applied` is there if a wait was asked for, and never rejects.
 * - `invalid`: the key cannot be one. `too-large`: over a bound. `not-found`: nothing to delete. Nothing changed.
 * - `unavailable`: the disk failed, or we stop. Nothing changed; try again later.
 */
export type EntryWrite =
  | {
      readonly code: "written";
      readonly key: string;
      readonly version: Version;
      readonly applied: Promise<AppliedReport> | null;
    }
  | { readonly code: "invalid" | "too-large" | "not-found" | "unavailable"; readonly message: string };

export interface CustomEntriesDeps {
  readonly mesh: Mesh;
  readonly file: CustomFile;
  readonly logger: Pick<Logger, "info" | "error">;
  /** Milliseconds on a clock that never goes back. */
  readonly nowMs: () => number;
}

type Values = ReadonlyMap<string, Uint8Array>;

export class CustomEntries {
  readonly #deps: CustomEntriesDeps;
  /** By key without the prefix: what the file holds. */
  #values: Values = new Map();
  /** Deleted since our start, the oldest first, and when. */
  readonly #deleted = new Map<string, number>();
  /** One at a time: a change is a new file. */
  #last: Promise<unknown> = Promise.resolve();
  #isStopped = false;
  #failures = 0;

  constructor(deps: CustomEntriesDeps) {
    this.#deps = deps;
  }

  /** Writes what an earlier start left into the mesh. Call once, before `announce`. A file that cannot be read is kept beside. */
  async restore(): Promise<void> {
    const { file, logger } = this.#deps;
    const bytes = await file.read();
    const decoded = bytes === undefined ? undefined : decodeRecord(fileShape, bytes);
    if (decoded?.ok === false) {
      const keptAs = await file.setAside();
      logger.error({ reason: decoded.error, keptAs }, "custom entries cannot be read: going on without them");
      return;
    }
    this.#values = new Map(decoded?.value.entries.map(({ key, value }) => [key, value]));
    for (const [key, value] of this.#values) this.#deps.mesh.write(`${CUSTOM_PREFIX}${key}`, value);
    if (this.#values.size > 0) logger.info({ entries: this.#values.size }, "custom entries restored");
  }

  /** Putting the bytes that are there changes nothing: a put whose answer was lost can be repeated, and waited for again. */
  async put(key: string, value: Uint8Array, wait: WaitOptions | null): Promise<EntryWrite> {
    const problem = keyProblem(key);
    if (problem !== null) return { code: "invalid", message: problem };
    if (value.length > ENTRY_VALUE_BYTES_MAX)
      return tooLarge(`a value has at most ${ENTRY_VALUE_BYTES_MAX} bytes`);
    return this.#serially(async () => {
      const next = new Map(this.#values).set(key, value);
      return this.#boundProblem(key, next) ?? (await this.#commit(key, next, wait));
    });
  }

  /** Deleting what was deleted since our start changes nothing, and can be waited for again. */
  async delete(key: string, wait: WaitOptions | null): Promise<EntryWrite> {
    return this.#serially(async () => {
      const name = `${CUSTOM_PREFIX}${key}`;
      if (this.#deleted.has(key)) return this.#write(key, null, wait);
      if (!this.#values.has(key)) {
        const message = `this agent has no entry ${name}: only the agent that wrote it deletes it`;
        return { code: "not-found", message };
      }
      const next = new Map(this.#values);
      next.delete(key);
      return this.#commit(key, next, wait);
    });
  }

  /** Resolves when nothing is being written any more; what comes later is refused. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#last;
  }

  /** In Prometheus' text format. */
  metrics(): string {
    return [
      `grapevine_custom_entries ${this.#values.size}`,
      `grapevine_custom_entries_bytes ${bytesOf(this.#values)}`,
      `grapevine_custom_entries_disk_failures_total ${this.#failures}`,
    ].join("\n");
  }

  #serially(change: () => Promise<EntryWrite>): Promise<EntryWrite> {
    const stopping: EntryWrite = { code: "unavailable", message: "this agent stops; nothing was changed" };
    const done = this.#last.then(() => (this.#isStopped ? stopping : change()));
    this.#last = done.catch(() => undefined);
    return done;
  }

  #boundProblem(key: string, next: Values): EntryWrite | null {
    if (next.size > ENTRIES_MAX) return tooLarge(`this agent keeps at most ${ENTRIES_MAX} custom entries`);
    if (bytesOf(next) > VALUES_BYTES_MAX)
      return tooLarge(`this agent keeps at most ${VALUES_BYTES_MAX} bytes of custom entries`);
    this.#forgetDeleted();
    const isNew = !this.#values.has(key) && !this.#deleted.has(key);
    if (isNew && this.#values.size + this.#deleted.size >= KEYS_MAX)
      return tooLarge(`this agent keeps at most ${KEYS_MAX} keys, with those deleted in the last 25 hours`);
    return null;
  }

  /** Disk first. */
  async #commit(key: string, next: Values, wait: WaitOptions | null): Promise<EntryWrite> {
    const value = next.get(key) ?? null;
    if (!isSame(this.#values.get(key), value)) {
      const failure = await this.#save(next);
      if (failure !== null) return failure;
    }
    this.#values = next;
    if (value === null) this.#deleted.set(key, this.#deps.nowMs());
    else this.#deleted.delete(key);
    return this.#write(key, value, wait);
  }

  async #save(next: Values): Promise<EntryWrite | null> {
    const { file, logger } = this.#deps;
    const entries = [...next].map(([key, value]) => ({ key, value }));
    try {
      await file.write(encodeRecord({ format: 1, entries }));
      return null;
    } catch (error) {
      this.#failures += 1;
      logger.error({ err: error }, "custom entries cannot be written to disk");
      const reason = messageOf(error);
      return { code: "unavailable", message: `cannot be written to disk, nothing was changed: ${reason}` };
    }
  }

  /** In one breath: the members that are waited for are those of the write. */
  #write(key: string, value: Uint8Array | null, wait: WaitOptions | null): EntryWrite {
    const { mesh } = this.#deps;
    const name = `${CUSTOM_PREFIX}${key}`;
    const version = mesh.write(name, value);
    if (wait === null) return { code: "written", key: name, version, applied: null };
    const signal = AbortSignal.any([wait.signal, AbortSignal.timeout(wait.timeoutMs)]);
    return { code: "written", key: name, version, applied: mesh.whenApplied(version, signal) };
  }

  #forgetDeleted(): void {
    const beforeMs = this.#deps.nowMs() - DELETED_KEPT_MS;
    for (const [key, deletedAtMs] of this.#deleted) {
      if (deletedAtMs >= beforeMs) return;
      this.#deleted.delete(key);
    }
  }
}

/** Null: it can be a key. Segments that a URL would resolve or an HTTP client rewrite are none. */
function keyProblem(key: string): string | null {
  const isGood = key.length <= KEY_CHARS_MAX && key.split("/").every((segment) => KEY_SEGMENT.test(segment));
  if (isGood) return null;
  return `a key has 1 to ${KEY_CHARS_MAX} of A-Z a-z 0-9 . _ ~ : @ = + , - and single slashes between; no segment is . or ..`;
}

function tooLarge(message: string): EntryWrite {
  return { code: "too-large", message };
}

function bytesOf(values: Values): number {
  return [...values.values()].reduce((sum, value) => sum + value.length, 0);
}

function isSame(held: Uint8Array | undefined, value: Uint8Array | null): boolean {
  return held !== undefined && value !== null && Buffer.compare(held, value) === 0;
}

interface FileContent {
  readonly format: 1;
  readonly entries: readonly { readonly key: string; readonly value: Uint8Array }[];
}

const fileShape: ZodType<FileContent> = z.strictObject({
  format: z.literal(1),
  entries: z
    .array(
      z.strictObject({
        key: z.string().refine((key) => keyProblem(key) === null, "no key"),
        value: z
          .instanceof(Uint8Array)
          .refine((value) => value.length <= ENTRY_VALUE_BYTES_MAX, "over the bound of a value"),
      }),
    )
    .max(ENTRIES_MAX),
});
