// Lease read: how a host renews the lease of a VM. It asks a voter, which reads the app's record at a majority and says whether that has the
// VM run on that host. Nobody remembers what was granted: a read that began after the host sent its question, and still found the VM named,
// ended before any commit that takes the VM out. So a lease that counts from the sending is over that long after such a commit, at the latest.

import { type ZodType, z } from "zod";
import type { AppName, OwnerId, VmName } from "../../core/ids.ts";
import type { Mesh } from "../../mesh.ts";
import { decodeRecord, encodeRecord } from "../../records/record-codec.ts";
import { appNameShape, countShape, vmNameShape } from "../../records/shapes.ts";
import type { Register } from "../../register/register.ts";
import type { RegisterContext } from "./register-context.ts";

const LEASE_SERVICE = "vm-lease";
/** An answer is some tens of bytes. */
const ANSWER_BYTES_MAX = 1_024;

export interface LeaseQuestion {
  readonly app: AppName;
  readonly vm: VmName;
}

/** `isNamed`: the record of that epoch, which a majority had after the question was sent, has it run on the host that asks. */
export interface LeaseAnswer {
  readonly epoch: number;
  readonly isNamed: boolean;
}

const questionShape: ZodType<LeaseQuestion & { readonly format: 1 }> = z.strictObject({
  format: z.literal(1),
  app: appNameShape,
  vm: vmNameShape,
});
const answerShape: ZodType<LeaseAnswer & { readonly format: 1 }> = z.strictObject({
  format: z.literal(1),
  epoch: countShape,
  isNamed: z.boolean(),
});

export function serveLeases(
  { mesh }: Pick<RegisterContext, "mesh">,
  registerOf: () => Register | null,
): void {
  mesh.handle(LEASE_SERVICE, async function* (bytes, from) {
    const question = decodeRecord(questionShape, bytes);
    if (!question.ok) throw new Error(`${LEASE_SERVICE}: ${question.error}`);
    const register = registerOf();
    if (register === null) throw new Error(`${mesh.self.name} is no voter`);
    const { app, vm } = question.value;
    const host = mesh.members().find(({ owner }) => owner === from)?.name;
    const committed = await register.read(app);
    const named = committed?.record.vms.some(
      (one) => one.vm === vm && one.host === host && one.phase !== "prepared",
    );
    yield encodeRecord({ format: 1, epoch: committed?.epoch ?? 0, isNamed: named === true });
  });
}

/** Of one voter. Rejects when it does not say: no majority, no voter, no connection, or `signal`. */
export async function askLease(
  mesh: Pick<Mesh, "call">,
  voter: OwnerId,
  { app, vm }: LeaseQuestion,
  signal: AbortSignal,
): Promise<LeaseAnswer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of mesh.call(voter, LEASE_SERVICE, encodeRecord({ format: 1, app, vm }), signal)) {
    chunks.push(chunk);
    if (chunks.reduce((sum, { length }) => sum + length, 0) > ANSWER_BYTES_MAX)
      throw new Error(`it answers more than ${ANSWER_BYTES_MAX} bytes`);
  }
  const answer = decodeRecord(answerShape, Buffer.concat(chunks));
  if (!answer.ok) throw new Error(`its answer cannot be read: ${answer.error}`);
  return answer.value;
}
