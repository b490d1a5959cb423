// Relay: a request that another agent must answer travels there over the mesh, and its answer streams back. A relayed
// request is never relayed again, so that two agents that each think the other knows cannot pass it to and fro.

import { type ZodType, z } from "zod";
import {
  CALL_CHUNK_BYTES_MAX,
  decodeRecord,
  encodeRecord,
  type MemberView,
  type Mesh,
  MeshCallError,
} from "../../mesh/index.ts";
import { apiError, endedBy, JSON_TYPE, streamed } from "./answer.ts";
import type { ApiBindings } from "./ports.ts";

const API_SERVICE = "api";
/** Well below the bound of a call's request: only a spec or less is relayed, never a bundle. */
export const RELAY_BODY_BYTES_MAX: number = 64 * 1024;

interface RelayRequest {
  readonly format: 1;
  readonly method: string;
  readonly path: string;
  readonly body: Uint8Array;
}

interface RelayHead {
  readonly format: 1;
  readonly status: number;
  readonly contentType: string;
}

const relayRequestShape: ZodType<RelayRequest> = z.strictObject({
  format: z.literal(1),
  method: z.enum(["GET", "POST", "DELETE"]),
  path: z
    .string()
    .regex(/^\/v1\//)
    .max(2_048),
  body: z.instanceof(Uint8Array).refine((body) => body.byteLength <= RELAY_BODY_BYTES_MAX, "too large"),
});

const relayHeadShape: ZodType<RelayHead> = z.strictObject({
  format: z.literal(1),
  status: z.number().int().min(200).max(599),
  contentType: z.string().max(128),
});

export type ApiFetch = (request: Request, bindings: ApiBindings) => Response | Promise<Response>;

/** Answers what other agents relay to us. */
export function serveRelay(mesh: Mesh, fetch: ApiFetch): void {
  mesh.handle(API_SERVICE, (request, _from, signal) => answerRelayed(request, fetch, signal));
}

async function* answerRelayed(
  bytes: Uint8Array,
  fetch: ApiFetch,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const decoded = decodeRecord(relayRequestShape, bytes);
  if (!decoded.ok) throw new Error(`relayed request: ${decoded.error}`);
  const { method, path, body } = decoded.value;
  const init = { method, signal, headers: { "content-type": JSON_TYPE } };
  const hasBody = method !== "GET" && body.byteLength > 0;
  const request = new Request(
    `http://localhost${path}`,
    hasBody ? { ...init, body: Uint8Array.from(body) } : init,
  );
  const response = await fetch(request, { isRelayed: true });
  const contentType = response.headers.get("content-type") ?? JSON_TYPE;
  yield encodeRecord({ format: 1, status: response.status, contentType } satisfies RelayHead);
  for await (const chunk of response.body ?? []) yield* cut(chunk);
}

function* cut(chunk: Uint8Array): Generator<Uint8Array> {
  for (let from = 0; from < chunk.byteLength; from += CALL_CHUNK_BYTES_MAX) {
    yield chunk.subarray(from, from + CALL_CHUNK_BYTES_MAX);
  }
}

/** Has `target` answer. `request` must have been bounded; `signal` aborts when the client goes. */
export async function relay(
  mesh: Mesh,
  target: MemberView,
  request: Omit<RelayRequest, "format">,
  signal: AbortSignal,
): Promise<Response> {
  const ended = endedBy(signal);
  const call = mesh.call(target.owner, API_SERVICE, encodeRecord({ format: 1, ...request }), ended.signal);
  const chunks = call[Symbol.asyncIterator]();
  try {
    const first = await chunks.next();
    const head = first.done === true ? undefined : decodeRecord(relayHeadShape, first.value);
    if (head?.ok !== true)
      return apiError("internal", `${target.name} answered what this release cannot read`);
    const rest: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: () => chunks };
    const { status, contentType } = head.value;
    return new Response(streamed(rest, ended), { status, headers: { "content-type": contentType } });
  } catch (error) {
    if (!(error instanceof MeshCallError)) throw error;
    return apiError("unavailable", `${target.name} cannot be asked: ${error.message}`);
  }
}
