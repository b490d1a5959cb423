import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ENTRIES_PER_OWNER_MAX } from "../limits.ts";
import { standInCrypto } from "../sim/stand-in-crypto.ts";
import {
  answer,
  CRYPTO,
  contents,
  gossipOf,
  newStore,
  OWNER,
  ownerStore,
  READER,
  show,
  sync,
} from "../sim/store-harness.ts";
import { answerDigest } from "./delta.ts";
import { compareDigest, digestOf } from "./digest.ts";
import { ownerId } from "./ids.ts";
import type { HostDelta } from "./message.ts";
import { OwnState } from "./own-state.ts";
import { ALL_PROTECTIONS } from "./protections.ts";
import { Store } from "./store.ts";

const SMALL = ownerId("small");

/** As a relay that lies: the owner's head, other values. */
function tamper(delta: HostDelta): HostDelta {
  return { ...delta, entries: delta.entries.map((entry) => ({ ...entry, value: new Uint8Array([9]) })) };
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
          return gossipOf(own);
        });
        const reader = newStore();
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
      fc.property(writes, fc.integer({ min: 492, max: 892 }), (list, bytesMax) => {
        const { own, store } = ownerStore();
        for (const [key, value] of list) own.write(key, value);
        own.announce();
        const reader = newStore();
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
    const reader = newStore();
    const [first] = answer(store, reader, 5_442);
    expect(first).toMatchObject({ from: 0, to: 2, head: { counter: 3, completeAt: 1 } });
    if (first !== undefined) reader.apply(first);
    expect(reader.held(OWNER)).toMatchObject({ inForce: undefined, aside: { counter: 2 } });
    sync(store, reader);
    expect(reader.get(OWNER, "kept")?.value).toEqual(new Uint8Array([2]));
  });

  test("gives every owner its turn: a small state is not starved by a large one", () => {
    const large = newStore();
    const { own, store } = ownerStore();
    for (let at = 0; at < 100; at += 1) own.write(`key-${at}`, new Uint8Array(10_000));
    own.announce();
    const small = new OwnState(SMALL, { incarnation: 1, startId: 1 }, standInCrypto(SMALL));
    small.write("a", new Uint8Array([1]));
    small.announce();
    show(store, small);
    for (const delta of answer(store, large, 100_000)) large.apply(delta);
    expect(large.get(SMALL, "a")).toBeDefined();
  });

  test("brings its asker little of its own earlier start, and does not call that more", () => {
    const { own, store } = ownerStore();
    for (let at = 0; at < 100; at += 1) own.write(`key-${at}`, new Uint8Array(1_000));
    own.announce();
    own.seal();
    const request = { items: [], scope: "all", bytesMax: 50_000, turn: 0 } as const;
    expect(answerDigest(store, { ...request, asker: READER }).hasMore).toBe(true);
    const { deltas, hasMore } = answerDigest(store, { ...request, asker: OWNER });
    expect(hasMore).toBe(false);
    expect(deltas[0]?.entries.length).toBeLessThan(10);
  });

  test("is not all heads when very many owners are lacked: each answer brings some entries", () => {
    const store = newStore();
    for (let at = 0; at < 40; at += 1) {
      const owner = ownerId(`owner-${at}`);
      const own = new OwnState(owner, { incarnation: 1, startId: 1 }, standInCrypto(owner));
      own.write("a", new Uint8Array(100));
      own.announce();
      show(store, own);
    }
    const reader = newStore();
    sync(store, reader, 10 * 384);
    expect(contents(reader)).toEqual(contents(store));
  });
});

describe("a stretch that is over the bound on entries", () => {
  /** The owner is at the bound, has collected its tombstones, and gone on; the reader has not collected them. */
  function collectedByOwnerAlone(): { store: Store; reader: Store; delta: HostDelta } {
    const { own, store } = ownerStore();
    for (let at = 0; at < ENTRIES_PER_OWNER_MAX - 1; at += 1) own.write(`${at}`, null);
    own.announce();
    const reader = newStore();
    sync(store, reader, 10_000_000);
    own.state.compact(1_000);
    for (const key of ["x", "y"]) own.write(key, new Uint8Array([1]));
    const [delta] = answer(store, reader);
    if (delta === undefined) throw new Error("nothing lacking");
    return { store, reader, delta };
  }

  test("is refused whole: nothing is held that was not told", () => {
    const { reader, delta } = collectedByOwnerAlone();
    expect(reader.apply({ ...delta, compacted: 0 })).toEqual({ kind: "refused", reason: "entries-max" });
    expect(contents(reader)).toEqual([]);
  });

  test("is taken if the tombstones that its sender has collected make room: else it would be refused for a grace", () => {
    const { store, reader, delta } = collectedByOwnerAlone();
    expect(reader.apply(delta)).toMatchObject({ kind: "applied", isProgress: true });
    expect(contents(reader)).toEqual(contents(store));
    // Who is below what went here is reset, as by the owner.
    expect(reader.held(OWNER).inForce?.compacted).toBe(1_000);
  });
});

