// Record fault: why a committed record proves nothing here, by the voter lists that are known.

import {
  type CertificateFault,
  checkCertificate,
  type RegisterCrypto,
  type RegisterName,
} from "./certificate.ts";
import type { CommittedValue } from "./proposer-face.ts";
import type { VoterChain } from "./voter-chain.ts";

export interface RecordClaim {
  readonly cluster: string;
  readonly register: RegisterName;
  readonly committed: CommittedValue;
}

/** Null: a majority signed it of the list in force, or of the one before while that is not settled. */
export function recordFault(
  { cluster, register, committed }: RecordClaim,
  lists: Pick<VoterChain, "list" | "before" | "listOf">,
  crypto: Pick<RegisterCrypto, "hash" | "verify">,
): CertificateFault | null {
  const { list: newest } = lists;
  const list = lists.listOf(committed.certificate.list);
  if (newest === undefined || committed.certificate.list > newest.number) return "unknown-list";
  // Once a list is settled all that counts was committed under it: whom it left out has no say any more.
  const isOfBefore = !newest.isSettled && list === lists.before;
  if (list === undefined || (list !== newest && !isOfBefore)) return "former-list";
  const checked = checkCertificate({ cluster, register, ...committed }, list, crypto);
  return checked.ok ? null : checked.error;
}
