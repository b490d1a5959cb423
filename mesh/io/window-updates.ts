// Window updates: yamux tells its peer after each frame that it has read it, a packet and its acknowledgment for every word of
// ours. Those are held back until they add up: half of what an idle cluster said were they (measured).

/** A quarter of a stream's first window: a sender that filled its window has long been told. */
const HELD_BYTES_MAX = 64 * 1024;
/** Streams with something held: those that ended in silence are forgotten with the oldest, which is told. */
const HELD_STREAMS_MAX = 1_000;

// yamux's header (hashicorp/yamux, spec.md): version, type, flags (2 bytes), stream id (4), length (4), big endian.
const HEADER_BYTES = 12;
const TYPE_AT = 1;
const FLAGS_AT = 2;
const STREAM_AT = 4;
const LENGTH_AT = 8;
const WINDOW_UPDATE = 1;

/** `send` of a muxer's connection, with less to say. True: there is room for more. */
export function holdWindowUpdates<Rest extends { readonly byteLength: number }>(
  send: (bytes: Uint8Array | Rest) => boolean,
): (bytes: Uint8Array | Rest) => boolean {
  /** By stream. */
  const held = new Map<number, number>();
  const tell = (stream: number, flags: number): boolean => {
    const length = held.get(stream) ?? 0;
    held.delete(stream);
    return send(windowUpdate(stream, flags, length));
  };
  return (bytes) => {
    const update = readWindowUpdate(bytes);
    if (update === undefined) return send(bytes);
    const { stream, flags, length } = update;
    held.set(stream, (held.get(stream) ?? 0) + length);
    // With a flag it opens, answers, or ends the stream.
    if (flags !== 0 || (held.get(stream) ?? 0) >= HELD_BYTES_MAX) return tell(stream, flags);
    const [oldest] = held.keys();
    return held.size > HELD_STREAMS_MAX && oldest !== undefined ? tell(oldest, 0) : true;
  };
}

interface WindowUpdate {
  readonly stream: number;
  readonly flags: number;
  readonly length: number;
}

/** Each frame is sent on its own, and one without data is plain bytes. */
function readWindowUpdate(bytes: Uint8Array | { readonly byteLength: number }): WindowUpdate | undefined {
  const isHeader = bytes instanceof Uint8Array && bytes.byteLength === HEADER_BYTES;
  if (!isHeader || bytes[TYPE_AT] !== WINDOW_UPDATE) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const [stream, length] = [view.getUint32(STREAM_AT), view.getUint32(LENGTH_AT)];
  return { stream, flags: view.getUint16(FLAGS_AT), length };
}

function windowUpdate(stream: number, flags: number, length: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(TYPE_AT, WINDOW_UPDATE);
  view.setUint16(FLAGS_AT, flags);
  view.setUint32(STREAM_AT, stream);
  view.setUint32(LENGTH_AT, length);
  return bytes;
}
