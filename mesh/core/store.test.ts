import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ENTRIES_PER_OWNER_MAX } from "../limits.ts";
import { answerDigest } from "./delta.ts";
import { compareDigest, digestOf } from "./digest.ts";
import { ownerId } from "./ids.ts";
import type { HostDelta } from "./message.ts";
import { OwnState } from "./own-state.ts";
import { Store } from "./store.ts";

const OWNER = ownerId("owner");
const READER = ownerId("reader");

function ownerStore(incarnation = 1): { own: OwnState; store: Store } {
  const own = new OwnState(OWNER, { incarnation, startId: 1 });
  const store = new Store();
  store.install(own.state);
  return { own, store };
}

function answer(from: Store, to: Store, bytesMax = 100_000, turn = 0): readonly HostDelta[] {
  return answerDigest(from, { items: digestOf(to), scope: "all", bytesMax, turn }).deltas;
}

/** Asks until nothing is lacking. */
function sync(from: Store, to: Store, bytesMax = 100_000): number {
  let rounds = 0;
  for (
    let deltas = answer(from, to, bytesMax);
    deltas.length > 0;
    deltas = answer(from, to, bytesMax, rounds)
  ) {
    for (const delta of deltas) to.apply(delta);
    rounds += 1;
    if (rounds > 1_000) throw new Error("sync does not end");
  }
  return rounds;
}

function contents(store: Store): readonly (readonly [string, string, readonly number[]])[] {
  return store.list("").map(({ owner, key, value }) => [owner, key, [...(value ?? [])]]);
}

const writes = fc.array(
  fc.tuple(fc.constantFrom("a", "b", "c", "d", "e"), fc.option(fc.uint8Array({ maxLength: 60 }))),
  { minLength: 1, maxLength: 40 },
);

describe("any order, loss and doubling of the same messages", () => {
  test("ends in the same store after a sync, and never goes back", () => {
    fc.assert(
      fc.property(writes, fc.array(fc.nat(60), { maxLength: 120 }), (list, order) => {
        const { own, store } = ownerStore();
        own.announce();
        const gossip = list.map(([key, value]) => {
          own.write(key, value);
          return own.takeGossip();
        });
        const reader = new Store();
        let last = 0;
        for (const at of order) {
          const delta = gossip[at % gossip.length];
          if (delta !== undefined) reader.apply(delta);
          const counter = reader.held(OWNER).inForce?.counter ?? 0;
          expect(counter).toBeGreaterThanOrEqual(last);
          last = counter;
        }
        sync(store, reader);
        expect(contents(reader)).toEqual(contents(store));
        expect(digestOf(reader)).toEqual(digestOf(store));
        expect(sync(store, reader)).toBe(0);
      }),
    );
  });
});

describe("a delta that is cut", () => {
  test("leaves a valid prefix: what was asked for again completes it, entry by entry", () => {
    fc.assert(
      fc.property(writes, fc.integer({ min: 300, max: 700 }), (list, bytesMax) => {
        const { own, store } = ownerStore();
        for (const [key, value] of list) own.write(key, value);
        own.announce();
        const reader = new Store();
        sync(store, reader, bytesMax);
        expect(contents(reader)).toEqual(contents(store));
      }),
    );
  });

  test("is not put in force while it may lack what its sender replaced later", () => {
    const { own, store } = ownerStore();
    own.write("kept", new Uint8Array([1]));
    own.announce();
    own.write("large", new Uint8Array(5_000));
    own.write("kept", new Uint8Array([2]));
    const reader = new Store();
    const [first] = answer(store, reader, 5_250);
    expect(first).toMatchObject({ from: 0, to: 2, head: 3, completeAt: 1 });
    if (first !== undefined) reader.apply(first);
    expect(reader.held(OWNER)).toMatchObject({ inForce: undefined, aside: { counter: 2 } });
    sync(store, reader);
    expect(reader.get(OWNER, "kept")?.value).toEqual(new Uint8Array([2]));
  });

  test("gives every owner its turn: a small state is not starved by a large one", () => {
    const large = new Store();
    const { own, store } = ownerStore();
    for (let at = 0; at < 100; at += 1) own.write(`key-${at}`, new Uint8Array(10_000));
    own.announce();
    const small = new OwnState(ownerId("small"), { incarnation: 1, startId: 1 });
    small.write("a", new Uint8Array([1]));
    small.announce();
    store.install(small.state);
    for (const delta of answer(store, large, 100_000)) large.apply(delta);
    expect(large.get(ownerId("small"), "a")).toBeDefined();
  });

  test("is not all heads when very many owners are lacked: each answer brings some entries", () => {
    const store = new Store();
    for (let at = 0; at < 40; at += 1) {
      const own = new OwnState(ownerId(`owner-${at}`), { incarnation: 1, startId: 1 });
      own.write("a", new Uint8Array(100));
      own.announce();
      store.install(own.state);
    }
    const reader = new Store();
    sync(store, reader, 10 * 192);
    expect(contents(reader)).toEqual(contents(store));
  });
});