describe("a restart of the owner", () => {
  test("takes the place of the one before only when it is complete", () => {
    const before = ownerStore(1);
    before.own.write("kept", new Uint8Array([1]));
    before.own.write("gone", new Uint8Array([1]));
    before.own.announce();
    const reader = newStore();
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
    const relay = newStore();
    sync(before.store, relay);
    const after = ownerStore(2);
    after.own.write("b", new Uint8Array([2]));
    const reader = newStore();
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
    const late = gossipOf(before.own);
    const after = ownerStore(2);
    after.own.write("a", new Uint8Array([2]));
    after.own.announce();
    const reader = newStore();
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
    const reader = newStore();
    sync(store, reader);
    own.write("gone", null);
    own.write("big", new Uint8Array(400));
    own.write("more", new Uint8Array(400));
    expect(own.state.compact(3)).toBe(1);
    const seen: number[] = [];
    for (let deltas = answer(store, reader, 892); deltas.length > 0; deltas = answer(store, reader, 892)) {
      for (const delta of deltas) reader.apply(delta);
      seen.push(reader.list("").length);
      expect(reader.get(OWNER, "kept")).toBeDefined();
    }
    expect(seen.at(-1)).toBe(3);
    expect(reader.get(OWNER, "gone")).toBeUndefined();
  });
});

describe("values that are not what their owner signed", () => {
  test("are refused from the first entry on, and after a part too", () => {
    const { own, store } = ownerStore();
    own.write("a", new Uint8Array([1]));
    own.announce();
    const first = gossipOf(own);
    own.write("b", new Uint8Array([2]));
    const second = gossipOf(own);
    const reader = newStore();
    expect(reader.apply(tamper(first))).toEqual({ kind: "refused", reason: "root" });
    reader.apply(first);
    expect(reader.apply(tamper(second))).toEqual({ kind: "refused", reason: "root" });
    expect(reader.apply({ ...second, entries: [] })).toEqual({ kind: "refused", reason: "root" });
    expect(contents(reader)).toEqual([[OWNER, "a", [1]]]);
    reader.apply(second);
    expect(digestOf(reader)).toEqual(digestOf(store));
  });

  test("are refused under a head that somebody else signed", () => {
    const { own } = ownerStore();
    own.write("a", new Uint8Array([1]));
    own.announce();
    const { owner: _, ...delta } = gossipOf(own);
    expect(newStore().apply({ ...delta, owner: SMALL })).toEqual({ kind: "refused", reason: "signature" });
  });

  test("do not come in force with a part that is cut before they could be checked", () => {
    const { own, store } = ownerStore();
    own.write("a", new Uint8Array([1]));
    own.announce();
    const reader = newStore();
    sync(store, reader);
    for (const key of ["b", "c"]) own.write(key, new Uint8Array(600));
    const [part] = answer(store, reader, 1_100);
    expect(part).toMatchObject({ from: 1, to: 2, head: { counter: 3 } });
    if (part !== undefined) reader.apply(tamper(part));
    expect(reader.list("").map(({ key }) => key)).toEqual(["a"]);
    const [rest] = answer(store, reader);
    expect(rest).toMatchObject({ from: 2, to: 3 });
    if (rest !== undefined) expect(reader.apply(rest)).toEqual({ kind: "refused", reason: "root" });
    sync(store, reader);
    expect(digestOf(reader)).toEqual(digestOf(store));
  });

  test("that got in are found by the checksum, and repaired from the owner", () => {
    const { own, store } = ownerStore();
    own.write("a", new Uint8Array([1]));
    own.announce();
    const unchecked = { ...ALL_PROTECTIONS, rootCheck: false };
    const reader = new Store(CRYPTO, { protections: unchecked, isControl: () => false });
    reader.apply(tamper(gossipOf(own)));
    expect(compareDigest(reader, digestOf(store), READER).mismatched).toEqual([OWNER]);
    const items = digestOf(reader).map((item) => ({ ...item, wantsRepair: true }));
    const { deltas } = answerDigest(store, {
      asker: READER,
      items,
      scope: "listed",
      bytesMax: 10_000,
      turn: 0,
    });
    const outcome = deltas.map((delta) => reader.apply(delta));
    expect(outcome).toMatchObject([{ changes: [{ key: "a", value: new Uint8Array([1]) }] }]);
    expect(digestOf(reader)).toEqual(digestOf(store));
  });
});

describe("owners that write control records", () => {
  test("come first in each answer", () => {
    const store = newStore();
    const control = ownerId("owner-7");
    for (let at = 0; at < 20; at += 1) {
      const owner = ownerId(`owner-${at}`);
      const own = new OwnState(owner, { incarnation: 1, startId: 1 }, standInCrypto(owner));
      own.write(owner === control ? "app/web" : "vm/1", new Uint8Array(100));
      own.announce();
      store.apply(gossipOf(own));
    }
    for (let turn = 0; turn < 20; turn += 1)
      expect(answer(store, newStore(), 4 * 384, turn)[0]?.owner).toBe(control);
  });
});
