import fc from "fast-check";
import { Packr } from "msgpackr";
import { describe, expect, test } from "vitest";
import { packValue, unpackValue } from "./msgpack.ts";

/** As a peer may pack that wants to hurt: with references to what it said before. */
const hostile = new Packr({ useRecords: false, structuredClone: true });

function nested(depth: number, width: number): unknown {
  let value: unknown = [1];
  for (let level = 0; level < depth; level += 1) value = Array.from({ length: width }, () => value);
  return value;
}

function hexOf(value: unknown): string {
  return Buffer.from(packValue(value)).toString("hex");
}

describe("unpackValue()", () => {
  test("reads back what was packed", () => {
    const values = fc.object({
      key: fc.string({ maxLength: 20 }).filter((key) => key !== "__proto__"),
      values: [
        fc.integer(),
        fc.double({ noNaN: true }),
        fc.string({ unit: "binary", maxLength: 300 }),
        fc.boolean(),
        fc.constant(null),
        fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
        fc.array(fc.nat(), { maxLength: 40 }),
      ],
    });
    fc.assert(
      fc.property(values, (value) => {
        expect(hexOf(unpackValue(packValue(value)))).toBe(hexOf(value));
      }),
    );
  });

  test("takes every length of text, bytes, list and map", () => {
    for (const length of [0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536]) {
      const map = Object.fromEntries(Array.from({ length: Math.min(length, 300) }, (_, at) => [`${at}`, at]));
      const value = ["x".repeat(length), new Uint8Array(length), new Array(length).fill(-1), map];
      expect(hexOf(unpackValue(packValue(value)))).toBe(hexOf(value));
    }
  });

  test("refuses references: what they stand for may be exponentially more than the bytes", () => {
    const bytes = hostile.pack(nested(30, 8));
    expect(bytes.length).toBeLessThan(2_000);
    expect(() => unpackValue(bytes)).toThrow("not plain msgpack");
    expect(() => unpackValue(new Uint8Array([...bytes, 0]))).toThrow("not plain msgpack");
  });

  test.each([new Date(0), new Set([1]), /a/, new Error("a"), 2n ** 70n, new Float32Array(2)])(
    "refuses the extension for %o",
    (value) => {
      expect(() =>
        unpackValue(new Packr({ moreTypes: true, structuredClone: true }).pack([value])),
      ).toThrow();
    },
  );

  test("is never met by undefined: it is refused where it is written", () => {
    expect(() => packValue({ a: undefined })).toThrow("no plain value");
  });

  test("refuses what is cut, what goes on, and lengths that cannot be true", () => {
    const bytes = packValue({ a: [1, "two", new Uint8Array([3])], b: 1.5 });
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => unpackValue(bytes.subarray(0, length))).toThrow("not plain msgpack");
    }
    expect(() => unpackValue(new Uint8Array([...bytes, 0]))).toThrow("not plain msgpack");
    for (const first of [0xc6, 0xdb, 0xdd, 0xdf]) {
      expect(() => unpackValue(new Uint8Array([first, 255, 255, 255, 255, 0]))).toThrow("not plain msgpack");
    }
  });
});
