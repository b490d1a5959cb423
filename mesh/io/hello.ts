// Hello: first words on a connection. Its protocol does not name the cluster, so that a member of another one is told
// apart by name, once, instead of by a protocol that fails without a word.

import type { Stream } from "@libp2p/interface";
import { decodeMessage, encodeMessage } from "../core/codec.ts";
import type { HelloMessage } from "../core/message.ts";
import { fail, ok, type Result } from "../result.ts";
import { FrameSource, sendFrame } from "./frames.ts";

export const HELLO_PROTOCOL = "/grapevine/hello/1";
export const HELLO_BYTES_MAX = 1024;
/** Long enough for a loaded machine; short enough that a stranger does not hold a slot. */
export const HELLO_TIMEOUT_MS = 3_000;

/** Says ours and hears theirs; both sides do the same. The stream is closed by the caller. */
export async function exchangeHello(stream: Stream, ours: HelloMessage): Promise<Result<HelloMessage>> {
  const signal = AbortSignal.timeout(HELLO_TIMEOUT_MS);
  const source = new FrameSource(stream, HELLO_BYTES_MAX);
  try {
    await sendFrame(stream, encodeMessage(ours), signal);
    const bytes = await source.next(signal);
    if (bytes === undefined) return fail("hello: connection lost");
    const decoded = decodeMessage(bytes);
    if (!decoded.ok) return decoded;
    return decoded.value.kind === "hello"
      ? ok(decoded.value)
      : fail(`hello: a ${decoded.value.kind} instead`);
  } catch (error) {
    return fail(`hello: ${error instanceof Error ? error.message : "failed"}`);
  } finally {
    source.close();
  }
}