describe("a stretch that is over the bound on entries", () => {
  test("is refused whole: nothing is held that was not told", () => {
    const { own, store } = ownerStore();
    for (let at = 0; at < ENTRIES_PER_OWNER_MAX - 1; at += 1) own.write(`${at}`, null);
    own.announce();
    const reader = new Store();
    sync(store, reader, 10_000_000);
    // The owner has collected its tombstones, the reader has not.
    own.state.compact(1_000);
    for (const key of ["x", "y"]) own.write(key, new Uint8Array([1]));
    const [delta] = answer(store, reader);
    if (delta === undefined) throw new Error("nothing lacking");
    expect(reader.apply(delta)).toEqual({ kind: "refused", reason: "entries-max" });
    expect(contents(reader)).toEqual([]);
  });
});

describe("a restart of the owner", () => {
  test("takes the place of the one before only when it is complete", () => {
    const before = ownerStore(1);
    before.own.write("kept", new Uint8Array([1]));
    before.own.write("gone", new Uint8Array([1]));
    before.own.announce();
    const reader = new Store();
    sync(before.store, reader);
    const after = ownerStore(2);
    after.own.write("other", new Uint8Array([2]));
    sync(after.store, reader);
    expect(reader.list("").map((entry) => entry.key)).toEqual(["gone", "kept"]);
    after.own.write("kept", new Uint8Array([2]));
    after.own.announce();
    const changes = answer(after.store, reader).map((delta) => reader.apply(delta));
    expect(changes).toMatchObject([
      {
        changes: [
          { key: "other", version: { incarnation: 2, counter: 1 } },
          { key: "kept", version: { incarnation: 2, counter: 2 } },
          { key: "gone", value: null, version: { incarnation: 2, counter: 2 } },
        ],
      },
    ]);
    expect(reader.list("").map((entry) => entry.key)).toEqual(["kept", "other"]);
  });

  test("does not keep the one before from a reader that only knows of the new one", () => {
    const before = ownerStore(1);
    before.own.write("a", new Uint8Array([1]));
    before.own.announce();
    const relay = new Store();
    sync(before.store, relay);
    const after = ownerStore(2);
    after.own.write("b", new Uint8Array([2]));
    const reader = new Store();
    sync(after.store, reader);
    expect(compareDigest(reader, digestOf(relay), READER).isLacking).toBe(true);
    sync(relay, reader);
    expect(contents(reader)).toEqual([[OWNER, "a", [1]]]);
    after.own.announce();
    sync(after.store, reader);
    expect(contents(reader)).toEqual([[OWNER, "b", [2]]]);
  });

  test("makes what comes late of the one before stale", () => {
    const before = ownerStore(1);
    before.own.announce();
    before.own.write("a", new Uint8Array([1]));
    const late = before.own.takeGossip();
    const after = ownerStore(2);
    after.own.write("a", new Uint8Array([2]));
    after.own.announce();
    const reader = new Store();
    sync(after.store, reader);
    expect(reader.apply(late)).toEqual({ kind: "ignored", reason: "stale" });
    expect(reader.get(OWNER, "a")?.value).toEqual(new Uint8Array([2]));
  });
});

describe("collected tombstones", () => {
  test("make a reader that is behind them begin anew, without an empty moment", () => {
    const { own, store } = ownerStore();
    own.write("kept", new Uint8Array([1]));
    own.write("gone", new Uint8Array([1]));
    own.announce();
    const reader = new Store();
    sync(store, reader);
    own.write("gone", null);
    own.write("big", new Uint8Array(400));
    own.write("more", new Uint8Array(400));
    expect(own.state.compact(3)).toBe(1);
    const seen: number[] = [];
    for (let deltas = answer(store, reader, 700); deltas.length > 0; deltas = answer(store, reader, 700)) {
      for (const delta of deltas) reader.apply(delta);
      seen.push(reader.list("").length);
      expect(reader.get(OWNER, "kept")).toBeDefined();
    }
    expect(seen.at(-1)).toBe(3);
    expect(reader.get(OWNER, "gone")).toBeUndefined();
  });
});

describe("values that differ at one version", () => {
  test("are found by the checksum and repaired from the owner", () => {
    const { own, store } = ownerStore();
    own.write("a", new Uint8Array([1]));
    own.announce();
    const good = own.takeGossip();
    const bad = { ...good, entries: good.entries.map((entry) => ({ ...entry, value: new Uint8Array([9]) })) };
    const reader = new Store();
    reader.apply(bad);
    expect(compareDigest(reader, digestOf(store), READER).mismatched).toEqual([OWNER]);
    const items = digestOf(reader).map((item) => ({ ...item, wantsRepair: true }));
    const { deltas } = answerDigest(store, { items, scope: "listed", bytesMax: 10_000, turn: 0 });
    const outcome = deltas.map((delta) => reader.apply(delta));
    expect(outcome).toMatchObject([{ changes: [{ key: "a", value: new Uint8Array([1]) }] }]);
    expect(digestOf(reader)).toEqual(digestOf(store));
  });
});
