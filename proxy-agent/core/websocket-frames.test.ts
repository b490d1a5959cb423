import fc from "fast-check";
import { expect, test } from "vitest";
import { RESTART_FRAME, WebSocketFrames } from "./websocket-frames.ts";

/** A frame of `length` bytes, as who is `masked` or not would send it. */
function frame(length: number, masked: boolean): Buffer {
  const bit = masked ? 0x80 : 0;
  const head =
    length < 126
      ? Buffer.from([0x82, bit | length])
      : length < 65_536
        ? Buffer.from([0x82, bit | 126, length >> 8, length & 0xff])
        : Buffer.from([0x82, bit | 127, 0, 0, 0, 0, ...uint32(length)]);
  return Buffer.concat([head, Buffer.alloc(masked ? 4 : 0), Buffer.alloc(length, 0x88)]);
}

function uint32(value: number): readonly number[] {
  return [value >>> 24, (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff];
}

test("the ends of frames are found, whatever pieces they come in", () => {
  const lengths = fc.oneof(fc.nat(300), fc.constantFrom(0, 125, 126, 65_535, 65_536, 70_000));
  const frames = fc.array(fc.record({ length: lengths, masked: fc.boolean() }), {
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 5_000 })), (sent, cuts) => {
      const bytes = Buffer.concat(sent.map(({ length, masked }) => frame(length, masked)));
      const ends: number[] = [];
      for (const { length, masked } of sent) ends.push((ends.at(-1) ?? 0) + frame(length, masked).length);
      const scanner = new WebSocketFrames();
      let at = 0;
      for (const size of [...cuts, bytes.length]) {
        const piece = bytes.subarray(at, at + size);
        const end = ends.find((candidate) => candidate > at && candidate <= at + piece.length);
        expect(scanner.take(piece)).toBe(end === undefined ? null : end - at);
        at += piece.length;
        expect(scanner.isBetween).toBe(at === 0 || ends.includes(at));
      }
    }),
  );
});

test("a restart is told by a frame of two bytes that say 1012", () => {
  const scanner = new WebSocketFrames();
  expect(scanner.take(RESTART_FRAME)).toBe(RESTART_FRAME.length);
  expect(Buffer.from(RESTART_FRAME).readUInt16BE(2)).toBe(1012);
});
