// Held credit: a reader of a Yamux stream tells its writer how much more it may send. js-libp2p says so after every message it
// reads, which makes of each message two packets, two encryptions and two system calls at both ends. Other Yamux say it once half
// of the window is used; so do we, by holding back what is less. The writer always has the other half, so it never waits for it.

/** Half of the window that every stream begins with (Yamux's specification: 256 KiB). */
const CREDIT_BYTES_MIN = 128 * 1024;
/** Streams of one connection of which something is held; ended ones are among them. Beyond, who was quiet longest gets its credit. */
const STREAMS_MAX = 256;

const HEADER_BYTES = 12;
const WINDOW_UPDATE = 1;

export class HeldCredit {
  /** By stream, who read last at the end. Credit that is never given would be lost to the writer for good. */
  readonly #held = new Map<number, number>();

  /** What is to be sent now in the place of `frame`: itself, with what was held of its stream, or nothing; or another's. */
  pass(frame: Uint8Array): readonly Uint8Array[] {
    if (frame.length !== HEADER_BYTES || frame[1] !== WINDOW_UPDATE) return [frame];
    const view = new DataView(frame.buffer, frame.byteOffset, HEADER_BYTES);
    const [flags, stream, bytes] = [view.getUint16(2), view.getUint32(4), view.getUint32(8)];
    const credit = (this.#held.get(stream) ?? 0) + bytes;
    this.#held.delete(stream);
    if (flags === 0 && credit < CREDIT_BYTES_MIN) return this.#hold(stream, credit);
    view.setUint32(8, credit);
    return [frame];
  }

  #hold(stream: number, credit: number): readonly Uint8Array[] {
    this.#held.set(stream, credit);
    const [oldest] = this.#held;
    if (oldest === undefined || this.#held.size <= STREAMS_MAX) return [];
    this.#held.delete(oldest[0]);
    return [windowUpdate(...oldest)];
  }
}

function windowUpdate(stream: number, credit: number): Uint8Array {
  const frame = new Uint8Array(HEADER_BYTES);
  const view = new DataView(frame.buffer);
  view.setUint8(1, WINDOW_UPDATE);
  view.setUint32(4, stream);
  view.setUint32(8, credit);
  return frame;
}
