// Collect: asks for the parts of a bug report, each within a time and bytes, a few at once. A part that fails is a file that
// says why: what cannot be had is part of the report.

import { messageOf } from "../../../mesh/words.ts";
import type { ApiClient } from "../api-client.ts";
import type { BundlePart } from "./bundle-parts.ts";

/** The agent asks others for it, two seconds each, and a busy one is slow. */
const PART_TIMEOUT_MS = 10_000;
/** All of it: people wait. What is not there by then is said to be missing. */
const ALL_TIMEOUT_MS = 120_000;
const PART_BYTES_MAX = 16 * 1024 * 1024;
const AT_ONCE = 4;

export interface CollectedPart {
  /** With ".error.txt" at the end if it failed. */
  readonly file: string;
  readonly text: string;
  /** Why it is not there, or not whole; null: it is. */
  readonly problem: string | null;
}

/** In the order of `parts`. Rejects only when `signal` aborts. */
export async function collectParts(
  client: ApiClient,
  parts: readonly BundlePart[],
  signal: AbortSignal,
): Promise<readonly CollectedPart[]> {
  const deadline = AbortSignal.timeout(ALL_TIMEOUT_MS);
  const collected: CollectedPart[] = [];
  const waiting = parts.entries();
  const work = async (): Promise<void> => {
    for (const [at, part] of waiting) collected[at] = await collect(client, part, { signal, deadline });
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return collected;
}

interface Ends {
  /** Of the person. */
  readonly signal: AbortSignal;
  readonly deadline: AbortSignal;
}

async function collect(
  client: ApiClient,
  part: BundlePart,
  { signal, deadline }: Ends,
): Promise<CollectedPart> {
  const timeout = AbortSignal.timeout(PART_TIMEOUT_MS);
  try {
    const { text, isCut } = await readPart(client, part.path, AbortSignal.any([signal, deadline, timeout]));
    const problem = isCut ? `it has more than ${PART_BYTES_MAX} bytes: the rest was left out` : null;
    // Cut JSON is no JSON: nothing could be removed from it.
    if (isCut && part.file.endsWith(".json")) return failed(part, problem ?? "");
    return { file: part.file, text: part.keep(text), problem };
  } catch (error) {
    signal.throwIfAborted();
    return failed(part, describe(error, { deadline, timeout }));
  }
}

function failed({ file, path }: BundlePart, problem: string): CollectedPart {
  return { file: `${file}.error.txt`, text: `GET ${path}: ${problem}\n`, problem };
}

function describe(
  error: unknown,
  { deadline, timeout }: { deadline: AbortSignal; timeout: AbortSignal },
): string {
  if (deadline.aborted) return `the report took longer than ${ALL_TIMEOUT_MS / 1_000} s`;
  return timeout.aborted ? `no answer within ${PART_TIMEOUT_MS / 1_000} s` : messageOf(error);
}

async function readPart(
  client: ApiClient,
  path: string,
  signal: AbortSignal,
): Promise<{ readonly text: string; readonly isCut: boolean }> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of client.bytes(
    path,
    { isSilenceFine: false, answerTimeoutMs: PART_TIMEOUT_MS },
    signal,
  )) {
    const room = PART_BYTES_MAX - bytes;
    chunks.push(chunk.subarray(0, room));
    bytes += chunk.length;
    if (bytes > PART_BYTES_MAX) break;
  }
  return { text: Buffer.concat(chunks).toString(), isCut: bytes > PART_BYTES_MAX };
}
