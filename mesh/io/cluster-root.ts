// Cluster root: the key that makes a cluster. Its id is the peer id of the public key, so that the id alone proves the key.

import { readFile, rm } from "node:fs/promises";
import path from "node:path";
import { encodeLink, rootLink, rootStatement } from "../register/voter-chain.ts";
import { decodeVoterList } from "../register/voter-list-codec.ts";
import { fail, messageOf, ok, type Result } from "../result.ts";
import { writeDurably } from "./durable-file.ts";
import { makeFolder } from "./make-folder.ts";

interface ClusterRoot {
  /** What each member's configuration names: `cluster = "12D3KooW…"`. */
  readonly id: string;
  /** The private key, for its owner's eyes only. */
  readonly keyFile: string;
  /** The id and the public key, for everyone. */
  readonly clusterFile: string;
}

/** Makes `root.key` (0600) and `cluster.toml` in `folder`. A cluster that is there already is never overwritten. */
export async function createClusterRoot(folder: string): Promise<Result<ClusterRoot>> {
  const { id, privateKey, publicKey } = await newRootKey();
  const keyFile = path.join(folder, "root.key");
  const clusterFile = path.join(folder, "cluster.toml");
  const files = [
    { file: keyFile, text: `${privateKey}\n`, mode: 0o600 },
    { file: clusterFile, text: `id = "${id}"\nroot_public_key = "${publicKey}"\n`, mode: 0o644 },
  ];
  const made: string[] = [];
  try {
    makeFolder(folder);
    for (const { file, text, mode } of files) {
      await writeDurably(file, text, { mode, isNew: true });
      made.push(file);
    }
  } catch (error) {
    for (const file of made) await rm(file, { force: true });
    return fail(describeFailure(error));
  }
  return ok({ id, keyFile, clusterFile });
}

/**
 * The link that begins a chain of voter lists: this one (`encodeVoterList`), signed by the cluster's root key. Fails with what is
 * wrong with the file, or if it is another cluster's key.
 */
export async function signVoterList(
  { keyFile, cluster }: { readonly keyFile: string; readonly cluster: string },
  encodedList: Uint8Array,
): Promise<Result<Uint8Array>> {
  const list = decodeVoterList(encodedList);
  if (!list.ok) return list;
  const { privateKeyFromProtobuf } = await import("@libp2p/crypto/keys");
  const { peerIdFromPrivateKey } = await import("@libp2p/peer-id");
  const { createHeadCrypto } = await import("./head-crypto.ts");
  try {
    const text = await readFile(keyFile, "utf8");
    const key = privateKeyFromProtobuf(Buffer.from(text.trim(), "base64"));
    const id = peerIdFromPrivateKey(key).toString();
    if (id !== cluster) return fail(`${keyFile} is the root key of ${id}, not of this cluster, ${cluster}`);
    const { sign } = createHeadCrypto(key);
    return ok(encodeLink(rootLink(list.value, (encoded) => sign(rootStatement(cluster, encoded)))));
  } catch (error) {
    return fail(`${keyFile} holds no root key: ${messageOf(error)}`);
  }
}

/** Both keys as libp2p writes them, in base64. Loads libp2p's keys here: most commands need none of them. */
async function newRootKey(): Promise<{
  readonly id: string;
  readonly privateKey: string;
  readonly publicKey: string;
}> {
  const { generateKeyPair, privateKeyToProtobuf, publicKeyToProtobuf } = await import("@libp2p/crypto/keys");
  const { peerIdFromPrivateKey } = await import("@libp2p/peer-id");
  const key = await generateKeyPair("Ed25519");
  return {
    id: peerIdFromPrivateKey(key).toString(),
    privateKey: Buffer.from(privateKeyToProtobuf(key)).toString("base64"),
    publicKey: Buffer.from(publicKeyToProtobuf(key.publicKey)).toString("base64"),
  };
}

function describeFailure(error: unknown): string {
  const message = messageOf(error);
  const isThere = error instanceof Error && "code" in error && error.code === "EEXIST";
  return isThere ? `a cluster is there already and is not overwritten: ${message}` : message;
}
