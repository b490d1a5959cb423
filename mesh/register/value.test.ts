import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { packValue } from "../core/msgpack.ts";
import { COUNTER_MAX, ENTRY_VALUE_BYTES_MAX } from "../limits.ts";
import { voterId } from "./ballot.ts";
import { idOf, valueAt } from "./testing/voters.ts";
import { createValue, decodeValue, isSameValue } from "./value.ts";

const RECORD = new TextEncoder().encode("{}");

const hex = fc.integer({ min: 0, max: 15 }).map((digit) => digit.toString(16));
const parts = fc.record({
  epoch: fc.integer({ min: 1, max: COUNTER_MAX }),
  origin: fc.record({
    round: fc.integer({ min: 1, max: COUNTER_MAX }),
    proposer: fc.array(hex, { minLength: 16, maxLength: 16 }).map((digits) => voterId(digits.join(""))),
  }),
  record: fc.uint8Array({ maxLength: 100 }),
});

describe("A register value", () => {
  it("is decoded to what was encoded, with the very bytes", () => {
    fc.assert(
      fc.property(parts, (part) => {
        const value = createValue(part);
        const decoded = decodeValue(value.encoded);
        expect(decoded).toEqual({ ok: true, value });
        expect(decoded.ok && decoded.value.encoded).toBe(value.encoded);
      }),
    );
  });

  it("keeps its bytes from release to release", () => {
    const { encoded } = valueAt(3, "7.a", "hi");
    const golden = "95 01 03 07 b0 30303030303030303030303030303061 c4 02 6869";
    expect(Buffer.from(encoded).toString("hex")).toBe(golden.replaceAll(" ", ""));
  });

  it("decodes any bytes to a value or to a reason, and never throws", () => {
    const { encoded } = valueAt(3, "7.a");
    const damaged = fc
      .tuple(fc.nat(encoded.length - 1), fc.nat(255), fc.nat(encoded.length))
      .map(([at, byte, length]) => {
        const bytes = new Uint8Array(encoded);
        bytes[at] = byte;
        return bytes.slice(0, length);
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged), (bytes) => {
        const decoded = decodeValue(bytes);
        if (!decoded.ok) expect(decoded.error).toMatch(/^register value: /);
        else expect(decoded.value.epoch).toBeGreaterThan(0);
      }),
    );
  });

  it("has a format, five fields, an epoch, an origin and a bounded record", () => {
    const fields: unknown[] = [1, 3, 7, idOf("a"), RECORD];
    const refused = [
      [fields.with(0, 2), "bad format"],
      [fields.with(1, 0), "bad epoch or origin"],
      [fields.with(1, COUNTER_MAX + 1), "bad epoch"],
      [fields.with(2, 0), "bad epoch or origin"],
      [fields.with(2, 1.5), "bad round"],
      [fields.with(3, "A".repeat(16)), "bad epoch or origin"],
      [fields.with(3, "a".repeat(17)), "bad proposer"],
      [fields.with(4, new Uint8Array(ENTRY_VALUE_BYTES_MAX + 1)), "bad record"],
      [fields.with(4, "{}"), "bad record"],
      [[...fields, 0], "bad number of fields"],
      [fields.slice(0, 4), "bad record"],
      [{}, "not a list"],
    ] as const;
    expect(decodeValue(packValue(fields)).ok).toBe(true);
    for (const [wrong, error] of refused) {
      expect(decodeValue(packValue(wrong))).toEqual({ ok: false, error: `register value: ${error}` });
    }
    expect(decodeValue(new Uint8Array([0xc1]))).toEqual({ ok: false, error: "register value: not msgpack" });
  });

  it("is the same by its bytes: two of one origin are two, if a ballot was used twice", () => {
    expect(isSameValue(valueAt(3, "7.a"), valueAt(3, "7.a"))).toBe(true);
    const others = [valueAt(3, "7.a", "another"), valueAt(3, "7.b", "record 7.a"), valueAt(4, "7.a")];
    for (const other of others) expect(isSameValue(valueAt(3, "7.a"), other)).toBe(false);
  });
});
