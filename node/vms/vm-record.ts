// VM record: what this host writes down of a VM, so that an agent that was killed at any moment finds it again: vm.json.

import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import {
  fail,
  ok,
  type Release,
  type Result,
  releaseShape,
  type VmEntry,
  vmEntryShape,
  vmName,
} from "../../mesh/index.ts";
import { isBlind } from "./process-table.ts";
import type { VmHandle } from "./vm-driver.ts";

export interface VmRecord {
  readonly format: 1;
  readonly release: Release;
  /** It runs the release command: a start of it is written down once. */
  readonly isCommand?: boolean;
  /** As it was published last; its health is what a restarted agent goes on with. */
  readonly entry: VmEntry;
  /** Of the process that was running when this was written. */
  readonly handle: VmHandle | null;
  /** A start that may have happened: written before it, replaced by the handle after it. */
  readonly starting: {
    /** Null of a release command. */
    readonly address: { readonly host: string; readonly port: number } | null;
    readonly startedAtMs: number;
  } | null;
}

const FILE = "vm.json";

const recordShape = z.strictObject({
  format: z.literal(1),
  release: releaseShape,
  isCommand: z.exactOptional(z.boolean()),
  entry: vmEntryShape,
  handle: z
    .strictObject({
      driver: z.string(),
      vm: z.string().transform(vmName),
      identity: z.record(z.string(), z.union([z.string(), z.number()])),
    })
    .nullable(),
  starting: z
    .strictObject({
      address: z.strictObject({ host: z.string(), port: z.number().int() }).nullable(),
      startedAtMs: z.number(),
    })
    .nullable(),
});

/**
 * Writes the record in place of the old one, whole. Synchronous, so that no other change of the VM comes between: a few
 * KiB to the page cache, ~0.1 ms. Not synced to disk: what a power cut takes from the file it took from the VMs too. Of a release
 * command that is not so, since what it did is elsewhere: it is synced, so that no agent starts it again.
 */
export function writeVmRecord(folder: string, record: VmRecord): void {
  const file = join(folder, FILE);
  const isSynced = record.isCommand === true;
  writeFileSync(`${file}.new`, JSON.stringify(record), { mode: 0o600, flush: isSynced });
  renameSync(`${file}.new`, file);
  if (isSynced) for (const path of [folder, dirname(folder)]) syncFolderNow(path);
}

/** What was renamed in it, and itself in the folder above, are names that a power cut takes as well. */
function syncFolderNow(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Fails for a record that is not there or is none. Throws when we cannot look (`isBlind`): it may be as good as ever. */
export function readVmRecord(folder: string): Result<VmRecord> {
  try {
    const parsed = recordShape.safeParse(JSON.parse(readFileSync(join(folder, FILE), "utf8")));
    return parsed.success ? ok(parsed.data) : fail(z.prettifyError(parsed.error));
  } catch (error) {
    if (isBlind(error)) throw error;
    return fail((error as Error).message);
  }
}
