// Verifier: whether an owner signed some bytes, by its id alone, which is its public key. Without libp2p: a process that only checks
// what others signed starts without it.

import { createPublicKey, hash, type KeyObject, verify } from "node:crypto";
import type { OwnerId } from "../core/ids.ts";
import { OWNERS_MAX } from "../limits.ts";
import type { RegisterCrypto } from "../register/certificate.ts";

/** RFC 8410: what stands before the 32 bytes of an Ed25519 key in SPKI. */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
const KEY_BYTES = 32;
/** An identity multihash of 36 bytes, which are a protobuf: type Ed25519, then the key (libp2p's specification of peer ids). */
const PEER_ID_PREFIX = "002408011220";
const BASE_58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/** Of such an id in base 58: above it it is another's. */
const PEER_ID_CHARS_MAX = 60;
/** What was verified lately: gossip's validator and the store ask the same. */
const VERIFIED_MAX = 512;

/** For who has no key. */
export function createVerifier(): Pick<RegisterCrypto, "hash" | "verify"> {
  const verifier = new Verifier();
  return { hash: sha256, verify: (owner, bytes, signature) => verifier.verify(owner, bytes, signature) };
}

export function sha256(bytes: Uint8Array): Uint8Array {
  return hash("sha256", bytes, "buffer");
}

export class Verifier {
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
  const hex = hexOfBase58(owner);
  if (hex?.length !== PEER_ID_PREFIX.length + 2 * KEY_BYTES || !hex.startsWith(PEER_ID_PREFIX))
    return undefined;
  const raw = Buffer.from(hex.slice(PEER_ID_PREFIX.length), "hex");
  return createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: "der", type: "spki" });
}

/** Two digits a byte. Of a text that begins with one "1", as one zero byte is written; undefined: it is another one. */
function hexOfBase58(text: string): string | undefined {
  if (text.length > PEER_ID_CHARS_MAX || !/^1[^1]/.test(text)) return undefined;
  let value = 0n;
  for (const char of text) {
    const digit = BASE_58.indexOf(char);
    if (digit < 0) return undefined;
    value = value * 58n + BigInt(digit);
  }
  const hex = value.toString(16);
  return `00${hex.length % 2 === 0 ? hex : `0${hex}`}`;
}

/** The oldest makes room. */
function remember<Key, Value>(map: Map<Key, Value>, key: Key, value: Value, max: number): void {
  if (map.size >= max) {
    const [oldest] = map.keys();
    if (oldest !== undefined) map.delete(oldest);
  }
  map.set(key, value);
}
