// Summary: all that a digest would say of the states in force, in one hash. Most of the time two members hold the same, and
// this is all that they have to tell each other.

import { hashWords, xorHashes } from "./entry.ts";
import type { HostState } from "./host-state.ts";
import type { Store } from "./store.ts";

/**
 * Two hashes of 53 bits, by different seeds: that two which differ look alike has a chance of 2^-106. What a checksum hides
 * (2^-53) is hidden here as well, as it is in a digest. Accidents, not forgeries: for these heads are signed.
 */
export type SummaryHash = readonly [number, number];

const SEEDS = [0x811c9dc5, 0x85ebca6b] as const;
const WORD = 2 ** 32;

/** What was hashed before: of a thousand states hardly any changes between two summaries. */
interface Known {
  readonly counter: number;
  readonly checksum: number;
  readonly hash: SummaryHash;
}
const known = new WeakMap<HostState, Known>();

/**
 * Over owner, start, counter and checksum of each: exclusive or, so the order in which they came does not matter. Compacted
 * versions are left out, as they are local time, and what is built aside, which nobody passes on.
 */
export function summaryOf(store: Store): SummaryHash {
  let [left, right] = [0, 0];
  for (const state of store.statesInForce.values()) {
    if (state.isDraft) continue;
    const [first, second] = hashOf(state);
    left = xorHashes(left, first);
    right = xorHashes(right, second);
  }
  return [left, right];
}

export function isSameSummary(left: SummaryHash, right: SummaryHash): boolean {
  return left[0] === right[0] && left[1] === right[1];
}

function hashOf(state: HostState): SummaryHash {
  const { owner, start, counter, checksum } = state;
  const before = known.get(state);
  if (before?.counter === counter && before.checksum === checksum) return before.hash;
  const words: number[] = [];
  for (let at = 0; at < owner.length; at += 1) words.push(owner.charCodeAt(at));
  for (const number of [start.incarnation, start.startId, counter, checksum])
    words.push(number >>> 0, Math.floor(number / WORD));
  const hash = [hashWords(words, SEEDS[0]), hashWords(words, SEEDS[1])] as const;
  known.set(state, { counter, checksum, hash });
  return hash;
}
