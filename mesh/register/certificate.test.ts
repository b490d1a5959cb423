import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import { generateKeyPair } from "@libp2p/crypto/keys";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { beforeAll, describe, expect, it } from "vitest";
import { type OwnerId, ownerId } from "../core/ids.ts";
import { createHeadCrypto } from "../io/head-crypto.ts";
import type { VoterId } from "./ballot.ts";
import {
  type Certified,
  certify,
  checkCertificate,
  type RegisterCrypto,
  statementBytes,
  type Vote,
} from "./certificate.ts";
import { ballotOf, idOf, listOf, valueAt } from "./testing/voters.ts";
import type { RegisterValue } from "./value.ts";
import type { VoterList } from "./voter-list.ts";

interface Signer {
  readonly owner: OwnerId;
  readonly crypto: RegisterCrypto;
}

/** Real keys, so that what is forged is really forged. */
const signers = new Map<string, Signer>();

function sha256(bytes: Uint8Array): Uint8Array {
  return hash("sha256", bytes, "buffer");
}

beforeAll(async () => {
  for (const letter of "abcde") {
    const key = await generateKeyPair("Ed25519");
    const owner = ownerId(peerIdFromPrivateKey(key).toString());
    const crypto = createHeadCrypto(key);
    signers.set(letter, { owner, crypto });
  }
});

function signerOf(letter: string): Signer {
  return signers.get(letter)!;
}

/** The list with the owners of the real keys. */
function signedList(letters: string, number = 3): VoterList {
  const list = listOf(letters, { number });
  const owners = [...letters].map((letter) => signerOf(letter).owner);
  return { ...list, voters: list.voters.map((voter, at) => ({ ...voter, owner: owners[at]! })) };
}

const CLUSTER = "test";
const REGISTER = "app/hello";
const VALUE = valueAt(4, "6.a");

interface Said {
  readonly cluster?: string;
  readonly register?: string;
  readonly list?: number;
  readonly ballot?: string;
  readonly value?: RegisterValue;
  /** Whose id stands in the statement; default: the signer's. */
  readonly as?: string;
}

function signatureOf(letter: string, said: Said = {}): Uint8Array {
  const {
    cluster = CLUSTER,
    register = REGISTER,
    list = 3,
    ballot = "7.a",
    value = VALUE,
    as = letter,
  } = said;
  const statement = { cluster, register, list, ballot: ballotOf(ballot), voter: idOf(as), value };
  return signerOf(letter).crypto.sign(statementBytes(statement, sha256));
}

function voteOf(letter: string, said: Said = {}): [VoterId, Vote] {
  const { list = 3, ballot = "7.a", value = VALUE } = said;
  return [idOf(letter), { list, ballot: ballotOf(ballot), value, signature: signatureOf(letter, said) }];
}

/** What `list` thinks of a certificate of these signatures. */
function faultOf(signatures: readonly [string, Uint8Array][], part: Partial<Certified> = {}): string | null {
  const certificate = {
    list: 3,
    ballot: ballotOf("7.a"),
    signatures: new Map(signatures.map(([letter, signature]) => [idOf(letter), signature])),
  };
  const certified = { cluster: CLUSTER, register: REGISTER, value: VALUE, certificate, ...part };
  const checked = checkCertificate(certified, signedList("abc"), signerOf("e").crypto);
  return checked.ok ? null : checked.error;
}

describe("certify()", () => {
  it("makes a certificate of the votes of a majority, and anyone with the list can check it", () => {
    const list = signedList("abc");
    const made = certify(new Map([voteOf("a"), voteOf("c")]), list);
    expect(made?.value).toBe(VALUE);
    expect([...(made?.certificate.signatures.keys() ?? [])]).toEqual([idOf("a"), idOf("c")]);
    const certified = { cluster: CLUSTER, register: REGISTER, value: VALUE, certificate: made!.certificate };
    expect(checkCertificate(certified, list, signerOf("e").crypto)).toEqual({ ok: true, value: null });
  });

  it("makes none of too few, of several ballots, of two values, of another list, or of strangers", () => {
    const other = valueAt(4, "6.b");
    for (const votes of [
      [voteOf("a")],
      [voteOf("a"), voteOf("b", { ballot: "8.a" })],
      [voteOf("a"), voteOf("b", { value: other })],
      [voteOf("a", { list: 2 }), voteOf("b", { list: 2 })],
      [voteOf("a"), voteOf("d")],
    ]) {
      expect(certify(new Map(votes), signedList("abc"))).toBeNull();
    }
  });

  it("finds the majority among votes of other ballots", () => {
    const votes = new Map([voteOf("a", { ballot: "6.a" }), voteOf("b"), voteOf("c")]);
    expect(certify(votes, signedList("abc"))?.certificate.ballot).toEqual(ballotOf("7.a"));
  });

  it("takes votes of several ballots together when it is told to, and nobody believes that", () => {
    const votes = new Map([voteOf("a"), voteOf("b", { ballot: "8.a" })]);
    const mixed = certify(votes, signedList("abc"), { isMixed: true });
    const certified = { cluster: CLUSTER, register: REGISTER, value: VALUE, certificate: mixed!.certificate };
    const checked = checkCertificate(certified, signedList("abc"), signerOf("e").crypto);
    expect(checked).toEqual({ ok: false, error: "bad-signature" });
  });
});

