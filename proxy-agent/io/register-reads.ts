// Register reads: what a proxy asks voters before it serves: whether they hold its registration, and all records.

import { z } from "zod";
import {
  appKey,
  decodeCommittedApp,
  decodeRecord,
  encodeRecord,
  type Mesh,
  REGISTER_READ_SERVICE,
  type RegisterReadRequest,
  type Registers,
  type Voter,
} from "../../mesh/index.ts";
import { REGISTER_READ_BYTES_MAX } from "../limits.ts";

/** Resolves if `voter` holds this entry of ours, at that version or a newer one. Rejects if not, or if it does not say. */
export async function assertHeld(
  mesh: Mesh,
  { voter, holds }: { readonly voter: Voter; readonly holds: RegisterReadRequest["holds"] },
  signal: AbortSignal,
): Promise<void> {
  await ask(mesh, voter, { format: 1, holds, records: false }, signal);
}

const answerShape = z.strictObject({ format: z.literal(1), apps: z.array(z.instanceof(Uint8Array)) });

/**
 * Resolves once all records that `voter` read at a majority are in force here, or newer ones are. Rejects with which one is
 * refused, and why.
 */
export async function takeRecords(
  { mesh, registers }: { readonly mesh: Mesh; readonly registers: Registers },
  voter: Voter,
  signal: AbortSignal,
): Promise<void> {
  const answer = decodeRecord(
    answerShape,
    await ask(mesh, voter, { format: 1, holds: null, records: true }, signal),
  );
  if (!answer.ok) throw new Error(`its answer cannot be read: ${answer.error}`);
  for (const encoded of answer.value.apps) takeRecord(registers, voter, encoded);
}

function takeRecord({ apps, directory }: Registers, voter: Voter, encoded: Uint8Array): void {
  const decoded = decodeCommittedApp(encoded);
  if (!decoded.ok) throw new Error(`a record of its cannot be read: ${decoded.error}`);
  const { epoch, record } = decoded.value;
  // Gossip was faster than the answer.
  if ((apps.get(record.app)?.epoch ?? 0) > epoch) return;
  const key = appKey(record.app);
  const taken = apps.take(key, encoded);
  if (taken.ok) return;
  if (taken.error === "unknown-list") directory.fetch(voter.owner);
  throw new Error(`its record ${key} is refused: ${taken.error}`);
}

async function ask(
  mesh: Mesh,
  { owner }: Voter,
  request: RegisterReadRequest,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of mesh.call(owner, REGISTER_READ_SERVICE, encodeRecord(request), signal)) {
    bytes += chunk.length;
    if (bytes > REGISTER_READ_BYTES_MAX)
      throw new Error(`it answers more than ${REGISTER_READ_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
