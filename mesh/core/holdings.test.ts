import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { OwnerDigest } from "../mesh.ts";
import type { InspectedEntry } from "../records/inspection.ts";
import { behindOf, differencesOf, differingOwners, mismatchedOf, newestOf, standing } from "./holdings.ts";
import { ownerId } from "./ids.ts";

const [A, B, C] = [ownerId("a"), ownerId("b"), ownerId("c")];

function digest(
  owner: string,
  counter: number,
  more: Partial<OwnerDigest> & { start?: number } = {},
): OwnerDigest {
  const { start = 1, ...rest } = more;
  const version = { incarnation: start, startId: start, counter };
  return { owner: ownerId(owner), version, checksum: 7, entries: counter, isStale: false, ...rest };
}

function entry(key: string, counter: number, more: Partial<InspectedEntry> = {}): InspectedEntry {
  const version = { incarnation: 1, startId: 1, counter };
  return { owner: A, key, ...version, bytes: 1, hash: counter, value: null, arrival: null, ...more };
}

describe("who is behind", () => {
  test("is told by how many writes, of whom, and of a later start by all of them", () => {
    const newest = newestOf([
      { owner: A, digests: [digest("a", 9), digest("b", 4, { start: 2 })] },
      { owner: B, digests: [digest("a", 6), digest("b", 30)] },
    ]);
    const held = [digest("a", 6), digest("b", 30)];
    expect(behindOf(held, newest).map(({ owner, writes, held }) => [owner, writes, held?.counter])).toEqual([
      [A, 3, 6],
      [B, 4, 30],
    ]);
    expect(behindOf([digest("a", 9)], newest)).toMatchObject([{ owner: B, held: null, writes: 4 }]);
  });

  test("nobody is, who holds the newest of all, whatever the others hold", () => {
    const digests = fc.array(
      fc.record({ owner: fc.constantFrom("a", "b", "c"), counter: fc.nat(9), start: fc.nat(3) }),
    );
    fc.assert(
      fc.property(fc.array(digests, { minLength: 1 }), (holders) => {
        const holdings = holders.map((rows) => ({
          owner: C,
          digests: rows.map(({ owner, counter, start }) => digest(owner, counter, { start })),
        }));
        const newest = newestOf(holdings);
        const best = [...newest].map(([owner, { version, checksum }]) => ({
          ...digest(owner, 0),
          version,
          checksum,
        }));
        expect(behindOf(best, newest)).toEqual([]);
        expect(mismatchedOf(best, newest)).toEqual([]);
        for (const { digests: rows } of holdings) {
          const isBehind = rows.some(({ owner, version }) => version !== newest.get(owner)?.version);
          if (!isBehind && rows.length > 0) continue;
          const owners = behindOf(rows, newest).map(({ owner }) => owner);
          for (const owner of owners) expect(newest.has(owner)).toBe(true);
        }
      }),
    );
  });

  test("a copy with other values is told, and the owner's own word decides which", () => {
    const holdings = [
      { owner: A, digests: [digest("a", 5, { checksum: 1 })] },
      { owner: B, digests: [digest("a", 5, { checksum: 2 })] },
      { owner: C, digests: [digest("a", 5, { checksum: 2 })] },
    ];
    expect(mismatchedOf(holdings[0]?.digests ?? [], newestOf(holdings))).toEqual([]);
    expect(mismatchedOf(holdings[1]?.digests ?? [], newestOf(holdings))).toEqual([A]);
    // Without the owner most are right.
    const others = [
      ...holdings.slice(1),
      { owner: ownerId("d"), digests: [digest("a", 5, { checksum: 3 })] },
    ];
    expect(mismatchedOf([digest("a", 5, { checksum: 3 })], newestOf(others))).toEqual([A]);
  });
});

describe("what two hold differently", () => {
  test("are owners with other versions or checksums, or that one has alone", () => {
    const left = [digest("a", 5), digest("b", 5), digest("c", 5)];
    const right = [digest("a", 5), digest("b", 6), digest("c", 5, { checksum: 8 }), digest("d", 1)];
    expect(differingOwners(left, right)).toEqual(["b", "c", "d"]);
    expect(differingOwners(left, left)).toEqual([]);
  });

  test("is told by key, with who is newer; a tombstone against nothing is no difference", () => {
    const left = [entry("vm/1", 1), entry("vm/2", 2), entry("vm/3", 3), entry("vm/4", 4, { bytes: null })];
    const right = [entry("vm/1", 1), entry("vm/2", 5), entry("vm/3", 3, { hash: 99 }), entry("vm/6", 6)];
    const found = differencesOf(left, right).map((row) => [
      row.key,
      row.left?.counter,
      row.right?.counter,
      row.newer,
    ]);
    expect(found).toEqual([
      ["vm/2", 2, 5, "right"],
      ["vm/3", 3, 3, null],
      ["vm/6", undefined, 6, "right"],
    ]);
  });

  test("a deletion that the other has not heard of is one", () => {
    const deleted = entry("vm/1", 7, { bytes: null, hash: 0 });
    expect(differencesOf([deleted], [entry("vm/1", 3)])).toMatchObject([{ newer: "left" }]);
  });

  test("what the older side came up to meanwhile was on its way, and does not stand", () => {
    const first = differencesOf([entry("x", 5), entry("y", 5)], [entry("x", 3), entry("y", 3)]);
    const second = differencesOf([entry("x", 8), entry("y", 8)], [entry("x", 6), entry("y", 3)]);
    expect(standing(first, second).map(({ key }) => key)).toEqual(["y"]);
    expect(standing(first, differencesOf([entry("z", 2)], []))).toEqual([]);
  });

  test("two values at one version stand as long as they are two", () => {
    const broken = differencesOf([entry("x", 5)], [entry("x", 5, { hash: 1 })]);
    expect(standing(broken, broken)).toEqual(broken);
    expect(standing(broken, [])).toEqual([]);
  });
});
