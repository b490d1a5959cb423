// Answer: the shapes in which the API answers: errors, lines as they come, and bodies that were read within a bound.

import type { AppName } from "../../mesh/index.ts";

/**
 * - `invalid`: the request cannot be meant; nothing changed. Change it.
 * - `forbidden`: it came from a web page or for another host name. Nothing changed.
 * - `not-found`: there is no such thing here. Nothing changed.
 * - `locked`: another rollout of this app runs. Nothing changed; wait for it.
 * - `alive`: it is still there, as the message says who knows. Nothing changed; stop it first.
 * - `too-large`: over a bound, which the message names. Nothing changed.
 * - `unavailable`: who is needed cannot be reached; the message names them. Ask again later.
 * - `timed-out`: it is done and stands, but was not in force everywhere in time; the message names where. Ask again to wait on.
 * - `gone`: what it asks for was there, and is not any more. Nothing changed; begin anew.
 * - `internal`: our bug; state may have changed. Look before asking again.
 */
export type ApiErrorCode =
  | "invalid"
  | "forbidden"
  | "not-found"
  | "locked"
  | "alive"
  | "too-large"
  | "unavailable"
  | "timed-out"
  | "gone"
  | "internal";

const STATUS = {
  invalid: 400,
  forbidden: 403,
  "not-found": 404,
  locked: 409,
  alive: 409,
  "too-large": 413,
  unavailable: 503,
  "timed-out": 504,
  gone: 410,
  internal: 500,
} as const satisfies Record<ApiErrorCode, number>;

export const JSON_TYPE = "application/json; charset=utf-8";
export const LINES_TYPE = "application/x-ndjson; charset=utf-8";

export function apiError(code: ApiErrorCode, message: string, facts: object = {}): Response {
  const body = JSON.stringify({ error: { code, message, ...facts } });
  return new Response(body, { status: STATUS[code], headers: { "content-type": JSON_TYPE } });
}

/** Of an address where an app's name should be. */
export function noAppName(text: string): Response {
  const rule = "a name has small letters, digits and inner hyphens, at most 48";
  const named = JSON.stringify(text.slice(0, 100));
  return apiError(
    "invalid",
    `${named} cannot name an app: ${rule}; \`grapevine status\` lists those there are`,
  );
}

export function unknownApp(name: AppName): Response {
  return apiError("not-found", `there is no app ${name}; \`grapevine status\` lists those there are`);
}

/** An error of something that was done all the same: `view` says what is so. */
export function apiErrorBeside(view: object, code: ApiErrorCode, message: string): Response {
  return Response.json({ ...view, error: { code, message } }, { status: STATUS[code] });
}

/**
 * A body that pulls from `source`, one chunk at a time: a slow reader slows the source. When the reader goes, `ended`
 * is aborted, and the source closed.
 */
export function streamed(source: AsyncIterable<Uint8Array>, ended: AbortController): ReadableStream {
  const iterator = source[Symbol.asyncIterator]();
  return new ReadableStream(
    {
      pull: async (controller) => {
        try {
          const next = await iterator.next();
          if (next.done === true) controller.close();
          else controller.enqueue(next.value);
        } catch (error) {
          if (ended.signal.aborted) controller.close();
          else controller.error(error);
        }
      },
      cancel: async () => {
        ended.abort();
        await iterator.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}

/** An abort controller that the client's going aborts too. */
export function endedBy(signal: AbortSignal): AbortController {
  const ended = new AbortController();
  if (signal.aborted) ended.abort();
  else signal.addEventListener("abort", () => ended.abort(), { once: true, signal: ended.signal });
  return ended;
}

export function bodyTooLarge(bytesMax: number): Response {
  return apiError("too-large", `the body has at most ${bytesMax} bytes`);
}

/** All bytes of `body`, or null when there are more than `bytesMax`: the rest is not read. */
export async function readBounded(
  body: AsyncIterable<Uint8Array> | null,
  bytesMax: number,
): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) return null;
    chunks.push(chunk);
  }
  return Uint8Array.from(Buffer.concat(chunks));
}

/** undefined: not JSON. */
export function parseJson(bytes: Uint8Array): { readonly json: unknown } | undefined {
  try {
    return { json: JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) };
  } catch {
    return undefined;
  }
}
