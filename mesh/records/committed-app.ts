// The value of an `app/*` entry: a record as the register committed it, with its certificate (register/register-codec.ts).

import type { Certificate } from "../register/certificate.ts";
import { decodeCommitted } from "../register/register-codec.ts";
import { ok, type Result } from "../result.ts";
import { type CommittedApp, decodeAppRecord } from "./app.ts";

/** What it says. Whether a majority of the voters signed that, `CertifiedApps` says: nobody acts on this alone. */
export function decodeCommittedApp(
  bytes: Uint8Array,
): Result<CommittedApp & { readonly certificate: Certificate }> {
  const committed = decodeCommitted(bytes);
  if (!committed.ok) return committed;
  const { value, certificate } = committed.value;
  const record = decodeAppRecord(value.record);
  return record.ok ? ok({ epoch: value.epoch, record: record.value, certificate }) : record;
}
