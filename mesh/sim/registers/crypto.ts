// Crypto of the runs: hashes are real, a signature is a hash that anybody could make. What is done with it is the same.

import { hash } from "node:crypto";
import { type OwnerId, ownerId } from "../../core/ids.ts";
import type { RegisterCrypto } from "../../register/certificate.ts";
import { standInCrypto } from "../stand-in-crypto.ts";

/** The cluster's id: its root key's, as elsewhere. */
export const CLUSTER = "cluster-root";

/** A value's bytes are hashed for each of its signatures. */
const hashes = new WeakMap<Uint8Array, Uint8Array>();

export function cryptoOf(owner: OwnerId): RegisterCrypto {
  const { sign, verify } = standInCrypto(owner);
  return { sign, verify, hash: hashOnce };
}

export const rootCrypto: RegisterCrypto = cryptoOf(ownerId(CLUSTER));

function hashOnce(bytes: Uint8Array): Uint8Array {
  const known = hashes.get(bytes);
  if (known !== undefined) return known;
  const digest = hash("sha256", bytes, "buffer");
  hashes.set(bytes, digest);
  return digest;
}
