// Frames: byte strings on a libp2p stream, each after its length in 4 bytes, big endian. Reading is bounded and pushes back:
// a stream whose frames nobody takes is paused.

import type { Stream } from "@libp2p/interface";

const LENGTH_BYTES = 4;

/** What a libp2p stream hands out: bytes, or a list of them that can be joined. */
type Chunk = Uint8Array | { subarray(): Uint8Array };

export function frame(bytes: Uint8Array): Uint8Array {
  const framed = new Uint8Array(LENGTH_BYTES + bytes.length);
  new DataView(framed.buffer).setUint32(0, bytes.length);
  framed.set(bytes, LENGTH_BYTES);
  return framed;
}

export class FrameError extends Error {
  override readonly name = "FrameError";
}

/** Cuts what arrives into frames. Throws `FrameError` at a length over the bound: nothing after it can be trusted. */
export class FrameCutter {
  readonly #frameBytesMax: number;
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
  }

  *push(chunk: Chunk): Generator<Uint8Array> {
    const bytes = chunk instanceof Uint8Array ? chunk : chunk.subarray();
    this.#chunks.push(bytes);
    this.#bytes += bytes.length;
    for (let next = this.#take(); next !== undefined; next = this.#take()) yield next;
  }

  #take(): Uint8Array | undefined {
    const length = this.#peekLength();
    if (length === undefined) return undefined;
    if (length > this.#frameBytesMax) throw new FrameError(`frame of ${length} bytes`);
    if (this.#bytes < LENGTH_BYTES + length) return undefined;
    const all = this.#join();
    const rest = all.subarray(LENGTH_BYTES + length);
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#bytes = rest.length;
    return all.subarray(LENGTH_BYTES, LENGTH_BYTES + length);
  }

  #peekLength(): number | undefined {
    if (this.#bytes < LENGTH_BYTES) return undefined;
    if ((this.#chunks[0]?.length ?? 0) < LENGTH_BYTES) this.#chunks = [this.#join()];
    const head = this.#chunks[0] ?? new Uint8Array(LENGTH_BYTES);
    return new DataView(head.buffer, head.byteOffset).getUint32(0);
  }

  #join(): Uint8Array {
    const [only] = this.#chunks;
    if (only !== undefined && this.#chunks.length === 1) return only;
    const joined = new Uint8Array(this.#bytes);
    let at = 0;
    for (const chunk of this.#chunks) {
      joined.set(chunk, at);
      at += chunk.length;
    }
    return joined;
  }
}

export interface FrameListener {
  onFrame(bytes: Uint8Array): void;
  /** Once: the stream ended, was reset, or sent what is no frame. */
  onEnd(reason: string): void;
}

/** Hands every frame to the listener as it comes. Returns the way to stop listening. */
export function listenFrames(stream: Stream, frameBytesMax: number, listener: FrameListener): () => void {
  const cutter = new FrameCutter(frameBytesMax);
  const onMessage = (event: { data: Chunk }): void => {
    try {
      for (const bytes of cutter.push(event.data)) listener.onFrame(bytes);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      stop();
      stream.abort(error);
      listener.onEnd(error.message);
    }
  };
  const onEnd = (): void => {
    stop();
    listener.onEnd("stream ended");
  };
  const stop = (): void => {
    stream.removeEventListener("message", onMessage);
    stream.removeEventListener("close", onEnd);
    stream.removeEventListener("end", onEnd);
  };
  stream.addEventListener("close", onEnd);
  // Not "remoteCloseWrite": that comes while frames still lie in the buffer of a paused stream.
  stream.addEventListener("end", onEnd);
  stream.addEventListener("message", onMessage);
  if (stream.readableEnded) queueMicrotask(onEnd);
  return stop;
}

/** Frames one by one, for those who ask and answer. While one lies unread the stream is paused. */
export class FrameSource {
  readonly #stream: Stream;
  readonly #frames: Uint8Array[] = [];
  readonly #stop: () => void;
  #hasEnded = false;
  #wake: () => void = () => undefined;

  constructor(stream: Stream, frameBytesMax: number) {
    this.#stream = stream;
    this.#stop = listenFrames(stream, frameBytesMax, {
      onFrame: (bytes) => {
        this.#frames.push(bytes);
        this.#setPaused(true);
        this.#wake();
      },
      onEnd: () => {
        this.#hasEnded = true;
        this.#wake();
      },
    });
  }

  /** The next frame, or undefined when the stream ended. Throws the signal's reason on abort. */
  async next(signal: AbortSignal): Promise<Uint8Array | undefined> {
    signal.throwIfAborted();
    while (this.#frames.length === 0 && !this.#hasEnded) {
      this.#setPaused(false);
      await this.#wait(signal);
    }
    return this.#frames.shift();
  }

  close(): void {
    this.#stop();
  }

  async #wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = (): void => reject(signal.reason);
    this.#wake = resolve;
    signal.addEventListener("abort", abort, { once: true });
    try {
      if (this.#frames.length === 0 && !this.#hasEnded) await promise;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  #setPaused(isPaused: boolean): void {
    const { readStatus } = this.#stream;
    if (readStatus === "readable" && isPaused) this.#stream.pause();
    if (readStatus === "paused" && !isPaused) this.#stream.resume();
  }
}

/** Sends one frame and waits while the stream is full. */
export async function sendFrame(stream: Stream, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (!stream.send(frame(bytes))) await stream.onDrain({ signal });
}
