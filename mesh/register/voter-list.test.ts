import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { memberName, ownerId } from "../core/ids.ts";
import { VOTERS_MAX } from "../limits.ts";
import { idOf, listOf, voterNamed } from "./testing/voters.ts";
import {
  changeVoters,
  describeVoterList,
  follows,
  majorityOf,
  rankOf,
  type VoterChange,
  type VoterList,
} from "./voter-list.ts";

const LETTERS = "abcdefgh";

function add(letter: string): VoterChange {
  return { kind: "add", voter: voterNamed(letter) };
}

function remove(letter: string): VoterChange {
  return { kind: "remove", id: idOf(letter) };
}

describe("changeVoters()", () => {
  it("adds one voter, last in rank, and the next list is not settled", () => {
    expect(changeVoters(listOf("abc", { number: 4 }), add("d"))).toEqual({
      ok: true,
      value: listOf("abcd", { number: 5, isSettled: false }),
    });
  });

  it("removes one voter, and the others keep their order", () => {
    expect(changeVoters(listOf("abc"), remove("b"))).toEqual({
      ok: true,
      value: listOf("ac", { number: 2, isSettled: false }),
    });
  });

  it("waits until all registers were committed under the list of now", () => {
    const result = changeVoters(listOf("ab", { number: 2, isSettled: false }), add("c"));
    expect(result).toEqual({
      ok: false,
      error: "voter list 2 is not settled: not all registers were committed under it yet",
    });
  });

  it("refuses a voter that is there already, by id, key or name", () => {
    const { id, owner, name } = voterNamed("b");
    for (const part of [{ id }, { owner }, { name }]) {
      const voter = { ...voterNamed("d"), ...part };
      const result = changeVoters(listOf("abc"), { kind: "add", voter });
      expect(result).toMatchObject({ ok: false, error: expect.stringContaining("is a voter already") });
    }
  });

  it("keeps the last voter, removes no stranger, and has a bound", () => {
    expect(changeVoters(listOf("a"), remove("a"))).toMatchObject({ ok: false });
    expect(changeVoters(listOf("abc"), remove("d"))).toMatchObject({ ok: false });
    const full = listOf(LETTERS.slice(0, VOTERS_MAX));
    expect(changeVoters(full, add("h"))).toEqual({
      ok: false,
      error: `there are ${VOTERS_MAX} voters: more only make it slower`,
    });
  });

  it("makes lists of which every majority meets every majority of the one before", () => {
    const letters = fc.uniqueArray(fc.constantFrom(...LETTERS.slice(0, VOTERS_MAX)), { minLength: 1 });
    fc.assert(
      fc.property(letters, fc.constantFrom(...LETTERS), (before, letter) => {
        const list = listOf(before.join(""));
        const change = before.includes(letter) ? remove(letter) : add(letter);
        const next = changeVoters(list, change);
        fc.pre(next.ok);
        expect(follows(next.value, list)).toBe(true);
        // The largest that leaves one majority out is too small for another.
        const both = new Set([...list.voters, ...next.value.voters].map(({ id }) => id)).size;
        expect(majorityOf(list) + majorityOf(next.value)).toBeGreaterThan(both);
      }),
    );
  });
});

describe("follows()", () => {
  const list = listOf("abc", { number: 3 });
  const next = (letters: string, part = {}): VoterList =>
    listOf(letters, { number: 4, isSettled: false, ...part });

  it("takes the same set with one voter more or less, in any order of rank", () => {
    for (const letters of ["abcd", "ab", "bc", "cadb"]) expect(follows(next(letters), list)).toBe(true);
  });

  it("takes the same list, settled", () => {
    const unsettled = listOf("abc", { number: 3, isSettled: false });
    expect(follows(list, unsettled)).toBe(true);
    expect(follows(unsettled, list)).toBe(false);
    expect(follows(listOf("abd", { number: 3 }), unsettled)).toBe(false);
  });

  it("refuses two changes at once, an exchange, no change, another number, and what claims to be settled", () => {
    for (const letters of ["abcde", "a", "abd", "abc"]) expect(follows(next(letters), list)).toBe(false);
    expect(follows(next("abcd", { number: 5 }), list)).toBe(false);
    expect(follows(next("abcd", { isSettled: true }), list)).toBe(false);
  });

  it("refuses a voter with another key or name under its id", () => {
    const voters = [...list.voters.slice(1), { ...voterNamed("a"), owner: ownerId("owner-z") }];
    expect(follows({ ...next("abcd"), voters: [...voters, voterNamed("d")] }, list)).toBe(false);
  });

  it("refuses a list of none, and one that has a voter, a key or a name twice", () => {
    expect(follows(listOf("", { number: 2, isSettled: false }), listOf("a"))).toBe(false);
    expect(follows(listOf("aa", { number: 2, isSettled: false }), listOf("a"))).toBe(false);
    for (const part of [{ owner: ownerId("owner-a") }, { name: memberName("host-a") }]) {
      const voters = [...list.voters, { ...voterNamed("d"), ...part }];
      expect(follows({ ...next("abcd"), voters }, list)).toBe(false);
    }
  });

  it("refuses more voters than there may be", () => {
    const full = listOf(LETTERS.slice(0, VOTERS_MAX), { number: 3 });
    expect(follows(next(LETTERS), full)).toBe(false);
  });
});

describe("A voter list", () => {
  it("has majorities of more than half", () => {
    expect([1, 2, 3, 4, 5, 7].map((size) => majorityOf(listOf(LETTERS.slice(0, size))))).toEqual([
      1, 2, 2, 3, 3, 4,
    ]);
  });

  it("ranks its voters in order, and others after them", () => {
    expect(["a", "c", "z"].map((letter) => rankOf(listOf("abc"), idOf(letter)))).toEqual([0, 2, 3]);
  });

  it("describes itself in one line", () => {
    expect(describeVoterList(listOf("ab", { number: 2, isSettled: false }))).toBe(
      "list 2 (host-a host-b), not settled",
    );
  });
});
