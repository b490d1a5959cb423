// Entry proof: some entries of one owner's state with what proves that it wrote them, for who has no mesh to ask: the head that the
// owner signed over its whole state, and of each entry that is left out its hash. Nobody but the owner can make one.

import { type ZodType, z } from "zod";
import { isSameValue } from "../core/entry.ts";
import { type Head, type HeadCrypto, isSigned, leafHash, ROOT_BYTES, SIGNATURE_BYTES } from "../core/head.ts";
import type { OwnerId } from "../core/ids.ts";
import type { Start } from "../core/version.ts";
import { ENTRIES_PER_OWNER_MAX, ENTRY_KEY_BYTES_MAX, ENTRY_VALUE_BYTES_MAX } from "../limits.ts";
import type { Entry, SignedState } from "../mesh.ts";
import { fail, ok, type Result } from "../result.ts";
import { decodeRecord, encodeRecord } from "./record-codec.ts";
import { countShape, ownerIdShape } from "./shapes.ts";

interface Proof {
  readonly format: 1;
  readonly owner: OwnerId;
  readonly start: Start;
  readonly head: Head;
  /** Of each live entry, in version order: its hash, or itself. */
  readonly leaves: readonly (Uint8Array | Shown)[];
}

interface Shown {
  readonly key: string;
  readonly value: Uint8Array;
  readonly counter: number;
}

const startShape = z.strictObject({ incarnation: countShape, startId: countShape });
const bytesShape = z.instanceof(Uint8Array);
const sized = (bytes: number) => bytesShape.refine(({ length }) => length === bytes, "length");

const proofShape: ZodType<Proof> = z.strictObject({
  format: z.literal(1),
  owner: ownerIdShape,
  start: startShape,
  head: z.strictObject({
    counter: countShape,
    completeAt: countShape,
    born: startShape,
    raisedAbove: countShape,
    root: sized(ROOT_BYTES),
    signature: sized(SIGNATURE_BYTES),
  }),
  leaves: z
    .array(
      z.union([
        sized(ROOT_BYTES),
        z.strictObject({
          key: z.string().min(1).max(ENTRY_KEY_BYTES_MAX),
          value: bytesShape.refine(({ length }) => length <= ENTRY_VALUE_BYTES_MAX, "length"),
          counter: countShape,
        }),
      ]),
    )
    .max(ENTRIES_PER_OWNER_MAX),
});

/** Shows the entries of these keys, and proves them. Hashes nothing that was hashed for a root: who asks often costs little. */
export function proveEntries(
  { owner, start, head, entries }: SignedState,
  isShown: (key: string) => boolean,
  roots: HeadCrypto["roots"],
): Uint8Array {
  const leaves = entries.map((entry) => {
    const { key, value, version } = entry;
    return value !== null && isShown(key) ? { key, value, counter: version.counter } : roots.leafOf(entry);
  });
  const proof: Proof = { format: 1, owner, start, head, leaves };
  return encodeRecord(proof);
}

/** The entries that are shown, once all is checked: the owner signed this head, was complete by then, and the root is that of the leaves. */
export function readEntryProof(
  bytes: Uint8Array,
  crypto: Pick<HeadCrypto, "hash" | "verify">,
): Result<{ readonly owner: OwnerId; readonly entries: readonly Entry[] }> {
  const decoded = decodeRecord(proofShape, bytes);
  if (!decoded.ok) return fail(decoded.error);
  const { owner, start, head, leaves } = decoded.value;
  if (!isSigned(crypto, { owner, start, head })) return fail("its owner did not sign it");
  // A start that is not complete may lack what its owner will write again (`no-empty-table`).
  if (head.completeAt > head.counter) return fail("its owner is not complete");
  const entries: Entry[] = [];
  const hashes = leaves.map((leaf) => {
    if (leaf instanceof Uint8Array) return leaf;
    const { key, value, counter } = leaf;
    const entry: Entry = { owner, key, value, version: { ...start, counter } };
    entries.push(entry);
    return leafHash(crypto.hash, entry);
  });
  return isSameValue(crypto.hash(joined(hashes)), head.root)
    ? ok({ owner, entries })
    : fail("its entries are not those that were signed");
}

function joined(hashes: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(hashes.length * ROOT_BYTES);
  for (const [index, hash] of hashes.entries()) bytes.set(hash, index * ROOT_BYTES);
  return bytes;
}
