// Gather folder: whether a state folder can keep what a member promises to have on disk. A file is written, synced and taken away
// again: what the system says of permissions is not what root, or a file system that is read only, makes of them.

import { open, readFile, rm, stat, statfs } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DOCTOR_SYNC_MS } from "../../limits.ts";
import type { Target } from "./target.ts";

export interface FolderFacts {
  readonly stateDir: string;
  /** The nearest folder that is there: it itself, or what the start would make it in. */
  readonly at: string;
  readonly isThere: boolean;
  readonly mode: number | null;
  /** Bytes that are free for this user; null: not known. */
  readonly freeBytes: number | null;
  /** null: the file system has no such number. */
  readonly freeFiles: number | null;
  readonly write: WriteFacts;
}

/** `code` "timeout": it was not over within `DOCTOR_SYNC_MS`. */
type WriteFacts =
  | { readonly ok: true; readonly syncMs: number }
  | { readonly ok: false; readonly code: string };

export interface KeyFacts {
  readonly file: string;
  /** null: it is there and was read. "ENOENT": the start makes one. */
  readonly code: string | null;
  readonly mode: number | null;
  /** It begins and ends as libp2p's protobuf of an Ed25519 key does. */
  readonly isKey: boolean;
  /** Of the last start; null: there was none. */
  readonly incarnation: number | null;
  readonly nowMs: number;
}

/** As mesh/io/identity.ts names them. */
const KEY_FILE = "mesh-key";
const INCARNATION_FILE = "mesh-incarnation";
/** Type Ed25519, then 64 bytes (libp2p specs, peer-ids). */
const KEY_HEAD = Buffer.from([0x08, 0x01, 0x12, 0x40]);
const KEY_BYTES = 68;
/** Of a probe: a page of the disk. */
const PROBE_BYTES = 4_096;
const SYNCS = 3;

export async function gatherFolder(stateDir: string): Promise<FolderFacts> {
  const at = await nearest(stateDir);
  const [status, space, write] = await Promise.all([
    stat(at).catch(() => null),
    statfs(at).catch(() => null),
    within(DOCTOR_SYNC_MS, probe(at)),
  ]);
  return {
    stateDir,
    at,
    isThere: at === stateDir && status?.isDirectory() === true,
    mode: status === null ? null : status.mode & 0o7777,
    // Some file systems count no blocks or no inodes, and say 0 of 0.
    freeBytes: space === null || space.blocks === 0 ? null : space.bavail * space.bsize,
    freeFiles: space === null || space.files === 0 ? null : space.ffree,
    write,
  };
}

export async function gatherKey({ stateDir }: Pick<Target, "stateDir">, nowMs: number): Promise<KeyFacts> {
  const file = path.join(stateDir, KEY_FILE);
  const incarnation = await readFile(path.join(stateDir, INCARNATION_FILE), "utf8").then(Number, () => null);
  const facts = { file, nowMs, incarnation: Number.isSafeInteger(incarnation) ? incarnation : null };
  try {
    const [bytes, { mode }] = [await readFile(file), await stat(file)];
    const isKey = bytes.length === KEY_BYTES && bytes.subarray(0, KEY_HEAD.length).equals(KEY_HEAD);
    return { ...facts, code: null, mode: mode & 0o777, isKey };
  } catch (error) {
    return { ...facts, code: codeOf(error), mode: null, isKey: false };
  }
}

async function nearest(folder: string): Promise<string> {
  const isThere = await stat(folder).then(
    () => true,
    (error: unknown) => !["ENOENT", "ENOTDIR"].includes(codeOf(error)),
  );
  const parent = path.dirname(folder);
  return isThere || parent === folder ? folder : nearest(parent);
}

/** The median of a few writes, each synced as a register's is. */
async function probe(folder: string): Promise<WriteFacts> {
  const file = path.join(folder, `.grapevine-doctor-${process.pid}`);
  try {
    const handle = await open(file, "wx", 0o600);
    const tookMs: number[] = [];
    try {
      for (let at = 0; at < SYNCS; at++) {
        const startedAtMs = performance.now();
        await handle.write(Buffer.alloc(PROBE_BYTES), 0, PROBE_BYTES, 0);
        await handle.sync();
        tookMs.push(performance.now() - startedAtMs);
      }
    } finally {
      await handle.close();
    }
    const middle = tookMs.sort((left, right) => left - right)[Math.floor(SYNCS / 2)] ?? 0;
    return { ok: true, syncMs: middle };
  } catch (error) {
    return { ok: false, code: codeOf(error) };
  } finally {
    await rm(file, { force: true }).catch(() => undefined);
  }
}

async function within(ms: number, work: Promise<WriteFacts>): Promise<WriteFacts> {
  const timer = new AbortController();
  const late = sleep(ms, { ok: false, code: "timeout" } as const, { signal: timer.signal });
  // Of the timer that is not needed any more.
  late.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
