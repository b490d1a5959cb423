// Entry arithmetic: bounds, equality, size, and the hash of one entry that the checksum of a state is made of.

import { ENTRY_KEY_BYTES_MAX, ENTRY_VALUE_BYTES_MAX } from "../limits.ts";
import type { Entry } from "../mesh.ts";
import { compareText } from "./ids.ts";

/** Upper bound of what key, counter and msgpack heads add to a value on the wire. */
const WIRE_HEAD_BYTES = 24;

/** An upper bound of the entry's bytes on the wire: budgets are kept with it, so it may not be below. */
export function entryBytesMax(entry: Pick<Entry, "key" | "value">): number {
  return WIRE_HEAD_BYTES + 3 * entry.key.length + (entry.value?.length ?? 0);
}

export type EntryBoundsFailure = "key-bounds" | "value-bounds";

/** What is wrong with key and value, or undefined. A lone surrogate would not survive UTF-8, so it is refused. */
export function checkEntryBounds(key: string, value: Uint8Array | null): EntryBoundsFailure | undefined {
  if (key.length === 0 || isOverBound(key) || !key.isWellFormed()) return "key-bounds";
  if (value !== null && value.length > ENTRY_VALUE_BYTES_MAX) return "value-bounds";
  return undefined;
}

/** By owner, then by key. */
export function compareEntries(left: Entry, right: Entry): number {
  return compareText(left.owner, right.owner) || compareText(left.key, right.key);
}

export function isSameValue(left: Uint8Array | null, right: Uint8Array | null): boolean {
  if (left === null || right === null) return left === right;
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

/** To compute the hash of what is smaller costs no more than to remember it. */
const LARGE_BYTES_MIN = 1_024;
/** Of large entries: it is asked for again when an entry is replaced, and when a state is built aside. */
const hashes = new WeakMap<Entry, number>();

/**
 * 53 bits over key, counter and value; 0 for a tombstone, so that states collected at different times compare equal.
 * Two FNV-1a lanes with different primes, each finished by an avalanche. It finds accidents, not forgeries: a forger
 * is what signed heads are for.
 */
export function hashEntry(entry: Entry): number {
  if (entry.value === null) return 0;
  if (entry.value.length < LARGE_BYTES_MIN) return computeHash(entry, entry.value);
  const hash = hashes.get(entry) ?? computeHash(entry, entry.value);
  hashes.set(entry, hash);
  return hash;
}

function computeHash({ key, version }: Entry, value: Uint8Array): number {
  let [low, high] = [0x811c9dc5, 0x9747b28c];
  const mix = (word: number): void => {
    low = Math.imul(low ^ word, 0x01000193);
    high = Math.imul(high ^ word, 0x5bd1e995);
    high ^= high >>> 15;
  };
  for (let index = 0; index < key.length; index += 1) mix(key.charCodeAt(index));
  mix(version.counter >>> 0);
  mix(Math.floor(version.counter / 2 ** 32));
  for (const byte of value) mix(byte);
  return combineHash(avalanche(high), avalanche(low));
}

/** Exclusive or of two 53-bit hashes: order does not matter, and adding twice takes away. */
export function xorHashes(left: number, right: number): number {
  const high = Math.floor(left / 2 ** 32) ^ Math.floor(right / 2 ** 32);
  return combineHash(high, (left >>> 0) ^ (right >>> 0));
}

/** 53 bits of two words. */
export function combineHash(high: number, low: number): number {
  return (high & 0x1fffff) * 2 ** 32 + (low >>> 0);
}

/** The finisher of MurmurHash3: every input bit reaches every output bit. */
export function avalanche(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/** A character takes three bytes at most: hardly any key has to be encoded for it. */
function isOverBound(key: string): boolean {
  return 3 * key.length > ENTRY_KEY_BYTES_MAX && new TextEncoder().encode(key).length > ENTRY_KEY_BYTES_MAX;
}
