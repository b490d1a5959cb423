// Register service: how what the register committed reaches the mesh: gossiped at each commit, read whole by who joins.

import { type ZodType, z } from "zod";
import type { OwnerId } from "../core/ids.ts";
import { compareVersions, describeVersion } from "../core/version.ts";
import { CALL_CHUNK_BYTES_MAX } from "../limits.ts";
import type { Mesh } from "../mesh.ts";
import { appKey, encodeAppRecord, encodeCommittedApp } from "../records/app.ts";
import { decodeRecord, encodeRecord } from "../records/record-codec.ts";
import { versionShape } from "../records/shapes.ts";
import { REGISTER_READ_SERVICE, type Register, type RegisterReadRequest } from "../register/register.ts";
import type { CommitListener } from "./register-store.ts";

/** The `onCommit` of a voter's register: writes the entry `app/NAME`. */
export function publishCommits(mesh: Mesh): CommitListener {
  return ({ epoch, record }, bytes) => {
    mesh.write(appKey(record.app), encodeCommittedApp(epoch, bytes));
  };
}

/** Answers `REGISTER_READ_SERVICE`. The one record is cut into chunks within the call's bound: readers join them. */
export function serveRegister(mesh: Mesh, register: Register): void {
  mesh.handle(REGISTER_READ_SERVICE, async function* (request, from, signal) {
    assertHolds(mesh, request, from);
    yield* answer(register, signal);
  });
}

const requestShape: ZodType<RegisterReadRequest> = z.strictObject({
  format: z.literal(1),
  holds: z.strictObject({ key: z.string(), version: versionShape }),
});

/** What this voter reads after it holds an entry, and commits later, it commits knowing that entry. */
function assertHolds(mesh: Mesh, request: Uint8Array, from: OwnerId): void {
  if (request.length === 0) return;
  const decoded = decodeRecord(requestShape, request);
  if (!decoded.ok) throw new Error(`register-read: ${decoded.error}`);
  const { key, version } = decoded.value.holds;
  const held = mesh.store.get(from, key)?.version;
  if (held !== undefined && compareVersions(held, version) >= 0) return;
  throw new Error(`${mesh.self.name} does not hold ${key} at ${describeVersion(version)} yet`);
}

async function* answer(register: Register, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const committed = await register.list();
  const apps = committed.map(({ epoch, record }) => encodeCommittedApp(epoch, encodeAppRecord(record)));
  const bytes = encodeRecord({ format: 1, apps });
  for (let offset = 0; offset < bytes.length && !signal.aborted; offset += CALL_CHUNK_BYTES_MAX) {
    yield bytes.subarray(offset, offset + CALL_CHUNK_BYTES_MAX);
  }
}
