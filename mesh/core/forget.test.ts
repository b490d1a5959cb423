import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  countersOf,
  createReplica,
  deltaOf,
  describeEffects,
  OTHER,
  PEER,
  SELF,
  VALUE,
  wordOn,
} from "../sim/replica-harness.ts";
import { newStore } from "../sim/store-harness.ts";
import { encodeForget, forgetKey, forgetWordOf } from "./forget-entry.ts";
import { ownerId } from "./ids.ts";
import type { HostDelta } from "./message.ts";
import type { Replica } from "./replica.ts";
import { compareStarts, type Start } from "./version.ts";

const FIFTH: Start = { incarnation: 5, startId: 5 };
const SIXTH: Start = { incarnation: 6, startId: 1 };

function gossip(replica: Replica, delta: HostDelta) {
  return replica.step({ kind: "gossip", from: PEER, delta }, 0);
}

/** As an operator has it written at this member. */
function say(replica: Replica, owner = OTHER, upTo = FIFTH) {
  const { name } = wordOn(owner, upTo);
  return replica.step({ kind: "write", key: forgetKey(owner), value: encodeForget({ upTo, name }) }, 0);
}

describe("an owner that was forgotten", () => {
  test("is not brought back by a straggler, and is welcome with a later start", () => {
    const replica = createReplica();
    gossip(replica, deltaOf(OTHER));
    expect(describeEffects(say(replica))).toEqual([
      "changed self/forget/other by own",
      "forgotten other up to 5",
      "changed other/a by forgotten",
    ]);
    expect(replica.store.get(OTHER, "a")).toBeUndefined();
    expect(countersOf(gossip(replica, deltaOf(OTHER, { to: 2 })))).toEqual(["forgotten"]);
    gossip(replica, deltaOf(OTHER, { start: SIXTH }));
    expect(replica.store.get(OTHER, "a")).toBeDefined();
  });

  test("is forgotten by whoever hears the word, as of any entry", () => {
    const [teller, hearer] = [createReplica(), createReplica()];
    gossip(hearer, deltaOf(OTHER));
    say(teller);
    const entry = teller.store.get(SELF, forgetKey(OTHER));
    expect(entry && forgetWordOf(entry)).toEqual(wordOn(OTHER, FIFTH));
    const effects = hearer.step({ kind: "forget", word: wordOn(OTHER, FIFTH) }, 0);
    expect(describeEffects(effects)).toEqual(["forgotten other up to 5", "changed other/a by forgotten"]);
  });

  test("is stale no more when it was read from our disk", () => {
    const replica = createReplica();
    replica.step({ kind: "restore", deltas: [deltaOf(OTHER)] }, 0);
    expect(replica.store.isStale(OTHER)).toBe(true);
    say(replica);
    expect(replica.store.isStale(OTHER)).toBe(false);
  });

  test("is not taken from our disk when the word was there before", () => {
    const replica = createReplica();
    replica.step({ kind: "forget", word: wordOn(OTHER, FIFTH) }, 0);
    const effects = replica.step({ kind: "restore", deltas: [deltaOf(OTHER)] }, 0);
    expect(countersOf(effects)).toEqual(["snapshot-refused"]);
  });

  test("is what it was when it began anew before the word came", () => {
    const replica = createReplica();
    gossip(replica, deltaOf(OTHER, { start: SIXTH }));
    expect(describeEffects(say(replica))).toEqual([
      "changed self/forget/other by own",
      "forgotten other up to 5",
    ]);
    expect(replica.store.get(OTHER, "a")).toBeDefined();
  });

  test("and is us begins anew: we are here", () => {
    const replica = createReplica();
    replica.step({ kind: "write", key: "a", value: VALUE }, 0);
    replica.step({ kind: "announce" }, 0);
    const word = wordOn(SELF, { incarnation: 10, startId: 1 });
    expect(describeEffects(replica.step({ kind: "forget", word }, 0))).toContain("persist 11");
    expect(describeEffects(replica.step({ kind: "forget", word }, 0))).not.toContain("persist 11");
  });

  test("and is us is of no matter when that was an earlier start of ours", () => {
    const word = wordOn(SELF, { incarnation: 9, startId: 7 });
    const effects = createReplica().step({ kind: "forget", word }, 0);
    expect(describeEffects(effects)).toEqual(["forgotten self up to 9"]);
  });
});

test("a word that cannot be read counts for nothing", () => {
  const key = forgetKey(OTHER);
  const good = encodeForget(wordOn(OTHER, FIFTH));
  expect(forgetWordOf({ key, value: good })).toEqual(wordOn(OTHER, FIFTH));
  expect(forgetWordOf({ key: "vm/a", value: good })).toBeUndefined();
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), fc.uint8Array({ maxLength: 40 }), (at, byte, bytes) => {
      const bent = good.with(at, byte);
      for (const value of [bent, bytes, good.subarray(0, at)]) forgetWordOf({ key, value });
    }),
  );
});

test("states and words of an owner end in the same store in any order, and nothing that a word is about is in it", () => {
  const owner = ownerId("x");
  const starts = fc.record({
    incarnation: fc.integer({ min: 1, max: 4 }),
    startId: fc.integer({ min: 1, max: 2 }),
  });
  const steps = fc.array(fc.record({ isWord: fc.boolean(), start: starts }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(steps, fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })), (list, keys) => {
      const ends = [list, shuffle(list, keys)].map((order) => {
        const store = newStore();
        for (const { isWord, start } of order) {
          if (isWord) store.forget(owner, start);
          else store.apply(deltaOf(owner, { start }));
        }
        return store.head(owner);
      });
      const [newest] = list
        .filter(({ isWord }) => !isWord)
        .map(({ start }) => start)
        .sort(descending);
      const [word] = list
        .filter(({ isWord }) => isWord)
        .map(({ start }) => start)
        .sort(descending);
      const isLeft = newest !== undefined && (word === undefined || compareStarts(newest, word) > 0);
      expect(ends).toEqual(Array(2).fill(isLeft ? { ...newest, counter: 1 } : undefined));
    }),
  );
});

function descending(left: Start, right: Start): number {
  return compareStarts(right, left);
}

function shuffle<Item>(items: readonly Item[], keys: Iterable<number>): readonly Item[] {
  const stream = keys[Symbol.iterator]();
  const keyed = items.map((item) => ({ item, key: Number(stream.next().value) }));
  return keyed.sort((left, right) => left.key - right.key).map(({ item }) => item);
}
