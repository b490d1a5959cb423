// StandInVoter: the one voter of a cluster in memory, without an acceptor: it signs what it is given. For tests of those who take
// records, not of how they come about.

import { type MemberName, ownerId } from "../core/ids.ts";
import type { HostRegisters } from "../io/register/registers.ts";
import type { Mesh } from "../mesh.ts";
import { type AppRecord, appKey, encodeAppRecord } from "../records/app.ts";
import { voterId } from "../register/ballot.ts";
import { statementBytes } from "../register/certificate.ts";
import { encodeCommitted } from "../register/register-codec.ts";
import { createValue } from "../register/value.ts";
import { encodeLink, rootLink, rootStatement } from "../register/voter-chain.ts";
import { standInCrypto } from "./stand-in-crypto.ts";

/** The cluster of all that this voter signs. */
export const STAND_IN_CLUSTER = "stand-in-root";
const VOTER = voterId("00000000000000aa");
const LIST = 1;

export class StandInVoter {
  readonly #mesh: Mesh;

  /** `mesh`: of the member that is the voter. */
  constructor(mesh: Mesh) {
    this.#mesh = mesh;
  }

  /** Gossips the list that names it. */
  publishList(): void {
    this.#mesh.write("voter-list/00000001", this.listLink());
  }

  /** The link of the list that names it, signed by the root key. */
  listLink(): Uint8Array {
    const { owner, name } = this.#mesh.self;
    const list = { number: LIST, voters: [{ id: VOTER, owner, name }], isSettled: true };
    const { sign } = standInCrypto(ownerId(STAND_IN_CLUSTER));
    return encodeLink(rootLink(list, (encoded) => sign(rootStatement(STAND_IN_CLUSTER, encoded))));
  }

  /** Gossips a record as one that was committed. */
  publish(epoch: number, record: AppRecord): void {
    this.#mesh.write(appKey(record.app), this.certified(epoch, record));
  }

  /** The value of an `app/*` entry. */
  certified(epoch: number, record: AppRecord): Uint8Array {
    return this.certify(appKey(record.app), epoch, encodeAppRecord(record));
  }

  /** The same of any bytes, under any register's name. */
  certify(register: string, epoch: number, record: Uint8Array): Uint8Array {
    const { crypto } = this.#mesh;
    const ballot = { round: epoch, proposer: VOTER };
    const value = createValue({ epoch, origin: ballot, record });
    const statement = { cluster: STAND_IN_CLUSTER, register, list: LIST, ballot, voter: VOTER, value };
    const signature = crypto.sign(statementBytes(statement, crypto.hash));
    return encodeCommitted({
      value,
      certificate: { list: LIST, ballot, signatures: new Map([[VOTER, signature]]) },
    });
  }
}

/** Puts real voters in force, as the root key of `STAND_IN_CLUSTER` does, at the host that is given. */
export async function nameStandInVoters(at: HostRegisters, names: readonly MemberName[]): Promise<void> {
  const { signal } = new AbortController();
  const list = await at.planList(names, signal);
  if (!list.ok) throw new Error(list.error);
  const { sign } = standInCrypto(ownerId(STAND_IN_CLUSTER));
  const link = rootLink(list.value, (encoded) => sign(rootStatement(STAND_IN_CLUSTER, encoded)));
  const installed = await at.install(encodeLink(link), signal);
  if (!installed.ok) throw new Error(installed.error);
}
