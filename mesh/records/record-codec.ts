// Record codec: values of entries as msgpack maps with a format number. Decoding is total: bytes in, a record or a reason out.

import type { ZodType } from "zod";
import { packValue, unpackValue } from "../core/msgpack.ts";
import { fail, ok, type Result } from "../result.ts";

export function encodeRecord(record: object): Uint8Array {
  return packValue(record);
}

/** `schema` must be strict: a field it does not know is refused with its name, never guessed. */
export function decodeRecord<Value>(schema: ZodType<Value>, bytes: Uint8Array): Result<Value> {
  let raw: unknown;
  try {
    raw = unpackValue(bytes);
  } catch {
    return fail("not msgpack");
  }
  const parsed = schema.safeParse(raw);
  if (parsed.success) return ok(parsed.data);
  const issue = parsed.error.issues[0];
  return fail(issue ? `${issue.path.join(".") || "record"}: ${issue.message}` : "not a record");
}
