// Register read: how a member reads all committed records at a voter, as a majority has them. What gossip brought may lack the
// newest: who commits a record writes it into its own state, and an owner that starts anew is not told what it wrote before.

import { type ZodType, z } from "zod";
import type { OwnerId } from "../../core/ids.ts";
import { compareVersions, describeVersion } from "../../core/version.ts";
import { CALL_CHUNK_BYTES_MAX, REGISTER_READ_BYTES_MAX } from "../../limits.ts";
import type { Mesh } from "../../mesh.ts";
import { appKey, appOfKey } from "../../records/app.ts";
import { decodeRecord, encodeRecord } from "../../records/record-codec.ts";
import { versionShape } from "../../records/shapes.ts";
import type { CommittedValue } from "../../register/proposer-face.ts";
import { REGISTER_READ_SERVICE, type Register, type RegisterReadRequest } from "../../register/register.ts";
import { decodeCommitted, encodeCommitted } from "../../register/register-codec.ts";
import type { CertifiedApps } from "./certified-apps.ts";
import type { RegisterContext } from "./register-context.ts";

export interface RegisterReadDeps extends Pick<RegisterContext, "mesh"> {
  readonly apps: CertifiedApps;
  /** Null: this host is no voter. */
  readonly register: () => Register | null;
}

/** The one record is cut into chunks within the call's bound: readers join them. */
export function serveRegisterRead({ mesh, apps, register }: RegisterReadDeps): void {
  mesh.handle(REGISTER_READ_SERVICE, async function* (bytes, from, signal) {
    const request = decodeRecord(registerReadRequestShape, bytes);
    if (!request.ok) throw new Error(`${REGISTER_READ_SERVICE}: ${request.error}`);
    assertHolds(mesh, request.value, from);
    // Not of a voter alone: one that does not vote yet, or lost its disk, may be asked too, and may drive later.
    if (!request.value.records) return;
    const voting = register();
    if (voting === null) throw new Error(`${mesh.self.name} is no voter`);
    await voting.readAll();
    const answer = encodeRegisterReadAnswer(
      apps
        .all()
        .map(({ record, committed }) => ({ key: appKey(record.app), value: encodeCommitted(committed) })),
    );
    for (let offset = 0; offset < answer.length && !signal.aborted; offset += CALL_CHUNK_BYTES_MAX) {
      yield answer.subarray(offset, offset + CALL_CHUNK_BYTES_MAX);
    }
  });
}

export const registerReadRequestShape: ZodType<RegisterReadRequest> = z.strictObject({
  format: z.literal(1),
  holds: z.strictObject({ key: z.string(), version: versionShape }).nullable(),
  records: z.boolean(),
});

/** What this voter commits from here on it commits knowing that entry. */
function assertHolds(mesh: Mesh, { holds }: RegisterReadRequest, from: OwnerId): void {
  if (holds === null) return;
  const { key, version } = holds;
  const held = mesh.store.get(from, key)?.version;
  if (held !== undefined && compareVersions(held, version) >= 0) return;
  throw new Error(`${mesh.self.name} does not hold ${key} at ${describeVersion(version)} yet`);
}

/** `value`: an `encodeCommitted`. */
export interface CertifiedRecord {
  readonly key: string;
  readonly value: Uint8Array;
}

const answerShape = z.strictObject({
  format: z.literal(1),
  apps: z.array(z.strictObject({ key: z.string(), value: z.instanceof(Uint8Array) })),
});

export function encodeRegisterReadAnswer(apps: readonly CertifiedRecord[]): Uint8Array {
  return encodeRecord({ format: 1, apps });
}

/** Resolves if `voter` holds this entry of ours, at that version or a newer one. Rejects if not, or if it does not say. */
export async function assertHeldAt(
  mesh: Mesh,
  { voter, holds }: { readonly voter: OwnerId; readonly holds: RegisterReadRequest["holds"] },
  signal: AbortSignal,
): Promise<void> {
  await ask(mesh, voter, { format: 1, holds, records: false }, signal);
}

export interface RecordTaker {
  readonly mesh: Mesh;
  readonly registers: { readonly apps: CertifiedApps };
}

/**
 * Resolves once all records that `voter` read at a majority are in force here, or newer ones are, to the keys of those that are
 * certified and that this release cannot read. Rejects with which one is refused, and why.
 */
export async function takeRecords(
  { mesh, registers: { apps } }: RecordTaker,
  voter: OwnerId,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const request = { format: 1, holds: null, records: true } as const;
  const answer = decodeRecord(answerShape, await ask(mesh, voter, request, signal));
  if (!answer.ok) throw new Error(`its answer cannot be read: ${answer.error}`);
  const unreadable: string[] = [];
  for (const { key, value } of answer.value.apps) {
    const decoded = decodeCommitted(value);
    if (!decoded.ok) throw new Error(`its record ${key} cannot be read: ${decoded.error}`);
    if (isOutdone(apps, key, decoded.value)) continue;
    const taken = await apps.takeCommittedFrom(voter, { key, committed: decoded.value }, signal);
    if (taken.ok) continue;
    if (taken.error !== "unreadable") throw new Error(`its record ${key} is refused: ${taken.error}`);
    unreadable.push(key);
  }
  return unreadable;
}

/** Gossip was faster than the answer. */
function isOutdone(apps: CertifiedApps, key: string, { value }: CommittedValue): boolean {
  const app = appOfKey(key);
  const held = app === null ? undefined : apps.get(app);
  return held !== undefined && held.epoch > value.epoch;
}

async function ask(
  mesh: Mesh,
  voter: OwnerId,
  request: RegisterReadRequest,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of mesh.call(voter, REGISTER_READ_SERVICE, encodeRecord(request), signal)) {
    bytes += chunk.length;
    if (bytes > REGISTER_READ_BYTES_MAX)
      throw new Error(`it answers more than ${REGISTER_READ_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
