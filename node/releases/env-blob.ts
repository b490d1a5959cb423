// Env blob: the env of one release as it lies on a disk and travels: a random salt, then the values. Its hash stands in the app's
// record, where every member reads it: the salt is what keeps them from trying values until one fits.

import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { compareText, type EnvHash, envHash, fail, ok, type Result } from "../../mesh/words.ts";

export type EnvValues = Readonly<Record<string, string>>;

/** As many as an environment is read with pleasure; Linux itself takes some 2 MiB with the arguments. */
export const ENV_BYTES_MAX: number = 32 * 1024;
/** As long as the hash: nobody finds it by trying. */
const SALT_BYTES = 32;
export const ENV_BLOB_BYTES_MAX: number = SALT_BYTES + ENV_BYTES_MAX;

const valuesShape = z.array(z.tuple([z.string(), z.string()]));

/** A new salt each time: what has the same values has another hash. */
export function sealEnv(values: EnvValues): { readonly hash: EnvHash; readonly blob: Uint8Array } {
  const blob = Buffer.concat([randomBytes(SALT_BYTES), canonical(values)]);
  return { hash: envHash(sha256(blob)), blob };
}

/** What its hash says is checked anew: a disk may have changed it. The reason tells nothing of what it holds. */
export function openEnv(hash: EnvHash, blob: Uint8Array): Result<EnvValues> {
  if (sha256(blob) !== hash) return fail("it is damaged");
  try {
    const values = valuesShape.parse(JSON.parse(Buffer.from(blob.subarray(SALT_BYTES)).toString("utf8")));
    return ok(Object.fromEntries(values));
  } catch {
    return fail("it is none");
  }
}

export function envBytes(values: EnvValues): number {
  return canonical(values).byteLength;
}

/** Says whether values are equal, to who has equal ones, and for this nonce alone. */
export function markOf(values: EnvValues, nonce: Uint8Array): Uint8Array {
  return createHmac("sha256", nonce).update(canonical(values)).digest();
}

export function isSameMark(left: Uint8Array, right: Uint8Array): boolean {
  return left.byteLength === right.byteLength && timingSafeEqual(left, right);
}

function canonical(values: EnvValues): Uint8Array {
  const sorted = Object.entries(values).sort(([left], [right]) => compareText(left, right));
  return Buffer.from(JSON.stringify(sorted), "utf8");
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
