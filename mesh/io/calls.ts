// Calls: request and streamed answer, one stream each. Ours: service, request. Theirs: chunks, then how it ended.

import { setImmediate } from "node:timers/promises";
import type { Connection, Libp2p, Stream } from "@libp2p/interface";
import { type OwnerId, ownerId } from "../core/ids.ts";
import {
  CALL_CHUNK_BYTES_MAX,
  CALL_ERROR_CHARS_MAX,
  CALL_REQUEST_BYTES_MAX,
  CALLS_PER_PEER_MAX,
  SERVICE_NAME_CHARS_MAX,
} from "../limits.ts";
import { type CallHandler, MeshCallError } from "../mesh.ts";
import { messageOf } from "../result.ts";
import { FrameSource, sendFrame } from "./frames.ts";
import { abortError, runHandler } from "./run-handler.ts";

/** First byte of each frame of an answer. Numbers are never used again. */
const ANSWER = { chunk: 0, end: 1, failed: 2, noService: 3 } as const;
const OPEN_TIMEOUT_MS = 2_000;
/** Small chunks cost about 50 us each: some milliseconds at most between two turns of the event loop. */
const CHUNKS_A_TURN = 32;
/** A caller has this long to say what it wants. */
const REQUEST_TIMEOUT_MS = 5_000;

export interface CallsDeps {
  readonly self: OwnerId;
  readonly node: Libp2p;
  /** Undefined while no link to it is up. */
  readonly connectionTo: (target: OwnerId) => Connection | undefined;
  readonly count: (counter: "calls-answered" | "calls-refused") => void;
}

export interface CallRequest {
  readonly target: OwnerId;
  readonly service: string;
  readonly request: Uint8Array;
  readonly signal: AbortSignal;
}

export class Calls {
  readonly #deps: CallsDeps;
  readonly #protocol: string;
  readonly #handlers = new Map<string, CallHandler>();
  readonly #stopped = new AbortController();

  constructor(cluster: string, deps: CallsDeps) {
    this.#deps = deps;
    this.#protocol = `/grapevine/${cluster}/call/1`;
  }

  async start(): Promise<void> {
    const onCall = (stream: Stream, connection: Connection): Promise<void> =>
      this.#answer(stream, connection);
    const limits = { maxInboundStreams: CALLS_PER_PEER_MAX, maxOutboundStreams: CALLS_PER_PEER_MAX };
    await this.#deps.node.handle(this.#protocol, onCall, limits);
  }

  stop(): void {
    this.#stopped.abort(new MeshCallError("aborted", "mesh stopped"));
  }

  handle(service: string, handler: CallHandler): void {
    this.#handlers.set(service, handler);
  }

  /** A call to ourselves goes straight to the handler. A request over its bound is a bug of the caller. */
  call(call: CallRequest): AsyncIterable<Uint8Array> {
    if (call.request.length > CALL_REQUEST_BYTES_MAX) throw new Error("bug: call request over its bound");
    return call.target === this.#deps.self ? this.#callSelf(call) : this.#callPeer(call);
  }

