// Request body: a client's body as one attempt after the other reads it. undici destroys the stream it is given when a
// connection fails; it gets one of ours, and what it took of the client's bytes is offered again, until some were sent.

import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { BODY_BUFFER_BYTES } from "../limits.ts";

export class RequestBody {
  readonly #request: IncomingMessage;
  /** All that was read so far; null once bytes of it left: then it cannot be replayed. */
  #replay: Buffer[] | null = [];
  #hasEnded = false;
  #current: Readable | null = null;
  #isDiscarded = false;

  constructor(request: IncomingMessage) {
    this.#request = request;
    request.pause();
    request.on("data", (chunk: Buffer) => this.#take(chunk));
    request.on("end", () => this.#end());
    // The response's `close` says that the client is gone; without a listener this would end the process.
    request.on("error", () => undefined);
  }

  get canReplay(): boolean {
    return this.#replay !== null;
  }

  /** A stream of the whole body for one attempt. The one before must be over. Throws (a bug) once bytes of it were sent. */
  open(): Readable {
    if (this.#replay === null) throw new Error("request body: sent already");
    const stream: Readable = new Readable({
      highWaterMark: BODY_BUFFER_BYTES,
      read: () => {
        if (this.#current === stream && !this.#hasEnded) this.#request.resume();
      },
      // The error is dropped: who destroyed it knows it, and nobody listens any more.
      destroy: (_error, callback) => {
        this.#detach(stream);
        callback(null);
      },
    });
    this.#current?.destroy();
    this.#current = stream;
    for (const chunk of this.#replay) stream.push(chunk);
    if (this.#hasEnded) stream.push(null);
    return stream;
  }

  /** Bytes of it left towards a VM. */
  markSent(): void {
    this.#replay = null;
  }

  /** The rest is read and thrown away: the connection cannot serve its next request before. */
  discard(): void {
    this.#isDiscarded = true;
    this.#replay = null;
    this.#current?.destroy();
    this.#request.resume();
  }

  #take(chunk: Buffer): void {
    if (this.#isDiscarded) return;
    this.#replay?.push(chunk);
    const isFull = this.#current === null || !this.#current.push(chunk);
    if (isFull) this.#request.pause();
  }

  #end(): void {
    this.#hasEnded = true;
    this.#current?.push(null);
  }

  #detach(stream: Readable): void {
    if (this.#current !== stream) return;
    this.#current = null;
    if (!this.#isDiscarded) this.#request.pause();
  }
}
