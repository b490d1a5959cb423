// StandInVoter: a voter of a cluster in memory, without an acceptor: it signs what it is given, and so do the other voters of
// its list. For tests of those who take records, not of how they come about.

import { type MemberName, ownerId } from "../core/ids.ts";
import type { HostRegisters } from "../io/register/registers.ts";
import type { Mesh } from "../mesh.ts";
import { type AppRecord, appKey, encodeAppRecord } from "../records/app.ts";
import { type VoterId, voterId } from "../register/ballot.ts";
import { statementBytes } from "../register/certificate.ts";
import { encodeCommitted } from "../register/register-codec.ts";
import { createValue } from "../register/value.ts";
import { encodeLink, rootLink, rootStatement } from "../register/voter-chain.ts";
import { standInCrypto } from "./stand-in-crypto.ts";

/** The cluster of all that these voters sign. */
export const STAND_IN_CLUSTER = "stand-in-root";

export interface StandInList {
  /** Each list is signed by the root key, so that a higher number replaces any before it. */
  readonly number: number;
  /** Of the members that are voters, in order of rank. */
  readonly meshes: readonly Mesh[];
  readonly cluster: string;
}

export class StandInVoter {
  readonly #mesh: Mesh;
  readonly #list: StandInList;

  /** `mesh`: of the member that publishes; unless `list` says otherwise the only voter of list 1. */
  constructor(mesh: Mesh, list: Partial<StandInList> = {}) {
    this.#mesh = mesh;
    this.#list = { number: 1, meshes: [mesh], cluster: STAND_IN_CLUSTER, ...list };
  }

  /** Gossips the list that names it. */
  publishList(): void {
    const number = String(this.#list.number).padStart(8, "0");
    this.#mesh.write(`voter-list/${number}`, this.listLink());
  }

  /** The link of the list that names it, signed by the root key. */
  listLink(): Uint8Array {
    const { number, meshes, cluster } = this.#list;
    const voters = meshes.map(({ self: { owner, name } }, rank) => ({ id: idOf(rank), owner, name }));
    const { sign } = standInCrypto(ownerId(cluster));
    const list = { number, voters, isSettled: true };
    return encodeLink(rootLink(list, (encoded) => sign(rootStatement(cluster, encoded))));
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
    const { number: list, meshes, cluster } = this.#list;
    const ballot = { round: epoch, proposer: idOf(0) };
    const value = createValue({ epoch, origin: ballot, record });
    const signatures = meshes.map(({ crypto }, rank): [VoterId, Uint8Array] => {
      const statement = { cluster, register, list, ballot, voter: idOf(rank), value };
      return [idOf(rank), crypto.sign(statementBytes(statement, crypto.hash))];
    });
    return encodeCommitted({ value, certificate: { list, ballot, signatures: new Map(signatures) } });
  }
}

/** Puts real voters in force, as the root key of `STAND_IN_CLUSTER` does, at the host that is given. */
export async function nameStandInVoters(
  at: HostRegisters,
  names: readonly MemberName[],
  { isRestore = false }: { readonly isRestore?: boolean } = {},
): Promise<void> {
  const { signal } = new AbortController();
  const list = await (isRestore ? at.planRestored(names, signal) : at.planFirst(names, signal));
  if (!list.ok) throw new Error(list.error);
  const { sign } = standInCrypto(ownerId(STAND_IN_CLUSTER));
  const link = rootLink(list.value, (encoded) => sign(rootStatement(STAND_IN_CLUSTER, encoded)));
  const installed = await at.install(encodeLink(link), signal);
  if (!installed.ok) throw new Error(installed.error);
}

function idOf(rank: number): VoterId {
  return voterId((0xaa + rank).toString(16).padStart(16, "0"));
}