describe("checkCertificate()", () => {
  const signed = (said: Said): [string, Uint8Array][] => [
    ["a", signatureOf("a")],
    ["b", signatureOf("b", said)],
  ];

  it("believes a majority, and all", () => {
    expect(faultOf(signed({}))).toBeNull();
    expect(faultOf([...signed({}), ["c", signatureOf("c")]])).toBeNull();
  });

  it("refuses too few signatures", () => {
    expect(faultOf([["a", signatureOf("a")]])).toBe("too-few-signatures");
    expect(faultOf([])).toBe("too-few-signatures");
  });

  it("refuses a signature of another cluster, register, list, ballot or value", () => {
    const others: readonly Said[] = [
      { cluster: "other" },
      { register: "app/other" },
      { list: 2 },
      { ballot: "8.a" },
      { ballot: "7.b" },
      { value: valueAt(5, "6.a") },
      { value: valueAt(4, "6.b") },
      { value: valueAt(4, "6.a", "another record") },
    ];
    for (const other of others) expect(faultOf(signed(other))).toBe("bad-signature");
  });

  it("refuses a signature that another voter's key made, or that was made in another's name", () => {
    expect(faultOf(signed({ as: "c" }))).toBe("bad-signature");
    expect(
      faultOf([
        ["a", signatureOf("a")],
        ["b", signatureOf("a", { as: "b" })],
      ]),
    ).toBe("bad-signature");
  });

  it("refuses a damaged signature, of any length", () => {
    const good = signatureOf("b");
    const damaged = good.map((byte, at) => (at === 5 ? byte ^ 1 : byte));
    for (const bytes of [damaged, new Uint8Array(), new Uint8Array(64), good.slice(1)]) {
      expect(
        faultOf([
          ["a", signatureOf("a")],
          ["b", bytes],
        ]),
      ).toBe("bad-signature");
    }
  });

  it("refuses who is not in the list any more, though it signed", () => {
    expect(
      faultOf([
        ["a", signatureOf("a")],
        ["d", signatureOf("d")],
      ]),
    ).toBe("not-a-voter");
  });

  it("is of the list that it names: a later one must be fetched, an earlier one is past", () => {
    const signatures = new Map([...voteOfBoth()].map(([voter, { signature }]) => [voter, signature]));
    const certificate = { list: 3, ballot: ballotOf("7.a"), signatures };
    const certified = { cluster: CLUSTER, register: REGISTER, value: VALUE, certificate };
    const check = (number: number) =>
      checkCertificate(certified, signedList("abc", number), signerOf("e").crypto);
    expect(check(2)).toEqual({ ok: false, error: "unknown-list" });
    expect(check(4)).toEqual({ ok: false, error: "former-list" });
  });
});

function voteOfBoth(): ReadonlyMap<VoterId, Vote> {
  return new Map([voteOf("a"), voteOf("b")]);
}

describe("statementBytes()", () => {
  it("lays out the bytes as mesh/README.md shows them", () => {
    const page = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    const [, shown = ""] = /```text\n(grapevine register .*?) +\(/.exec(page) ?? [];
    const numbers = { list: "3", epoch: "4", round: "7" };
    const values = new Map(Object.entries({ ...numbers, proposer: idOf("a"), voter: idOf("b") }));
    const head = shown.split(/\\n ?/).map((word) => values.get(word) ?? word);
    const names = { cluster: "cluster", register: "register" };
    const statement = { ...names, list: 3, ballot: ballotOf("7.a"), voter: idOf("b"), value: VALUE };
    const bytes = Buffer.from(statementBytes(statement, sha256));
    expect(bytes.subarray(0, -32).toString()).toBe(head.join("\n"));
  });

  it("keeps its layout from release to release", () => {
    const statement = {
      cluster: "c",
      register: "r",
      list: 3,
      ballot: ballotOf("7.a"),
      voter: idOf("b"),
      value: VALUE,
    };
    const head = ["grapevine register 1", "c", "r", "3", "4", "7", idOf("a"), idOf("b"), ""].join("\n");
    expect(Buffer.from(statementBytes(statement, sha256))).toEqual(
      Buffer.concat([Buffer.from(head), sha256(VALUE.encoded)]),
    );
  });
});
