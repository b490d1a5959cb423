import { describe, expect, it } from "vitest";
import { s } from "./shape.ts";

const row = s.object({
  name: s.string(),
  count: s.number().nullable(),
  kind: s.enum(["a", "b"]),
  tags: s.array(s.string()).default([]),
  by: s.object({ who: s.string() }).optional(),
  shares: s.record(s.number()).nullish(),
});

describe("a shape", () => {
  it("reads what it asks for first, and keeps whatever else was said", () => {
    const said = { more: [1], kind: "a", name: "x", count: null };
    const read = row.parse(said);
    expect(read).toEqual({ name: "x", count: null, kind: "a", tags: [], more: [1] });
    expect(JSON.stringify(read)).toBe('{"name":"x","count":null,"kind":"a","tags":[],"more":[1]}');
  });

  it.each([
    [null, "it is not an object"],
    [[], "it is not an object"],
    [{ count: 1, kind: "a" }, "name is not text"],
    [{ name: 1, count: 1, kind: "a" }, "name is not text"],
    [{ name: "x", kind: "a" }, "count is not a number"],
    [{ name: "x", count: "1", kind: "a" }, "count is not a number"],
    [{ name: "x", count: 1, kind: "c" }, "kind is not one of a, b"],
    [{ name: "x", count: 1, kind: "a", tags: "t" }, "tags is not a list"],
    [{ name: "x", count: 1, kind: "a", tags: ["t", null] }, "tags[1] is not text"],
    [{ name: "x", count: 1, kind: "a", by: {} }, "by.who is not text"],
    [{ name: "x", count: 1, kind: "a", by: null }, "by is not an object"],
    [{ name: "x", count: 1, kind: "a", shares: { v1: "all" } }, "shares.v1 is not a number"],
  ])("says of %j where it is not what it should be", (said, error) => {
    expect(row.read(said)).toEqual({ ok: false, error });
  });

  it("throws the same", () => {
    expect(() => row.parse(7)).toThrow("this release of the command can read: it is not an object");
  });

  it("is not misled by a key that objects have by birth", () => {
    const said: unknown = JSON.parse('{"__proto__":{"name":"x"},"toString":1}');
    expect(s.object({ name: s.string() }).read(said).ok).toBe(false);
    expect(s.object({ toString: s.number() }).parse(said)).toMatchObject({ toString: 1 });
    expect(s.object({ valueOf: s.unknown() }).parse({})).toEqual({});
  });

  it("of an object takes more keys, and of its values some alone", () => {
    const more = s.object({ a: s.literal(1) }).extend({ b: s.boolean() });
    expect(more.parse({ a: 1, b: true })).toEqual({ a: 1, b: true });
    expect(more.read({ a: 2, b: true })).toEqual({ ok: false, error: "a is not one of 1" });
    expect(more.read({ a: 1, b: 0 })).toEqual({ ok: false, error: "b is not true or false" });
    const even = s.number().that((count) => count % 2 === 0, "even");
    expect(even.read(3)).toEqual({ ok: false, error: "it is not even" });
    expect(even.parse(4)).toBe(4);
  });
});
