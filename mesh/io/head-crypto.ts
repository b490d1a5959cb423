// HeadCrypto with node:crypto: Ed25519 with the libp2p key, SHA-256. Synchronous: a signature takes about 0.1 ms, and what
// follows it must not overtake it.

import { createPrivateKey, sign } from "node:crypto";
import type { PrivateKey } from "@libp2p/interface";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { type HeadCrypto, Roots } from "../core/head.ts";
import { ownerId } from "../core/ids.ts";
import { sha256, Verifier } from "./verifier.ts";

/** RFC 8410: what stands before the 32 bytes of an Ed25519 key in PKCS #8. */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");
const KEY_BYTES = 32;

/** Throws for another key than Ed25519, libp2p's default: then it was not made by us. */
export function createHeadCrypto(key: PrivateKey): HeadCrypto {
  if (key.type !== "Ed25519") throw new Error(`identity: a key of type ${key.type}, Ed25519 is needed`);
  const secret = key.raw.subarray(0, KEY_BYTES);
  const ours = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, secret]), format: "der", type: "pkcs8" });
  const self = ownerId(peerIdFromPrivateKey(key).toString());
  const verifier = new Verifier();
  return {
    roots: new Roots(sha256),
    hash: sha256,
    sign: (bytes) => {
      const signature = new Uint8Array(sign(null, bytes, ours));
      verifier.signed(self, bytes, signature);
      return signature;
    },
    verify: (owner, bytes, signature) => verifier.verify(owner, bytes, signature),
  };
}
