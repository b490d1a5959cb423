// Debug service: what a member tells of itself for a bug report: who it is and how it was started, its metrics, the last
// lines of its log. Secrets are the teller's to leave out.

import { type ZodType, z } from "zod";
import { CALL_CHUNK_BYTES_MAX, DEBUG_PART_BYTES_MAX } from "../limits.ts";
import type { MemberView, Mesh } from "../mesh.ts";
import { decodeRecord, encodeRecord } from "../records/record-codec.ts";
import { fail, ok, type Result } from "../result.ts";
import { askMember } from "./ask-member.ts";
import { programVersion } from "./program-version.ts";

const DEBUG_SERVICE = "debug";
export const DEBUG_PARTS = ["about", "metrics", "log"] as const;
export type DebugPart = (typeof DEBUG_PARTS)[number];

/** Each is called when it is asked for. */
export type DebugParts = Readonly<Record<DebugPart, () => string>>;

const requestShape: ZodType<{ readonly format: 1; readonly part: DebugPart }> = z.strictObject({
  format: z.literal(1),
  part: z.enum(DEBUG_PARTS),
});

export function serveDebug(mesh: Pick<Mesh, "handle">, parts: DebugParts): void {
  programVersion();
  mesh.handle(DEBUG_SERVICE, async function* (request) {
    const decoded = decodeRecord(requestShape, request);
    if (!decoded.ok) throw new Error(`debug: ${decoded.error}`);
    const bytes = new TextEncoder().encode(parts[decoded.value.part]());
    // The end of a log is what is wanted; of the others nothing reaches the bound.
    const told = bytes.subarray(Math.max(0, bytes.length - DEBUG_PART_BYTES_MAX));
    for (let from = 0; from < told.length; from += CALL_CHUNK_BYTES_MAX)
      yield told.slice(from, from + CALL_CHUNK_BYTES_MAX);
  });
}

/** Rejects only when `signal` aborts. */
export async function askDebugPart(
  mesh: Pick<Mesh, "call">,
  member: MemberView,
  part: DebugPart,
  signal: AbortSignal,
): Promise<Result<string>> {
  const request = encodeRecord({ format: 1, part });
  const question = { service: DEBUG_SERVICE, request, bytesMax: DEBUG_PART_BYTES_MAX };
  const answer = await askMember(mesh, member, question, signal);
  return answer.ok ? ok(Buffer.concat(answer.value).toString()) : fail(answer.error);
}

/** What every member says of its process, beside its configuration. */
export function aboutProcess(): object {
  const { pid, version, platform, arch, title } = process;
  return {
    ...programVersion(),
    pid,
    title,
    node: version,
    platform,
    arch,
    sqlite: process.versions["sqlite"] ?? null,
    uptimeSeconds: Math.round(process.uptime()),
    memory: process.memoryUsage(),
    cpuMicroseconds: process.cpuUsage(),
    atMs: Date.now(),
  };
}
