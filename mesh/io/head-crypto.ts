// HeadCrypto with node:crypto: Ed25519 with the libp2p key, SHA-256. Synchronous: a signature takes about 0.1 ms, and what
// follows it must not overtake it.

import { createPrivateKey, createPublicKey, hash, type KeyObject, sign, verify } from "node:crypto";
import type { PrivateKey } from "@libp2p/interface";
import { peerIdFromPrivateKey, peerIdFromString } from "@libp2p/peer-id";
import { type HeadCrypto, Roots } from "../core/head.ts";
import { type OwnerId, ownerId } from "../core/ids.ts";
import { OWNERS_MAX } from "../limits.ts";
import type { RegisterCrypto } from "../register/certificate.ts";

/** RFC 8410: what stands before the 32 bytes of an Ed25519 key in PKCS #8 and in SPKI. */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
const KEY_BYTES = 32;
/** What was verified lately: gossip's validator and the store ask the same. */
const VERIFIED_MAX = 512;

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

/** For who checks what others signed, and has no key. */
export function createVerifier(): Pick<RegisterCrypto, "hash" | "verify"> {
  const verifier = new Verifier();
  return {
    hash: sha256,
    verify: (owner, bytes, signature) => verifier.verify(owner, bytes, signature),
  };
}

function sha256(bytes: Uint8Array): Uint8Array {
  return hash("sha256", bytes, "buffer");
}

class Verifier {
  readonly #keys = new Map<OwnerId, KeyObject | undefined>();
  readonly #verified = new Map<string, string>();

  /** What we signed ourselves comes back in votes and certificates: a verification takes three times as long as a signature. */
  signed(owner: OwnerId, bytes: Uint8Array, signature: Uint8Array): void {
    remember(this.#verified, sealOf(owner, signature), textOf(bytes), VERIFIED_MAX);
  }

  verify(owner: OwnerId, bytes: Uint8Array, signature: Uint8Array): boolean {
    if (this.#verified.get(sealOf(owner, signature)) === textOf(bytes)) return true;
    const key = this.#keyOf(owner);
    if (key === undefined || !verify(null, bytes, key, signature)) return false;
    this.signed(owner, bytes, signature);
    return true;
  }

  #keyOf(owner: OwnerId): KeyObject | undefined {
    if (!this.#keys.has(owner)) remember(this.#keys, owner, publicKeyOf(owner), OWNERS_MAX);
    return this.#keys.get(owner);
  }
}

function sealOf(owner: OwnerId, signature: Uint8Array): string {
  return `${owner} ${textOf(signature)}`;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

/** A peer id of an Ed25519 key is the key itself; any other text has none. */
function publicKeyOf(owner: OwnerId): KeyObject | undefined {
  try {
    const { publicKey } = peerIdFromString(owner);
    if (publicKey?.type !== "Ed25519") return undefined;
    return createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey.raw]), format: "der", type: "spki" });
  } catch {
    return undefined;
  }
}

/** The oldest makes room. */
function remember<Key, Value>(map: Map<Key, Value>, key: Key, value: Value, max: number): void {
  if (map.size >= max) {
    const [oldest] = map.keys();
    if (oldest !== undefined) map.delete(oldest);
  }
  map.set(key, value);
}
