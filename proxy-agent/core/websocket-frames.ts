// WebSocket frames: where one direction of a WebSocket stands, so that a frame of ours can be put between two of the VM's (RFC 6455,
// section 5.2). Nothing is decoded but lengths.

/** Close, code 1012: the service restarts, and the client may come back (IANA's registry of close codes). Unmasked, as a server sends it. */
export const RESTART_FRAME: Uint8Array = Uint8Array.of(0x88, 0x02, 0x03, 0xf4);

const HEAD_BYTES = 2;
const MASK_BYTES = 4;

export class WebSocketFrames {
  /** Of the frame that has begun, as far as its head came. */
  readonly #head: number[] = [];
  /** Bytes that the frame still has after its head; null: its head is not whole. */
  #left: number | null = null;

  /** All that came so far is whole frames. */
  get isBetween(): boolean {
    return this.#head.length === 0;
  }

  /** Takes what comes next. Returns how many bytes of it are up to the first end of a frame; null: none ends in it. */
  take(chunk: Uint8Array): number | null {
    let firstEnd: number | null = null;
    let at = 0;
    while (at < chunk.length) {
      if (this.#left === null) {
        this.#head.push(chunk[at] ?? 0);
        at += 1;
        this.#left = lengthAfter(this.#head);
      } else {
        const step = Math.min(this.#left, chunk.length - at);
        at += step;
        this.#left -= step;
      }
      if (this.#left !== 0) continue;
      this.#left = null;
      this.#head.length = 0;
      firstEnd ??= at;
    }
    return firstEnd;
  }
}

/** Bytes of the frame behind its whole head; null: more of the head is to come. */
function lengthAfter(head: readonly number[]): number | null {
  const second = head[1];
  if (second === undefined) return null;
  const short = second & 0x7f;
  const extended = short === 127 ? 8 : short === 126 ? 2 : 0;
  const mask = (second & 0x80) === 0 ? 0 : MASK_BYTES;
  if (head.length < HEAD_BYTES + extended + mask) return null;
  const digits = head.slice(HEAD_BYTES, HEAD_BYTES + extended);
  return extended === 0 ? short : digits.reduce((length, digit) => 256 * length + digit, 0);
}