  async *#callSelf({ target, service, request, signal }: CallRequest): AsyncGenerator<Uint8Array> {
    const handler = this.#handlers.get(service);
    if (handler === undefined) throw new MeshCallError("no-service", `no service ${service}`);
    const ends = AbortSignal.any([signal, this.#stopped.signal]);
    yield* runHandler(handler, { request, from: target, signal: ends });
  }

  async *#callPeer(call: CallRequest): AsyncGenerator<Uint8Array> {
    const signal = AbortSignal.any([call.signal, this.#stopped.signal]);
    const stream = await this.#open(call.target, signal);
    const source = new FrameSource(stream, CALL_CHUNK_BYTES_MAX + 1);
    // Once aborted, nothing that still lies in a buffer is worth a wait.
    const abort = (): void => stream.abort(new Error("call aborted"));
    signal.addEventListener("abort", abort, { once: true });
    let hasEnded = false;
    try {
      await sendFrame(stream, new TextEncoder().encode(call.service), signal);
      await sendFrame(stream, call.request, signal);
      for (;;) {
        const answer = await source.next(signal);
        const chunk = readAnswer(answer, call.service);
        if (chunk === undefined) break;
        yield chunk;
      }
      hasEnded = true;
    } catch (error) {
      throw asCallError(error, signal);
    } finally {
      signal.removeEventListener("abort", abort);
      source.close();
      if (hasEnded) stream.close().catch((error: Error) => stream.abort(error));
      else stream.abort(new Error("call over"));
    }
  }

  async #open(target: OwnerId, signal: AbortSignal): Promise<Stream> {
    if (signal.aborted) throw abortError(signal);
    const connection = this.#deps.connectionTo(target);
    if (connection === undefined) throw new MeshCallError("unreachable", `no connection to ${target}`);
    try {
      const ends = AbortSignal.any([signal, AbortSignal.timeout(OPEN_TIMEOUT_MS)]);
      return await connection.newStream(this.#protocol, { signal: ends });
    } catch (error) {
      throw asCallError(error, signal);
    }
  }

  // --- answering

  async #answer(stream: Stream, connection: Connection): Promise<void> {
    const from = ownerId(connection.remotePeer.toString());
    // Only members whose hello was accepted have a link.
    if (this.#deps.connectionTo(from) === undefined) {
      this.#deps.count("calls-refused");
      stream.abort(new Error("no link"));
      return;
    }
    const source = new FrameSource(stream, CALL_REQUEST_BYTES_MAX);
    const gone = new AbortController();
    stream.addEventListener("close", () => gone.abort(new MeshCallError("aborted", "caller is gone")));
    const signal = AbortSignal.any([gone.signal, this.#stopped.signal]);
    try {
      const asked = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]);
      const service = await source.next(asked);
      const request = await source.next(asked);
      if (service === undefined || request === undefined) throw new Error("call without a request");
      await this.#run({ stream, service: nameOf(service), request, from, signal });
      await stream.close({ signal });
    } catch (error) {
      stream.abort(new Error(messageOf(error)));
    } finally {
      source.close();
    }
  }

  async #run(run: {
    stream: Stream;
    service: string;
    request: Uint8Array;
    from: OwnerId;
    signal: AbortSignal;
  }): Promise<void> {
    const { stream, service, request, from, signal } = run;
    const handler = this.#handlers.get(service);
    if (handler === undefined) return sendFrame(stream, answerBytes(ANSWER.noService), signal);
    this.#deps.count("calls-answered");
    let sent = 0;
    try {
      for await (const chunk of runHandler(handler, { request: new Uint8Array(request), from, signal })) {
        if (chunk.length > CALL_CHUNK_BYTES_MAX) throw new Error(`chunk of ${chunk.length} bytes`);
        await sendFrame(stream, answerBytes(ANSWER.chunk, chunk), signal);
        sent += 1;
        // A handler that always has a chunk ready would starve the event loop: promises alone never let it turn.
        if (sent % CHUNKS_A_TURN === 0) await setImmediate();
      }
    } catch (error) {
      signal.throwIfAborted();
      const text = messageOf(error).slice(0, CALL_ERROR_CHARS_MAX);
      return sendFrame(stream, answerBytes(ANSWER.failed, new TextEncoder().encode(text)), signal);
    }
    return sendFrame(stream, answerBytes(ANSWER.end), signal);
  }
}

function answerBytes(tag: number, body: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = new Uint8Array(1 + body.length);
  bytes[0] = tag;
  bytes.set(body, 1);
  return bytes;
}

/** A chunk, or undefined at the end; throws how it failed. */
function readAnswer(answer: Uint8Array | undefined, service: string): Uint8Array | undefined {
  const body = answer?.subarray(1);
  switch (answer?.[0]) {
    case ANSWER.chunk:
      return new Uint8Array(body ?? []);
    case ANSWER.end:
      return undefined;
    case ANSWER.failed:
      throw new MeshCallError("failed", new TextDecoder().decode(body).slice(0, CALL_ERROR_CHARS_MAX));
    case ANSWER.noService:
      throw new MeshCallError("no-service", `no service ${service}`);
    default:
      throw new MeshCallError("unreachable", "the answer was cut");
  }
}

function asCallError(error: unknown, signal: AbortSignal): MeshCallError {
  if (signal.aborted) return abortError(signal);
  if (error instanceof MeshCallError) return error;
  const isUnknown = error instanceof Error && error.name === "UnsupportedProtocolError";
  return new MeshCallError(isUnknown ? "no-service" : "unreachable", messageOf(error));
}

/** Over its bound it is no service of ours: cut, it names none. */
function nameOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes.subarray(0, 4 * SERVICE_NAME_CHARS_MAX));
}
