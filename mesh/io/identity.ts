// Identity: our key and our incarnation, on disk. Losing the key makes us another member; losing the incarnation is mended
// by the clock, and by peers that show us what we wrote before.

import { randomInt } from "node:crypto";
import { join } from "node:path";
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from "@libp2p/crypto/keys";
import type { PrivateKey } from "@libp2p/interface";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { type OwnerId, ownerId } from "../core/ids.ts";
import type { Start } from "../core/version.ts";
import { INCARNATION_MAX, START_ID_MAX } from "../limits.ts";
import { messageOf } from "../result.ts";
import { readIfThere, writeDurably } from "./durable-file.ts";
import { makeFolder } from "./make-folder.ts";

/** libp2p's protobuf of an Ed25519 private key. */
const KEY_FILE = "mesh-key";
/** The incarnation in decimal. */
const INCARNATION_FILE = "mesh-incarnation";

export interface Identity {
  readonly owner: OwnerId;
  readonly privateKey: PrivateKey;
  /** On disk already. */
  readonly start: Start;
  /** The key was there, the incarnation was not: peers may hold writes of ours above this start. */
  readonly isForgetful: boolean;
}

/** Reads or makes the key, and begins a new start: max(on disk, clock) + 1, synced before it is returned. */
export async function openIdentity(stateDir: string, nowMs: number): Promise<Identity> {
  makeFolder(stateDir);
  const { privateKey, isNew } = await openKey(stateDir);
  const onDisk = await readIncarnation(stateDir);
  const incarnation = Math.max(onDisk, Math.floor(nowMs)) + 1;
  await persistIncarnation(stateDir, incarnation);
  const owner = ownerId(peerIdFromPrivateKey(privateKey).toString());
  const start = { incarnation, startId: newStartId() };
  return { owner, privateKey, start, isForgetful: !isNew && onDisk === 0 };
}

/** Tells our start from another that a lost disk gave the same incarnation. */
export function newStartId(): number {
  return randomInt(1, START_ID_MAX);
}

export async function persistIncarnation(stateDir: string, incarnation: number): Promise<void> {
  await writeDurably(join(stateDir, INCARNATION_FILE), `${incarnation}\n`, { mode: 0o600 });
}

async function openKey(stateDir: string): Promise<{ privateKey: PrivateKey; isNew: boolean }> {
  const path = join(stateDir, KEY_FILE);
  const bytes = await readIfThere(path);
  if (bytes !== undefined) return { privateKey: readKey(path, bytes), isNew: false };
  const privateKey = await generateKeyPair("Ed25519");
  await writeDurably(path, privateKeyToProtobuf(privateKey), { mode: 0o600 });
  return { privateKey, isNew: true };
}

/** Throws what to do: to make another key would make another member of us, which only a person may want. */
function readKey(path: string, bytes: Uint8Array): PrivateKey {
  try {
    return privateKeyFromProtobuf(bytes);
  } catch (error) {
    throw new Error(
      `${path} is no key (${messageOf(error)}): restore it from a copy, or remove it to join as another member`,
    );
  }
}

/** 0 when there is none, or none that can be: the clock, and then peers, know better than a refusal to start. */
async function readIncarnation(stateDir: string): Promise<number> {
  const bytes = await readIfThere(join(stateDir, INCARNATION_FILE));
  const value = bytes === undefined ? 0 : Number(new TextDecoder().decode(bytes));
  return Number.isSafeInteger(value) && value > 0 && value < INCARNATION_MAX ? value : 0;
}
