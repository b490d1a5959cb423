import { generateKeyPair } from "@libp2p/crypto/keys";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { expect, test } from "vitest";
import { ownerId } from "../core/ids.ts";
import { createHeadCrypto } from "./head-crypto.ts";
import { createVerifier } from "./verifier.ts";

const BYTES = new TextEncoder().encode("what was said");

test("who signed is told by the owner's id alone, of keys as libp2p makes them", async () => {
  for (let key = 0; key < 50; key += 1) {
    const made = await generateKeyPair("Ed25519");
    const owner = ownerId(peerIdFromPrivateKey(made).toString());
    const signature = createHeadCrypto(made).sign(BYTES);
    const { verify } = createVerifier();
    expect(verify(owner, BYTES, signature)).toBe(true);
    expect(verify(owner, BYTES.subarray(1), signature)).toBe(false);
  }
});

test("an id that is no Ed25519 key has signed nothing", async () => {
  const made = await generateKeyPair("Ed25519");
  const id = peerIdFromPrivateKey(made).toString();
  const signature = createHeadCrypto(made).sign(BYTES);
  const rsa = peerIdFromPrivateKey(await generateKeyPair("RSA", 2048)).toString();
  const { verify } = createVerifier();
  for (const other of [
    "",
    "1",
    "0",
    "stand-in-root",
    `1${id}`,
    `${id}1`,
    id.slice(0, -1),
    id.slice(1),
    "1".repeat(1_000),
    rsa,
  ])
    expect(verify(ownerId(other), BYTES, signature)).toBe(false);
});
