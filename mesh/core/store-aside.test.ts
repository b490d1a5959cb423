import { describe, expect, test } from "vitest";
import { ASIDE_IDLE_MS } from "../limits.ts";
import {
  answer,
  contents,
  gossipOf,
  newStore,
  OWNER,
  ownerStore,
  READER,
  sync,
} from "../sim/store-harness.ts";
import { compareDigest, digestOf } from "./digest.ts";
import type { OwnState } from "./own-state.ts";
import type { Store } from "./store.ts";

describe("a stretch that one of two states of a start continues", () => {
  const fill = (own: OwnState): void => {
    for (let at = 0; at < 10; at += 1) own.write(`key-${at}`, new Uint8Array(600));
  };

  test("leaves alone the one in force when it is further: an old head is no word on it", () => {
    const { own, store } = ownerStore();
    own.write("a", new Uint8Array([1]));
    own.announce();
    const old = gossipOf(own);
    // The same live entries, at a later counter.
    for (const value of [new Uint8Array([2]), null]) own.write("b", value);
    const [now] = answer(store, newStore());
    if (now === undefined) throw new Error("nothing lacking");
    const reader = newStore();
    reader.apply(now);
    reader.apply({ ...now, isRepair: true, to: 0, entries: [] });
    expect(reader.apply(old)).toMatchObject({ kind: "applied", changes: [] });
    expect(reader.held(OWNER).inForce?.counter).toBe(3);
    expect(contents(reader)).toEqual(contents(store));
  });

  test("leaves alone the one aside when it is further: a peer that is a little behind undoes nothing", () => {
    const { own, store } = ownerStore();
    own.write("a", new Uint8Array([1]));
    own.announce();
    const reader = newStore();
    sync(store, reader);
    own.write("b", new Uint8Array([1]));
    const [behind] = answer(store, reader);
    fill(own);
    const [part] = answer(store, reader, 4_000);
    if (behind === undefined || part === undefined) throw new Error("nothing lacking");
    reader.apply(part);
    const { counter } = reader.held(OWNER).aside ?? {};
    reader.apply(behind);
    expect(reader.held(OWNER)).toMatchObject({ inForce: { counter: 2 }, aside: { counter } });
  });

  test("is no progress while a later start is aside, or the same part would be asked for without an end", () => {
    const [before, after] = [ownerStore(1), ownerStore(2)];
    before.own.announce();
    before.own.write("a", new Uint8Array([1]));
    const reader = newStore();
    sync(before.store, reader);
    for (const { own } of [before, after]) fill(own);
    after.own.announce();
    const [later] = answer(after.store, reader, 4_000);
    if (later !== undefined) reader.apply(later);
    reader.expireAsides(0);
    const { revision } = reader;
    const [part] = answer(before.store, reader, 4_000);
    expect(part && reader.apply(part)).toEqual({ kind: "applied", changes: [], isProgress: false });
    expect(reader.hasProgressed(OWNER, revision)).toBe(false);
    expect(reader.expireAsides(ASIDE_IDLE_MS)).toBe(1);
    sync(before.store, reader, 4_000);
    expect(contents(reader)).toEqual(contents(before.store));
  });
});

describe("a state of which a part came and nobody is left to complete it", () => {
  function startedTwice(bytes: number): { before: Store; reader: Store } {
    const before = ownerStore(1);
    const after = ownerStore(2);
    for (const { own } of [before, after]) {
      own.write("a", new Uint8Array([1]));
      own.write("b", new Uint8Array(bytes));
      own.announce();
    }
    after.own.write("c", new Uint8Array(2_000));
    const reader = newStore();
    const [part] = answer(after.store, reader, 2_400);
    if (part !== undefined) reader.apply(part);
    expect(reader.held(OWNER)).toMatchObject({ inForce: undefined, aside: { start: { incarnation: 2 } } });
    return { before: before.store, reader };
  }

  test("does not keep out an earlier one that is whole", () => {
    const { before, reader } = startedTwice(1);
    sync(before, reader);
    expect(contents(reader)).toEqual(contents(before));
  });

  test("is dropped after a while, so that an earlier one can come part by part", () => {
    const { before, reader } = startedTwice(600);
    const [part] = answer(before, reader, 900);
    expect(part && reader.apply(part)).toEqual({ kind: "ignored", reason: "old" });
    reader.expireAsides(0);
    expect(reader.expireAsides(ASIDE_IDLE_MS - 1)).toBe(0);
    expect(reader.expireAsides(ASIDE_IDLE_MS)).toBe(1);
    // Nothing is left of an owner of whom nothing is held.
    expect(reader.hasProgressed(OWNER, 0)).toBe(false);
    sync(before, reader, 1_050);
    expect(contents(reader)).toEqual(contents(before));
  });

  test("is dropped though the one in force beside it goes on growing", () => {
    const [before, after] = [ownerStore(1), ownerStore(2)];
    before.own.write("a", new Uint8Array([1]));
    before.own.announce();
    for (const key of ["a", "b"]) after.own.write(key, new Uint8Array(600));
    after.own.announce();
    const reader = newStore();
    sync(before.store, reader);
    const [part] = answer(after.store, reader, 1_100);
    if (part !== undefined) reader.apply(part);
    reader.expireAsides(0);
    before.own.write("a", new Uint8Array([2]));
    sync(before.store, reader);
    expect(reader.expireAsides(ASIDE_IDLE_MS)).toBe(1);
  });
});

describe("a state that is built anew beside the one in force, and behind it", () => {
  test("hides from no digest what is in force, and is continued by whoever is ahead of it", () => {
    const { own, store } = ownerStore();
    for (const key of ["a", "b"]) own.write(key, new Uint8Array([1]));
    own.announce();
    const behind = newStore();
    sync(store, behind);
    own.write("c", new Uint8Array([1]));
    const reader = newStore();
    sync(store, reader);
    const [whole] = answer(store, newStore());
    if (whole === undefined) throw new Error("nothing to repair with");
    reader.apply({ ...whole, isRepair: true, to: 1, entries: whole.entries.slice(0, 1) });
    expect(reader.held(OWNER)).toMatchObject({ inForce: { counter: 3 }, aside: { counter: 1 } });
    expect(compareDigest(behind, digestOf(reader), READER).isLacking).toBe(true);
    expect(answer(store, reader)).toMatchObject([{ from: 1, to: 3 }]);
    sync(store, reader);
    expect(reader.held(OWNER)).toMatchObject({ inForce: { counter: 3 }, aside: undefined });
  });
});
