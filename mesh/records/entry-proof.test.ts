import { describe, expect, it } from "vitest";
import { type Head, headBytes } from "../core/head.ts";
import { type OwnerId, ownerId } from "../core/ids.ts";
import type { Entry, SignedState } from "../mesh.ts";
import { seededRandom } from "../sim/seeded-random.ts";
import { standInCrypto } from "../sim/stand-in-crypto.ts";
import { proveEntries, readEntryProof } from "./entry-proof.ts";

const OWNER = ownerId("owner-1");
const START = { incarnation: 7, startId: 3 };
const crypto = standInCrypto(OWNER);

/** A state of these keys that its owner signed; `by`: who really did. */
function stateOf(keys: readonly string[], { by = OWNER, completeAt = 1 } = {}): SignedState {
  const entries: Entry[] = keys.map((key, index) => ({
    owner: OWNER,
    key,
    value: new TextEncoder().encode(`value of ${key}`),
    version: { ...START, counter: index + 1 },
  }));
  const claim = {
    counter: keys.length,
    completeAt,
    born: START,
    raisedAbove: 0,
    root: crypto.roots.rootOf(entries),
  };
  const signature = standInCrypto(by).sign(headBytes(OWNER, START, claim));
  const head: Head = { ...claim, signature };
  return { owner: OWNER, start: START, head, entries };
}

function prove(state: SignedState, ...shown: readonly string[]): Uint8Array {
  return proveEntries(state, (key) => shown.includes(key), crypto.roots);
}

function read(proof: Uint8Array): string | { owner: OwnerId; keys: readonly string[] } {
  const result = readEntryProof(proof, crypto);
  if (!result.ok) return result.error;
  return { owner: result.value.owner, keys: result.value.entries.map(({ key }) => key) };
}

describe("a proof of entries", () => {
  const state = stateOf(["member", "vm/a", "vm/b", "app/large"]);

  it("shows what is asked for, with the versions of its owner, and nothing else", () => {
    const proof = prove(state, "member", "vm/b");
    expect(readEntryProof(proof, crypto)).toEqual({
      ok: true,
      value: { owner: OWNER, entries: [state.entries[0], state.entries[2]] },
    });
    expect(Buffer.from(proof).includes("value of app/large")).toBe(false);
  });

  it("of which any byte is another one shows nothing else than its owner signed (seed 1)", () => {
    const proof = prove(state, "vm/a");
    const signed = readEntryProof(proof, crypto);
    const random = seededRandom(1);
    let refused = 0;
    for (let at = 0; at < proof.length; at += 1) {
      const changed = new Uint8Array(proof);
      changed[at] = (changed[at] ?? 0) ^ (1 + Math.floor(random() * 255));
      const result = readEntryProof(changed, crypto);
      if (result.ok) expect(result).toEqual(signed);
      else refused += 1;
    }
    expect(refused).toBe(proof.length);
  });

  it("that another one signed, that is of an unfinished start, or that leaves an entry out, is refused", () => {
    const stranger = stateOf(["member"], { by: ownerId("owner-2") });
    expect(read(prove(stranger, "member"))).toBe("its owner did not sign it");
    expect(read(prove(stateOf(["member"], { completeAt: 2 }), "member"))).toBe("its owner is not complete");
    const short = { ...state, entries: state.entries.slice(1) };
    expect(read(prove(short, "vm/a"))).toBe("its entries are not those that were signed");
    expect(read(new Uint8Array([1, 2, 3]))).not.toBeTypeOf("object");
  });
});
