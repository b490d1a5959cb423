// Certificate: the signatures of a majority of one voter list, at one ballot, over one value. Each voter signs once the value
// is on its disk, so whoever has a majority of them knows that it was chosen, wherever they come from.

import type { OwnerId } from "../core/ids.ts";
import { fail, ok, type Result } from "../result.ts";
import { type Ballot, isSameBallot, type VoterId } from "./ballot.ts";
import { isSameValue, type RegisterValue } from "./value.ts";
import { majorityOf, type VoterList, voterOf } from "./voter-list.ts";

/** `app/hello`, `names`, `voters`. */
export type RegisterName = string;

export interface Certificate {
  readonly list: number;
  readonly ballot: Ballot;
  readonly signatures: ReadonlyMap<VoterId, Uint8Array>;
}

/** The part of a `HeadCrypto` that registers need; the model has a stand-in. */
export interface RegisterCrypto {
  /** SHA-256. */
  hash(bytes: Uint8Array): Uint8Array;
  /** With our own key. */
  sign(bytes: Uint8Array): Uint8Array;
  /** Whether `owner` signed these bytes. Total. */
  verify(owner: OwnerId, bytes: Uint8Array, signature: Uint8Array): boolean;
}

/** What one voter says by its signature: I have this value on my disk, at this ballot, under this list. */
export interface Statement {
  readonly cluster: string;
  readonly register: RegisterName;
  readonly list: number;
  readonly ballot: Ballot;
  readonly voter: VoterId;
  readonly value: RegisterValue;
}

const DOMAIN = "grapevine register 1";
const encoder = new TextEncoder();

/** Fixed layout: no encoder's choice is part of what is signed. Names hold no line break. */
export function statementBytes(statement: Statement, hash: RegisterCrypto["hash"]): Uint8Array {
  const { cluster, register, list, ballot, voter, value } = statement;
  const { round, proposer } = ballot;
  const lines = [DOMAIN, cluster, register, list, value.epoch, round, proposer, voter];
  const head = encoder.encode(`${lines.join("\n")}\n`);
  const digest = hash(value.encoded);
  const bytes = new Uint8Array(head.length + digest.length);
  bytes.set(head);
  bytes.set(digest, head.length);
  return bytes;
}

/** One voter's acceptance, as it was collected. */
export interface Vote {
  readonly list: number;
  readonly ballot: Ballot;
  readonly value: RegisterValue;
  readonly signature: Uint8Array;
}

/**
 * The certificate that these votes make, and what it is of; null: no majority of `list` voted at one ballot. `isMixed`: takes
 * votes of several ballots together, which proves nothing (for the model to catch).
 */
export function certify(
  votes: ReadonlyMap<VoterId, Vote>,
  list: VoterList,
  { isMixed = false }: { readonly isMixed?: boolean } = {},
): { readonly value: RegisterValue; readonly certificate: Certificate } | null {
  for (const { ballot, value } of votes.values()) {
    const agrees = (vote: Vote): boolean =>
      isMixed
        ? vote.value.epoch === value.epoch
        : isSameBallot(vote.ballot, ballot) && isSameValue(vote.value, value);
    const agreeing = [...votes].filter(
      ([voter, vote]) => vote.list === list.number && voterOf(list, voter) !== undefined && agrees(vote),
    );
    if (agreeing.length < majorityOf(list)) continue;
    const signatures = new Map(agreeing.map(([voter, vote]) => [voter, vote.signature]));
    return { value, certificate: { list: list.number, ballot, signatures } };
  }
  return null;
}

/**
 * Why a certificate proves nothing here. `unknown-list`: it names a later list than the one given: fetch that, then ask again.
 * `former-list`: an earlier one: it was true of that.
 */
export type CertificateFault =
  | "unknown-list"
  | "former-list"
  | "not-a-voter"
  | "too-few-signatures"
  | "bad-signature";

export interface Certified {
  readonly cluster: string;
  readonly register: RegisterName;
  readonly value: RegisterValue;
  readonly certificate: Certificate;
}

/** Whether a majority of `list`, which is the one that the certificate names, signed this value. */
export function checkCertificate(
  { cluster, register, value, certificate }: Certified,
  list: VoterList,
  { hash, verify }: Pick<RegisterCrypto, "hash" | "verify">,
): Result<null, CertificateFault> {
  if (certificate.list !== list.number) {
    return fail(certificate.list > list.number ? "unknown-list" : "former-list");
  }
  const { ballot, signatures } = certificate;
  if (signatures.size < majorityOf(list)) return fail("too-few-signatures");
  for (const [id, signature] of signatures) {
    const voter = voterOf(list, id);
    if (voter === undefined) return fail("not-a-voter");
    const bytes = statementBytes({ cluster, register, list: list.number, ballot, voter: id, value }, hash);
    if (!verify(voter.owner, bytes, signature)) return fail("bad-signature");
  }
  return ok(null);
}
