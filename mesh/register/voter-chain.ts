// Voter chain: which voter list is in force, and how that is known: the first was signed by the cluster's root key, each next one
// was committed under the one before. A list that the root key signed anew, with a higher number, begins the chain again
// (`registers restore`). Whoever has the cluster's id can check all of it; nobody has to be believed.

import { ownerId } from "../core/ids.ts";
import { packValue, unpackValue } from "../core/msgpack.ts";
import { WireError, WireReader } from "../core/wire-reader.ts";
import { ENTRY_VALUE_BYTES_MAX } from "../limits.ts";
import { fail, ok, type Result } from "../result.ts";
import { checkCertificate, type RegisterCrypto } from "./certificate.ts";
import type { CommittedValue } from "./proposer-face.ts";
import { decodeCommitted, encodeCommitted } from "./register-codec.ts";
import { VOTERS_REGISTER } from "./settle.ts";
import { follows, isSameList, type VoterList } from "./voter-list.ts";
import { decodeVoterList, encodeVoterList } from "./voter-list-codec.ts";

const SIGNATURE_BYTES = 64;
const ROOT_DOMAIN = "grapevine voter list 1";

/** How one list is known. */
export type VoterLink =
  /** Signed by the root key. */
  | {
      readonly kind: "root";
      readonly list: VoterList;
      readonly encoded: Uint8Array;
      readonly signature: Uint8Array;
    }
  /** Committed in the register `voters`, under the list before; or under itself: that it is settled. */
  | { readonly kind: "committed"; readonly list: VoterList; readonly committed: CommittedValue };

/** What the root key signs. */
export function rootStatement(cluster: string, encodedList: Uint8Array): Uint8Array {
  const head = new TextEncoder().encode(`${ROOT_DOMAIN}\n${cluster}\n`);
  const bytes = new Uint8Array(head.length + encodedList.length);
  bytes.set(head);
  bytes.set(encodedList, head.length);
  return bytes;
}

export function encodeLink(link: VoterLink): Uint8Array {
  return link.kind === "root"
    ? packValue(["root", link.encoded, link.signature])
    : packValue(["committed", encodeCommitted(link.committed)]);
}

/** Total; says nothing of whether it proves anything: the chain does. */
export function decodeLink(bytes: Uint8Array): Result<VoterLink> {
  try {
    const reader = new WireReader(unpackValue(bytes), "voter link");
    const kind = reader.text("kind", 16);
    const body = reader.bytes("list", ENTRY_VALUE_BYTES_MAX);
    if (kind === "root") {
      const signature = reader.bytes("signature", SIGNATURE_BYTES);
      reader.end();
      const list = decodeVoterList(body);
      return list.ok ? ok({ kind, list: list.value, encoded: body, signature }) : list;
    }
    reader.require(kind === "committed", "kind");
    reader.end();
    const committed = decodeCommitted(body);
    if (!committed.ok) return committed;
    const list = decodeVoterList(committed.value.value.record);
    return list.ok ? ok({ kind: "committed", list: list.value, committed: committed.value }) : list;
  } catch (error) {
    return fail(error instanceof WireError ? error.message : "voter link: not msgpack");
  }
}

export function rootLink(list: VoterList, sign: (encodedList: Uint8Array) => Uint8Array): VoterLink {
  const encoded = encodeVoterList(list);
  return { kind: "root", list, encoded, signature: sign(encoded) };
}

/**
 * - `adopted`: it is in force now, or is now known to be settled.
 * - `known`: older than what is in force, or the same.
 * - `early`: the list under which it was committed is not known here: fetch what lies between.
 * - `refused`: it proves nothing.
 */
export type LinkVerdict =
  | { readonly kind: "adopted" | "known" | "early" }
  | { readonly kind: "refused"; readonly reason: string };

export class VoterChain {
  readonly #cluster: string;
  readonly #crypto: Pick<RegisterCrypto, "hash" | "verify">;
  /** From the last that the root key signed; each with the list that it put in force. */
  #links: readonly VoterLink[] = [];
  /** The list before a root link: it proves nothing of the next, but what was committed under it was. */
  #before: VoterList | undefined;

  /** `cluster`: its id is the root key's peer id. */
  constructor(cluster: string, crypto: Pick<RegisterCrypto, "hash" | "verify">) {
    this.#cluster = cluster;
    this.#crypto = crypto;
  }

  /** Undefined: no voters were ever named, as far as we know. */
  get list(): VoterList | undefined {
    return this.#links.at(-1)?.list;
  }

  /** What proves `list`, in the order in which it is learned. */
  get links(): readonly VoterLink[] {
    return this.#links;
  }

  /** The list of that number, if it is in force or the one before it; undefined: older, or not known. */
  listOf(number: number): VoterList | undefined {
    const known = this.#links.findLast(({ list }) => list.number === number)?.list;
    return known ?? (this.#before?.number === number ? this.#before : undefined);
  }

  /** The list before the one in force: of a chain that begins anew the one that it takes the place of, if it was known here. */
  get before(): VoterList | undefined {
    const { list } = this;
    const earlier = this.#links.findLast((link) => link.list.number !== list?.number)?.list;
    return earlier ?? this.#before;
  }

  learn(link: VoterLink): LinkVerdict {
    const { list: current } = this;
    if (link.kind === "root") return this.#learnRoot(link);
    if (current === undefined) return { kind: "early" };
    const { list } = link;
    if (list.number < current.number) return { kind: "known" };
    if (list.number === current.number && (current.isSettled || !list.isSettled)) return { kind: "known" };
    const under = this.listOf(link.committed.certificate.list);
    if (under !== current || !follows(list, current)) {
      return list.number > current.number
        ? { kind: "early" }
        : { kind: "refused", reason: "it does not follow" };
    }
    const certified = { cluster: this.#cluster, register: VOTERS_REGISTER, ...link.committed };
    const checked = checkCertificate(certified, current, this.#crypto);
    if (!checked.ok) return { kind: "refused", reason: checked.error };
    this.#links = [...this.#links, link];
    return { kind: "adopted" };
  }

  #learnRoot(link: Extract<VoterLink, { kind: "root" }>): LinkVerdict {
    const known = this.listOf(link.list.number);
    if (known !== undefined && !isSameList(known, link.list)) {
      return { kind: "refused", reason: `the root key signed two lists of number ${link.list.number}` };
    }
    if (link.list.number <= (this.list?.number ?? 0)) return { kind: "known" };
    const statement = rootStatement(this.#cluster, link.encoded);
    if (!this.#crypto.verify(ownerId(this.#cluster), statement, link.signature)) {
      return { kind: "refused", reason: "the cluster's root key did not sign it" };
    }
    this.#before = this.list;
    this.#links = [link];
    return { kind: "adopted" };
  }
}
