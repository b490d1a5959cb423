// Summary: all that a digest would say of the states in force, in one hash. Most of the time two members hold the same, and
// this is all that they have to tell each other.

import { avalanche, combineHash } from "./entry.ts";
import type { HostState } from "./host-state.ts";
import type { Store } from "./store.ts";

/**
 * Two numbers of 53 bits: that two which differ look alike has a chance of 2^-106. What a checksum hides (2^-53) is hidden
 * here as well, as it is in a digest. Accidents, not forgeries: for these heads are signed.
 */
export type SummaryHash = readonly [number, number];

const WORD = 2 ** 32;

/** What was hashed before: of a thousand states hardly any changes between two summaries. */
interface Hashed {
  readonly counter: number;
  readonly checksum: number;
  readonly lanes: Lanes;
}
/** Four hashes of 32 bits. */
type Lanes = readonly [number, number, number, number];

const hashed = new WeakMap<HostState, Hashed>();

/**
 * Over owner, start, counter and checksum of each: exclusive or, so the order in which they came does not matter. Compacted
 * versions are left out, as they are local time, and what is built aside, which nobody passes on.
 */
export function summaryOf(store: Pick<Store, "statesInForce">): SummaryHash {
  let [a, b, c, d] = [0, 0, 0, 0];
  for (const state of store.statesInForce.values()) {
    // Our own while nobody can be told of it: before it is announced, and before its first write.
    if (state.isDraft || state.counter === 0) continue;
    const lanes = lanesOf(state);
    a ^= lanes[0];
    b ^= lanes[1];
    c ^= lanes[2];
    d ^= lanes[3];
  }
  return [combineHash(a, b), combineHash(c, d)];
}

export function isSameSummary(left: SummaryHash, right: SummaryHash): boolean {
  return left[0] === right[0] && left[1] === right[1];
}

function lanesOf(state: HostState): Lanes {
  const { counter, checksum } = state;
  const known = hashed.get(state);
  if (known?.counter === counter && known.checksum === checksum) return known.lanes;
  const lanes = hashState(state);
  hashed.set(state, { counter, checksum, lanes });
  return lanes;
}

/** FNV-1a's way, in four lanes of different seeds and primes, each finished by an avalanche. */
function hashState({ owner, start, counter, checksum }: HostState): Lanes {
  let [a, b, c, d] = [0x811c9dc5, 0x9747b28c, 0x85ebca6b, 0xc2b2ae35];
  const mix = (word: number): void => {
    a = Math.imul(a ^ word, 0x01000193);
    b = Math.imul(b ^ word, 0x5bd1e995);
    b ^= b >>> 15;
    c = Math.imul(c ^ word, 0x9e3779b1);
    c ^= c >>> 13;
    d = Math.imul(d ^ word, 0x27d4eb2f);
    d ^= d >>> 16;
  };
  for (let at = 0; at < owner.length; at += 1) mix(owner.charCodeAt(at));
  for (const number of [start.incarnation, start.startId, counter, checksum]) {
    mix(number >>> 0);
    mix(Math.floor(number / WORD));
  }
  return [avalanche(a), avalanche(b), avalanche(c), avalanche(d)];
}
