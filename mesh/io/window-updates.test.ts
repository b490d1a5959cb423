import { expect, test } from "vitest";
import { holdWindowUpdates } from "./window-updates.ts";

const KIB = 1024;
const ACK = 2;
const FIN = 4;

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly length: number;
}

function frame({ type, flags, stream, length }: Frame): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setUint8(1, type);
  view.setUint16(2, flags);
  view.setUint32(4, stream);
  view.setUint32(8, length);
  return bytes;
}

function parse(bytes: Uint8Array): Frame {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return {
    type: view.getUint8(1),
    flags: view.getUint16(2),
    stream: view.getUint32(4),
    length: view.getUint32(8),
  };
}

function update(stream: number, length: number, flags = 0): Frame {
  return { type: 1, flags, stream, length };
}

/** What goes out of what a muxer sends. */
function sentOf(
  frames: readonly Frame[],
  isRoom = true,
): { readonly out: readonly Frame[]; readonly rooms: readonly boolean[] } {
  const out: Frame[] = [];
  const send = holdWindowUpdates((bytes) => {
    if (bytes instanceof Uint8Array) out.push(parse(bytes));
    return isRoom;
  });
  const rooms = frames.map((one) => send(frame(one)));
  return { out, rooms };
}

test("updates of a few bytes are held back until they add up, each stream's apart, and nothing of them is lost", () => {
  const updates = Array.from({ length: 200 }, (_, at) => update(1 + (at % 2), KIB));
  const { out } = sentOf(updates);
  expect(out).toEqual([update(1, 64 * KIB), update(2, 64 * KIB)]);
});

test("an update that opens, answers or ends a stream goes at once, with what was held", () => {
  const { out } = sentOf([update(1, 10), update(1, 0, FIN), update(2, 256 * KIB, ACK)]);
  expect(out).toEqual([update(1, 10, FIN), update(2, 256 * KIB, ACK)]);
});

test("a large update goes at once, and all that is no update as it is", () => {
  const ping = { type: 2, flags: 1, stream: 0, length: 7 };
  const data = { type: 0, flags: 0, stream: 3, length: 0 };
  expect(sentOf([update(1, 128 * KIB), ping, data]).out).toEqual([update(1, 128 * KIB), ping, data]);
});

test("what is held back takes no room, and what is sent says whether there is more", () => {
  expect(sentOf([update(1, 1), update(1, 64 * KIB)], false).rooms).toEqual([true, false]);
});

test("streams that ended in silence are not remembered for ever: the oldest is told", () => {
  const { out } = sentOf(Array.from({ length: 1_001 }, (_, at) => update(at, 5)));
  expect(out).toEqual([update(0, 5)]);
});
