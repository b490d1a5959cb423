import fc from "fast-check";
import { expect, test } from "vitest";
import type { Entry } from "../mesh.ts";
import { hashEntry, xorHashes } from "./entry.ts";
import { HostState } from "./host-state.ts";
import { ownerId } from "./ids.ts";

const OWNER = ownerId("owner");
const START = { incarnation: 1, startId: 7 };

/** Writes on few keys, so that they replace and delete each other. */
const writes = fc.array(
  fc.record({
    key: fc.constantFrom("a", "b", "c", "d"),
    value: fc.option(fc.uint8Array({ maxLength: 8 })),
    skip: fc.nat(3),
  }),
);

function build(list: typeof writes extends fc.Arbitrary<infer List> ? List : never): HostState {
  const state = new HostState(OWNER, START);
  for (const { key, value, skip } of list) {
    const counter = state.counter + 1 + skip;
    state.put({ owner: OWNER, key, value, version: { ...START, counter } });
  }
  return state;
}

function slowChecksum(entries: Iterable<Entry>): number {
  return [...entries].map(hashEntry).reduce(xorHashes, 0);
}

test("the checksum equals that of all entries, whatever was written", () => {
  fc.assert(
    fc.property(writes, (list) => {
      const state = build(list);
      expect(state.checksum).toBe(slowChecksum(state.entries()));
      expect(state.liveCount).toBe([...state.entries()].filter((entry) => entry.value !== null).length);
    }),
  );
});

test("entries stand in version order, each key once", () => {
  fc.assert(
    fc.property(writes, (list) => {
      const counters = [...build(list).entries()].map((entry) => entry.version.counter);
      expect(counters).toEqual([...counters].sort((left, right) => left - right));
      expect(new Set(list.map((write) => write.key)).size).toBe(counters.length);
    }),
  );
});

test("collecting tombstones changes neither checksum nor live entries", () => {
  fc.assert(
    fc.property(writes, fc.nat(40), (list, upTo) => {
      const state = build(list);
      const [checksum, live] = [state.checksum, state.liveCount];
      const collected = state.compact(upTo);
      expect([state.checksum, state.liveCount]).toEqual([checksum, live]);
      expect(state.compacted).toBeLessThanOrEqual(upTo);
      expect(collected > 0).toBe(state.compacted > 0);
    }),
  );
});

test("the hash of an entry depends on key, counter and every byte of the value", () => {
  const entry = { owner: OWNER, key: "a", value: new Uint8Array([1, 2]), version: { ...START, counter: 1 } };
  const others = [
    { ...entry, key: "b" },
    { ...entry, version: { ...START, counter: 2 } },
    { ...entry, value: new Uint8Array([2, 1]) },
    { ...entry, value: new Uint8Array([1, 2, 0]) },
  ];
  expect(new Set([entry, ...others].map(hashEntry)).size).toBe(5);
  expect(hashEntry({ ...entry, value: null })).toBe(0);
});

test("an entry that is not newer than all held is a bug", () => {
  const state = build([{ key: "a", value: null, skip: 0 }]);
  expect(() =>
    state.put({ owner: OWNER, key: "b", value: null, version: { ...START, counter: 1 } }),
  ).toThrow();
});
