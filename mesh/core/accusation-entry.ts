// Accusation entry: "I cannot reach it", as an accuser writes it into its own host state under `suspect/<owner>`. So it is signed,
// gossiped and repaired as all else, and ends with the start that wrote it.

import { COUNTER_MAX, INCARNATION_MAX } from "../limits.ts";
import { fail, ok, type Result } from "../result.ts";
import { type OwnerId, ownerId } from "./ids.ts";
import type { Accusation } from "./liveness-face.ts";
import { packValue, unpackValue } from "./msgpack.ts";
import { WireError, WireReader } from "./wire-reader.ts";

/** Written by the mesh alone. */
export const ACCUSATION_PREFIX = "suspect/";
const FORMAT = 1;

export function accusationKey(suspect: OwnerId): string {
  return `${ACCUSATION_PREFIX}${suspect}`;
}

/** Undefined: the key of something else. */
export function accusedBy(key: string): OwnerId | undefined {
  const isOne = key.startsWith(ACCUSATION_PREFIX) && key.length > ACCUSATION_PREFIX.length;
  return isOne ? ownerId(key.slice(ACCUSATION_PREFIX.length)) : undefined;
}

export function encodeAccusation({ life, reason }: Accusation): Uint8Array {
  return packValue([FORMAT, life.incarnation, life.refutation, reason]);
}

/** Total: whatever a peer wrote, the answer is a result. */
export function decodeAccusation(bytes: Uint8Array): Result<Accusation> {
  try {
    const reader = new WireReader(unpackValue(bytes), "accusation");
    const format = reader.int("format", COUNTER_MAX);
    const incarnation = reader.int("incarnation", INCARNATION_MAX);
    const refutation = reader.int("refutation", COUNTER_MAX);
    const reason = reader.text("reason", 16);
    reader.end();
    reader.require(format === FORMAT, "format");
    if (reason !== "closed" && reason !== "silent") return fail("accusation: bad reason");
    return ok({ life: { incarnation, refutation }, reason });
  } catch (error) {
    return fail(error instanceof WireError ? error.message : "accusation: not msgpack");
  }
}
