// Register read: how who joins reads all committed records at a voter, as a majority has them.

import { type ZodType, z } from "zod";
import type { OwnerId } from "../../core/ids.ts";
import { compareVersions, describeVersion } from "../../core/version.ts";
import { CALL_CHUNK_BYTES_MAX } from "../../limits.ts";
import type { Mesh } from "../../mesh.ts";
import { decodeRecord, encodeRecord } from "../../records/record-codec.ts";
import { versionShape } from "../../records/shapes.ts";
import { REGISTER_READ_SERVICE, type Register, type RegisterReadRequest } from "../../register/register.ts";
import { encodeCommitted } from "../../register/register-codec.ts";
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
    const answer = encodeRecord({
      format: 1,
      apps: apps.all().map(({ committed }) => encodeCommitted(committed)),
    });
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
