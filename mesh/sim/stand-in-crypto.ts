// Head crypto for simulations: roots are real, a signature is a checksum that anybody could make. What the members do with it is
// the same; only its cost, and its secret, are missing.

import { hash } from "node:crypto";
import { crc32 } from "node:zlib";
import { type HeadCrypto, Roots, SIGNATURE_BYTES } from "../core/head.ts";
import type { OwnerId } from "../core/ids.ts";

/** Entries are shared between the members of one process: the hash of each is computed once. */
const sha256 = (bytes: Uint8Array): Uint8Array => hash("sha256", bytes, "buffer");
const roots = new Roots(sha256);

export function standInCrypto(self: OwnerId): HeadCrypto {
  return {
    roots,
    hash: sha256,
    sign: (bytes) => signatureOf(self, bytes),
    verify: (owner, bytes, signature) => Buffer.compare(signatureOf(owner, bytes), signature) === 0,
  };
}

function signatureOf(owner: OwnerId, bytes: Uint8Array): Uint8Array {
  const signature = new Uint8Array(SIGNATURE_BYTES);
  new DataView(signature.buffer).setUint32(0, crc32(bytes, crc32(owner)));
  return signature;
}
