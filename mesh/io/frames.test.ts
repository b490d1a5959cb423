import fc from "fast-check";
import { expect, test } from "vitest";
import { FrameCutter, FrameError, frame } from "./frames.ts";

test("frames come out as they went in, however the stream was cut", () => {
  const frames = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 10 });
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }), (sent, cuts) => {
      const stream = Buffer.concat(sent.map(frame));
      const cutter = new FrameCutter(50);
      const received: Uint8Array[] = [];
      let [at, turn] = [0, 0];
      while (at < stream.length) {
        const length = cuts[turn % cuts.length] ?? 1;
        for (const bytes of cutter.push(stream.subarray(at, at + length)))
          received.push(new Uint8Array(bytes));
        at += length;
        turn += 1;
      }
      expect(received).toEqual(sent);
    }),
  );
});

test("a length over the bound throws, after the frames before it", () => {
  const cutter = new FrameCutter(10);
  const received: number[] = [];
  const push = () => {
    for (const bytes of cutter.push(
      Buffer.concat([frame(new Uint8Array(3)), new Uint8Array([0, 0, 0, 11])]),
    )) {
      received.push(bytes.length);
    }
  };
  expect(push).toThrow(FrameError);
  expect(received).toEqual([3]);
});
