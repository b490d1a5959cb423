// Crypto of the runs: digests of 64 bits instead of SHA-256, and signatures that anybody could make with them: nobody forges here, and
// real ones would be a third of a run's time. What is signed, and what is done with it, is the same.

import { type OwnerId, ownerId } from "../../core/ids.ts";
import type { RegisterCrypto } from "../../register/certificate.ts";

/** The cluster's id: its root key's, as elsewhere. */
export const CLUSTER = "cluster-root";

export function cryptoOf(owner: OwnerId): RegisterCrypto {
  return {
    hash: (bytes) => digestOf(bytes, 0),
    sign: (bytes) => digestOf(bytes, seedOf(owner)),
    verify: (of, bytes, signature) => Buffer.compare(digestOf(bytes, seedOf(of)), signature) === 0,
  };
}

export const rootCrypto: RegisterCrypto = cryptoOf(ownerId(CLUSTER));

const seeds = new Map<OwnerId, number>();

/** Stands for its key. */
function seedOf(owner: OwnerId): number {
  const known = seeds.get(owner);
  if (known !== undefined) return known;
  const seed = new DataView(digestOf(Buffer.from(owner), 0).buffer).getUint32(0);
  seeds.set(owner, seed);
  return seed;
}

/** Two lanes of multiply and mix (as in MurmurHash3): enough to tell a run's messages apart. */
function digestOf(bytes: Uint8Array, seed: number): Uint8Array {
  let high = 0xdeadbeef ^ seed;
  let low = 0x41c6ce57 ^ seed;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    high = Math.imul(high ^ byte, 0x9e3779b1);
    low = Math.imul(low ^ byte, 0x5f356495);
  }
  high = Math.imul(high ^ (high >>> 16), 0x85ebca6b) ^ Math.imul(low ^ (low >>> 13), 0xc2b2ae35);
  low = Math.imul(low ^ (low >>> 16), 0x85ebca6b) ^ Math.imul(high ^ (high >>> 13), 0xc2b2ae35);
  const digest = new Uint8Array(8);
  const view = new DataView(digest.buffer);
  view.setUint32(0, high >>> 0);
  view.setUint32(4, low >>> 0);
  return digest;
}
