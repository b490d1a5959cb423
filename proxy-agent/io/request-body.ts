// Request body: a client's body as one attempt after the other reads it. undici destroys the stream it is given when a
// connection fails; it gets one of ours, and what it took of the client's bytes is offered again, until some were sent.

import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { BODY_BUFFER_BYTES } from "../limits.ts";

export class RequestBody {
  readonly #request: IncomingMessage;
  /** All that was read so far; null once it cannot be replayed: bytes of it left, or a gate claimed it. */
  #replay: Buffer[] | null = [];
  /** Bytes that the stream may give out until a gate has claimed them, those that it gave, and what waits for that. */
  #bytesMax = Number.POSITIVE_INFINITY;
  #bytes = 0;
  readonly #held: Buffer[] = [];
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

  /** Its length as it was announced; infinity: it was not. */
  get announcedBytes(): number {
    const { headers } = this.#request;
    return headers["transfer-encoding"] === undefined
      ? Number(headers["content-length"])
      : Number.POSITIVE_INFINITY;
  }

  /**
   * A stream of the whole body for one attempt, which gives no more than `bytesMax` before `claimed`. The one before must be over.
   * Throws (a bug) once bytes of it were sent.
   */
  open(bytesMax: number = Number.POSITIVE_INFINITY): Readable {
    if (this.#replay === null) throw new Error("request body: sent already");
    const stream: Readable = new Readable({
      highWaterMark: BODY_BUFFER_BYTES,
      read: () => {
        if (this.#current === stream && !this.#hasEnded && this.#held.length === 0) this.#request.resume();
      },
      // The error is dropped: who destroyed it knows it, and nobody listens any more.
      destroy: (_error, callback) => {
        this.#detach(stream);
        callback(null);
      },
    });
    this.#current?.destroy();
    this.#current = stream;
    this.#bytesMax = bytesMax;
    this.#bytes = 0;
    this.#held.length = 0;
    for (const chunk of this.#replay) this.#offer(stream, chunk);
    this.#endIfGiven(stream);
    return stream;
  }

  /** Who has it now has it for good: the rest may leave. */
  claimed(): void {
    const stream = this.#current;
    this.#replay = null;
    this.#bytesMax = Number.POSITIVE_INFINITY;
    if (stream === null) return;
    const wantsMore = this.#held.splice(0).map((chunk) => this.#offer(stream, chunk));
    this.#endIfGiven(stream);
    if (wantsMore.at(-1) !== false && !this.#hasEnded) this.#request.resume();
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
    const isFull = this.#current === null || !this.#offer(this.#current, chunk);
    if (isFull) this.#request.pause();
  }

  /** False: enough for now. */
  #offer(stream: Readable, chunk: Buffer): boolean {
    const room = Math.max(0, this.#bytesMax - this.#bytes);
    const given = this.#held.length > 0 ? chunk.subarray(0, 0) : chunk.subarray(0, room);
    this.#bytes += given.length;
    if (given.length < chunk.length) this.#held.push(chunk.subarray(given.length));
    const wantsMore = given.length === 0 || stream.push(given);
    return wantsMore && this.#held.length === 0;
  }

  #end(): void {
    this.#hasEnded = true;
    if (this.#current !== null) this.#endIfGiven(this.#current);
  }

  #endIfGiven(stream: Readable): void {
    if (this.#hasEnded && this.#held.length === 0) stream.push(null);
  }

  #detach(stream: Readable): void {
    if (this.#current !== stream) return;
    this.#current = null;
    if (!this.#isDiscarded) this.#request.pause();
  }
}
