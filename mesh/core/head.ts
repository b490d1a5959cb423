// Head: what an owner signs. Not each entry but the version and the root hash of its whole state: one signature a batch,
// checked once, also for what a relay passes on (DESIGN section 3). Members relay, they do not speak for each other.

import type { Entry } from "../mesh.ts";
import type { OwnerId } from "./ids.ts";
import type { Start } from "./version.ts";

/** Bytes of a root (SHA-256) and of a signature (Ed25519, RFC 8032). */
export const ROOT_BYTES = 32;
export const SIGNATURE_BYTES = 64;

/** What its owner says of one state of its own at one version. */
export interface HeadClaim {
  /** The counter of the last write that it covers. */
  readonly counter: number;
  /** The counter at which the owner declared this start complete; more than `counter`: it is not yet. */
  readonly completeAt: number;
  /** The first start of the process that owns it: of two processes with one key the later born is the younger. */
  readonly born: Start;
  /**
   * The start id above which this start was raised, because a peer held it and this process had not written it; 0: none.
   * A process that finds its own here knows that another one with its key runs: nobody else could answer to it.
   */
  readonly raisedAbove: number;
  /** Of all live entries at `counter`. */
  readonly root: Uint8Array;
}

export interface Head extends HeadClaim {
  readonly signature: Uint8Array;
}

/**
 * The cryptography of heads: functions of their arguments alone. The shell's are node:crypto's, the simulator has a
 * stand-in.
 */
export interface HeadCrypto {
  readonly roots: Roots;
  /** SHA-256. */
  hash(bytes: Uint8Array): Uint8Array;
  /** With our own key. */
  sign(bytes: Uint8Array): Uint8Array;
  /** Whether `owner` signed these bytes. Total: a key that cannot be read is a no. */
  verify(owner: OwnerId, bytes: Uint8Array, signature: Uint8Array): boolean;
}

const encoder = new TextEncoder();
const DOMAIN = "grapevine head 1";
const COUNTER_BYTES = 8;

/** The bytes that are signed: fixed layout, so that no encoder's choice is part of them. */
export function headBytes(owner: OwnerId, start: Start, claim: HeadClaim): Uint8Array {
  const name = encoder.encode(`${DOMAIN} ${owner}\n`);
  const numbers = [
    start.incarnation,
    start.startId,
    claim.counter,
    claim.completeAt,
    claim.born.incarnation,
    claim.born.startId,
    claim.raisedAbove,
  ];
  const bytes = new Uint8Array(name.length + numbers.length * COUNTER_BYTES + claim.root.length);
  bytes.set(name);
  const view = new DataView(bytes.buffer, name.length);
  for (const [at, number] of numbers.entries()) view.setFloat64(at * COUNTER_BYTES, number);
  bytes.set(claim.root, name.length + numbers.length * COUNTER_BYTES);
  return bytes;
}

/** What a head was said of, with the head. */
export interface HeadOf {
  readonly owner: OwnerId;
  readonly start: Start;
  readonly head: Head;
}

/** Whether its owner signed it. */
export function isSigned({ verify }: Pick<HeadCrypto, "verify">, { owner, start, head }: HeadOf): boolean {
  return verify(owner, headBytes(owner, start, head), head.signature);
}

/** Roots of states. The hash of an entry is computed once and kept as long as the entry. */
export class Roots {
  readonly #hash: (bytes: Uint8Array) => Uint8Array;
  /** A character a byte: a string of 32 takes 48 bytes, an array of them over 200. */
  readonly #leaves = new WeakMap<Entry, string>();

  /** `hash`: collision resistant, `ROOT_BYTES` long. */
  constructor(hash: (bytes: Uint8Array) => Uint8Array) {
    this.#hash = hash;
  }

  /** Hash of the hashes of all live entries, in the order given: version order. Tombstones do not count. */
  rootOf(entries: readonly Entry[]): Uint8Array {
    const live = entries.filter((entry) => entry.value !== null);
    const leaves = new Uint8Array(live.length * ROOT_BYTES);
    let end = 0;
    for (const entry of live) {
      const leaf = this.#leafTextOf(entry);
      for (let at = 0; at < ROOT_BYTES; at += 1) leaves[end + at] = leaf.charCodeAt(at);
      end += ROOT_BYTES;
    }
    return this.#hash(leaves);
  }

  /** Of a live entry. */
  leafOf(entry: Entry): Uint8Array {
    const text = this.#leafTextOf(entry);
    return Uint8Array.from(text, (char) => char.charCodeAt(0));
  }

  #leafTextOf(entry: Entry): string {
    const known = this.#leaves.get(entry);
    if (known !== undefined) return known;
    const leaf = String.fromCharCode(...leafHash(this.#hash, entry));
    this.#leaves.set(entry, leaf);
    return leaf;
  }
}

/** Of a live entry: what roots are made of. */
export function leafHash(hash: HeadCrypto["hash"], entry: Entry): Uint8Array {
  return hash(leafBytes(entry));
}

/** Length of the key, key, counter, value: no two entries share them. */
function leafBytes({ key, value, version }: Entry): Uint8Array {
  const name = encoder.encode(key);
  const bytes = new Uint8Array(4 + name.length + COUNTER_BYTES + (value?.length ?? 0));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, name.length);
  bytes.set(name, 4);
  view.setFloat64(4 + name.length, version.counter);
  if (value !== null) bytes.set(value, 4 + name.length + COUNTER_BYTES);
  return bytes;
}
