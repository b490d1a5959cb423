// Msgpack: the one way from values to bytes and back. What others sent is walked through first: msgpackr also understands
// extensions, and by its references 450 bytes held the event loop for 32 s, 10 KB became millions of objects (measured).

import { Packr } from "msgpackr";

/** Plain maps and lists: msgpackr's records would need a schema that a peer of another release, or a relay, does not have. */
const packr = new Packr({ useRecords: false, mapsAsObjects: true, variableMapSize: true });

/** Throws (a bug) on what no plain value stands for: undefined, a date, a set. `head`: bytes before it. */
export function packValue(value: unknown, head: readonly number[] = []): Uint8Array {
  const body = packr.pack(value);
  if (!isPlain(body)) throw new TypeError("bug: packed what is no plain value");
  // A copy: msgpackr hands out a part of a buffer that it goes on using.
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}

/** Throws unless `bytes` are one plain value (msgpack's own types, no extension) and nothing after it. */
export function unpackValue(bytes: Uint8Array): unknown {
  if (!isPlain(bytes)) throw new RangeError("not plain msgpack");
  return packr.unpack(bytes);
}

/**
 * What follows the first byte of a value (msgpack specification, "Formats"): `bytes` of its own, or a length of `lengthBytes`
 * and then as many bytes or values for each that it counts.
 */
interface Form {
  readonly bytes: number;
  readonly lengthBytes: number;
  readonly bytesEach: number;
  readonly values: number;
  readonly valuesEach: number;
}

/** By first byte; undefined are 0xc1, which is not used, and the extensions. */
const FORMS: readonly (Form | undefined)[] = Array.from({ length: 256 }, (_, first) => formOf(first));

function formOf(first: number): Form | undefined {
  if (first < 0x80 || first >= 0xe0) return form({});
  if (first < 0x90) return form({ values: 2 * (first - 0x80) });
  if (first < 0xa0) return form({ values: first - 0x90 });
  if (first < 0xc0) return form({ bytes: first - 0xa0 });
  // Nil, false, true.
  if (first === 0xc0 || first === 0xc2 || first === 0xc3) return form({});
  // Bytes and text with a length of 1, 2 or 4; lists, then maps, of 2 or 4.
  if (first >= 0xc4 && first <= 0xc6) return form({ lengthBytes: 2 ** (first - 0xc4), bytesEach: 1 });
  if (first >= 0xd9 && first <= 0xdb) return form({ lengthBytes: 2 ** (first - 0xd9), bytesEach: 1 });
  if (first >= 0xdc) return form({ lengthBytes: first % 2 === 0 ? 2 : 4, valuesEach: first < 0xde ? 1 : 2 });
  // Floats of 4 and 8, whole numbers of 1, 2, 4 and 8.
  if (first === 0xca || first === 0xcb) return form({ bytes: first === 0xca ? 4 : 8 });
  if (first >= 0xcc && first <= 0xd3) return form({ bytes: 2 ** (first % 4) });
  return undefined;
}

function form(part: Partial<Form>): Form {
  return { bytes: 0, lengthBytes: 0, bytesEach: 0, values: 0, valuesEach: 0, ...part };
}

/** Walks from value to value without nesting: `missing` counts those that were promised and did not come yet. */
function isPlain(bytes: Uint8Array): boolean {
  let at = 0;
  for (let missing = 1; missing > 0; missing -= 1) {
    // Each takes a byte at least: a length that cannot be true ends the walk at once.
    if (missing > bytes.length - at) return false;
    const found = FORMS[bytes[at] ?? 0];
    if (found === undefined) return false;
    const length = found.lengthBytes === 0 ? 0 : readLength(bytes, at + 1, found.lengthBytes);
    at += 1 + found.bytes + found.lengthBytes + length * found.bytesEach;
    missing += found.values + length * found.valuesEach;
  }
  return at === bytes.length;
}

/** Big endian. Beyond the end: zero, and the walk is over. */
function readLength(bytes: Uint8Array, at: number, lengthBytes: number): number {
  let length = 0;
  for (let index = at; index < at + lengthBytes; index += 1) length = length * 256 + (bytes[index] ?? 0);
  return length;
}
