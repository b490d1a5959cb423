// Exchange: one request to an agent and its answer, over TCP or a unix socket, each wait of it with an end.

import type { Agent, ClientRequest, IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { pipeline, Readable } from "node:stream";

// Not imported: each name of a module that is imported is looked at, and behind one of this one's, WebSocket, there is more to load
// than all that a command needs.
const http = process.getBuiltinModule("node:http");

/** `no-connection`: nothing was sent. `silence`: whether it was heard is not known. */
export class ExchangeError extends Error {
  override readonly name = "ExchangeError";
  readonly code: "no-connection" | "silence";
  constructor(code: "no-connection" | "silence", message: string) {
    super(message);
    this.code = code;
  }
}

export interface Question {
  readonly method: string;
  readonly url: URL;
  /** Of a unix socket; absent: the host and port of `url`. */
  readonly socketPath?: string;
  /** As it streams, or JSON. */
  readonly body?: AsyncIterable<Uint8Array> | string;
  readonly connectTimeoutMs: number;
  /** From what was sent last until the answer starts. */
  readonly answerTimeoutMs: number;
  /** Between two pieces of the answer; 0: for ever. */
  readonly silenceTimeoutMs: number;
}

export interface Answer {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  /** Read it, or leave it: the connection goes on with what is asked next once it is read to its end. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** Connections that are kept for what is asked next. Destroyed, it ends what is under way as well. */
export function connections(): Agent {
  return new http.Agent({ keepAlive: true });
}

/** Rejects with an `ExchangeError`, with what the system says, or when `signal` aborts. */
export function exchange(agent: Agent, question: Question, signal: AbortSignal): Promise<Answer> {
  const { url, method, socketPath, body } = question;
  const request = http.request(url, {
    agent,
    method,
    headers: headersOf(body),
    ...(socketPath === undefined ? {} : { socketPath }),
  });
  endWith(request, signal);
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const patience = new Patience(question.answerTimeoutMs, (ms) => request.destroy(silence(ms)));
  onceConnected(request, question.connectTimeoutMs, () => {
    patience.begin();
    if (typeof body !== "object") return;
    // Whoever breaks it off, the request fails by it.
    pipeline(Readable.from(paced(body, patience, request), { objectMode: false }), request, () => undefined);
  });
  if (typeof body !== "object") request.end(body);
  request.once("response", (response: IncomingMessage) => {
    patience.close();
    const { statusCode = 0, headers } = response;
    resolve({ statusCode, headers, body: bodyOf(response, question.silenceTimeoutMs, signal) });
  });
  // Also after the answer, of which the body tells then.
  request.on("error", reject);
  request.once("close", () => patience.close());
  return promise;
}

/**
 * Not by the option of that name, which would end the connection with an error even where it is kept for others by then. So after the
 * answer it ends without one too: whoever reads the body looks at the signal.
 */
function endWith(request: ClientRequest, signal: AbortSignal): void {
  let isAnswered = false;
  const end = (): void => {
    request.destroy(isAnswered ? undefined : signal.reason);
  };
  if (signal.aborted) end();
  signal.addEventListener("abort", end);
  request.once("response", () => {
    isAnswered = true;
  });
  request.once("close", () => signal.removeEventListener("abort", end));
}

function headersOf(body: Question["body"]): Record<string, string> {
  if (typeof body !== "string") return {};
  return { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) };
}

function onceConnected(request: ClientRequest, timeoutMs: number, connected: () => void): void {
  const patience = new Patience(timeoutMs, (ms) =>
    request.destroy(new ExchangeError("no-connection", `no connection within ${ms / 1_000} s`)),
  );
  request.once("socket", (socket: Socket) => {
    if (!socket.connecting) return connected();
    patience.begin();
    socket.once("connect", () => {
      patience.close();
      connected();
    });
  });
  request.once("close", () => patience.close());
}

/** The time that whoever reads takes is no silence. */
async function* bodyOf(
  response: IncomingMessage,
  silenceTimeoutMs: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let fellSilent: ExchangeError | undefined;
  const patience = new Patience(silenceTimeoutMs, (ms) => {
    fellSilent = silence(ms);
    response.destroy();
  });
  try {
    patience.begin();
    for await (const chunk of response) {
      patience.end();
      yield chunk;
      patience.begin();
    }
  } catch (error) {
    signal.throwIfAborted();
    throw fellSilent ?? error;
  } finally {
    patience.close();
  }
  // What was cut short by us may look like an end.
  signal.throwIfAborted();
  if (fellSilent !== undefined) throw fellSilent;
}

/** Nobody is waited for but who takes what there is: where the source is slow, the agent is not. */
async function* paced(
  source: AsyncIterable<Uint8Array>,
  patience: Patience,
  request: ClientRequest,
): AsyncGenerator<Uint8Array> {
  patience.end();
  try {
    for await (const chunk of source) {
      patience.begin();
      yield chunk;
      patience.end();
    }
  } catch (error) {
    request.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
  patience.begin();
}

function silence(timeoutMs: number): ExchangeError {
  return new ExchangeError("silence", `nothing was said for ${timeoutMs / 1_000} s`);
}

/** One wait after the other, each with the same end. */
class Patience {
  readonly #timeoutMs: number;
  readonly #onEnd: (timeoutMs: number) => void;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** 0: it has no end. */
  constructor(timeoutMs: number, onEnd: (timeoutMs: number) => void) {
    this.#timeoutMs = timeoutMs;
    this.#onEnd = onEnd;
  }

  begin(): void {
    this.end();
    const timeoutMs = this.#timeoutMs;
    if (this.#isClosed || timeoutMs <= 0) return;
    this.#timer = setTimeout(() => this.#onEnd(timeoutMs), timeoutMs);
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  /** It begins no more. */
  close(): void {
    this.end();
    this.#isClosed = true;
  }
}
