// Ask member: one bounded question to one member, for people who wait: within a time, within bytes, and rejected only when they go.
// Who does not answer is named with the reason.

import type { ZodType } from "zod";
import { INSPECT_TIMEOUT_MS } from "../limits.ts";
import { type MemberView, type Mesh, MeshCallError } from "../mesh.ts";
import { decodeRecord } from "../records/record-codec.ts";
import { fail, ok, type Result } from "../result.ts";

export interface MemberQuestion {
  readonly service: string;
  readonly request: Uint8Array;
  /** Over it the rest is not read, and the answer counts as none. */
  readonly bytesMax: number;
}

/** All chunks of the answer. Rejects only when `signal` aborts. */
export async function askMember(
  mesh: Pick<Mesh, "call">,
  member: MemberView,
  { service, request, bytesMax }: MemberQuestion,
  signal: AbortSignal,
): Promise<Result<readonly Uint8Array[]>> {
  if (!member.connected) return fail(describeAbsence(member));
  const timeout = AbortSignal.timeout(INSPECT_TIMEOUT_MS);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    const call = mesh.call(member.owner, service, request, AbortSignal.any([signal, timeout]));
    for await (const chunk of call) {
      bytes += chunk.length;
      if (bytes > bytesMax) return fail(`its answer has more than ${bytesMax} bytes`);
      chunks.push(chunk);
    }
    return ok(chunks);
  } catch (error) {
    signal.throwIfAborted();
    if (timeout.aborted) return fail(`no answer within ${INSPECT_TIMEOUT_MS} ms`);
    if (error instanceof MeshCallError) return fail(describeFailure(error));
    throw error;
  }
}

/** The same, each chunk a record. */
export async function askForRecords<Value>(
  mesh: Pick<Mesh, "call">,
  member: MemberView,
  { shape, ...question }: MemberQuestion & { readonly shape: ZodType<Value> },
  signal: AbortSignal,
): Promise<Result<readonly Value[]>> {
  const answer = await askMember(mesh, member, question, signal);
  if (!answer.ok) return answer;
  const records: Value[] = [];
  for (const chunk of answer.value) {
    const decoded = decodeRecord(shape, chunk);
    if (!decoded.ok) return fail(`its answer cannot be read: ${decoded.error}`);
    records.push(decoded.value);
  }
  return ok(records);
}

function describeAbsence({ liveness: { state } }: MemberView): string {
  return state === "left" ? "it has left" : "not connected";
}

/** What libp2p says of a stream that broke is for the log of those who know it. */
function describeFailure({ code, message }: MeshCallError): string {
  if (code === "no-service") return "its release does not know the question";
  return code === "unreachable" ? "its connection was lost" : message;
}
