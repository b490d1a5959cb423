// Decoded: a record as it comes back from the register: whatever its shape does not allow is found there.

import assert from "node:assert/strict";
import { type AppRecord, decodeAppRecord, encodeAppRecord } from "../../../mesh/index.ts";

export function decoded(record: AppRecord): AppRecord {
  const result = decodeAppRecord(encodeAppRecord(record));
  assert.ok(result.ok, result.ok ? "" : result.error);
  return result.value;
}
