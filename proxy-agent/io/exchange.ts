// Exchange: the client's side of one request: what it asked, whether it is still there, and how it is told no.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { AppName } from "../../mesh/index.ts";
import { LINGER_MS } from "../limits.ts";
import { STATUS_CODES } from "./http.ts";
import { RequestBody } from "./request-body.ts";

export interface Refusal {
  readonly status: 400 | 404 | 500 | 502 | 503 | 504;
  readonly reason: string;
  /** Seconds after which another try makes sense. */
  readonly retryAfterSeconds?: number;
}

/** How an exchange ended, for the counters. Status 499: the client left first; 0: its connection was cut. */
export interface ExchangeEnd {
  readonly app: AppName | null;
  readonly release: number | null;
  readonly status: number;
}

export interface ExchangeRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** What the client waits for before it sends its body: "100 Continue"; a proxy, at a gate, before the rest of it: 102. */
  readonly waitsFor: "continue" | "claim" | null;
  /** What our own answers say beside; asked for when one is given. */
  readonly marks: () => Readonly<Record<string, string>>;
}

export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Null: the request has none. */
  readonly body: RequestBody | null;
  #isGone = false;
  /** Made for who waits only: one for each request would cost a tenth of it (measured). */
  #gone: AbortController | null = null;
  #waitsFor: ExchangeRequest["waitsFor"];
  readonly #marks: ExchangeRequest["marks"];

  constructor({ request, response, waitsFor, marks }: ExchangeRequest) {
    this.request = request;
    this.response = response;
    this.#waitsFor = waitsFor;
    this.#marks = marks;
    this.body = hasBody(request) ? new RequestBody(request) : null;
    response.on("error", () => undefined);
    response.once("close", () => this.#close());
  }

  get method(): string {
    return this.request.method ?? "GET";
  }

  /** The client is gone, or its answer is complete. */
  get isGone(): boolean {
    return this.#isGone;
  }

  /** Aborted once `isGone`. */
  get gone(): AbortSignal {
    this.#gone ??= new AbortController();
    if (this.#isGone) this.#gone.abort();
    return this.#gone.signal;
  }

  /**
   * Of a connection that asks for an upgrade nobody reads before it has one, and of one that is not read nobody learns that it ended: it is
   * read, as far as its buffer goes, until the returned function is called.
   */
  watchUpgrade(): () => void {
    // Node's own mark of what its parser handed out, which its types do not have.
    if (Reflect.get(this.request, "upgrade") !== true) return () => undefined;
    const { socket } = this.request;
    // With nothing to read this asks for the end, which is told then.
    const look = () => {
      if (socket.readableLength === 0) socket.read();
    };
    const leave = () => socket.destroy();
    socket.on("readable", look).once("end", leave);
    return () => {
      socket.removeListener("readable", look).removeListener("end", leave);
    };
  }

  /** An endpoint is ready for the body. */
  continue(): void {
    const waitsFor = this.#waitsFor;
    this.#waitsFor = null;
    if (waitsFor === "continue") this.response.writeContinue();
    if (waitsFor === "claim") this.response.writeProcessing();
  }

  /** Says no in plain text; if the answer has begun already, breaks it off, so that nobody takes it for complete. */
  refuse({ status, reason, retryAfterSeconds }: Refusal): void {
    if (this.response.headersSent) {
      this.response.destroy();
      return;
    }
    if (this.#isGone) return;
    const text = `${status} ${STATUS_CODES[status]}: ${reason}\n`;
    const headers = [
      "Content-Type",
      "text/plain; charset=utf-8",
      "Content-Length",
      String(Buffer.byteLength(text)),
    ];
    headers.push(...Object.entries(this.#marks()).flat());
    if (retryAfterSeconds !== undefined) headers.push("Retry-After", String(retryAfterSeconds));
    // A client that was never told to go on may send its body or not: nothing after it could be told apart.
    if (this.#waitsFor === "continue") this.response.shouldKeepAlive = false;
    this.response.writeHead(status, STATUS_CODES[status], headers);
    this.response.end(text);
  }

  #close(): void {
    this.#isGone = true;
    this.#gone?.abort();
    if (this.body === null || this.request.complete) return;
    this.body.discard();
    // Null: somebody destroyed the request, and its connection with it.
    const socket = this.request.socket as Socket | null;
    if (socket === null || socket.destroyed) return;
    // The connection's next request is behind this one's body: read it for a while, then give up on the connection.
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    const stop = () => {
      clearTimeout(timer);
      // The connection may live on, and see many of us.
      socket.removeListener("close", stop);
    };
    this.request.once("end", stop);
    socket.once("close", stop);
  }
}

function hasBody({ headers }: IncomingMessage): boolean {
  if (headers["transfer-encoding"] !== undefined) return true;
  return headers["content-length"] !== undefined && Number(headers["content-length"]) > 0;
}
