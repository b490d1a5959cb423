// Forget entry: "this owner is gone for good", as the member that was told so writes it into its own host state under
// `forget/<owner>`. So the word is signed, gossiped and repaired as all else. It names the last start that it is about: one
// that the owner begins later is welcome.

import { COUNTER_MAX, INCARNATION_MAX, START_ID_MAX } from "../limits.ts";
import type { Entry, StoreView } from "../mesh.ts";
import { fail, ok, type Result } from "../result.ts";
import { isName, type MemberName, memberName, type OwnerId, ownerId } from "./ids.ts";
import { packValue, unpackValue } from "./msgpack.ts";
import { compareStarts, type Start } from "./version.ts";
import { WireError, WireReader } from "./wire-reader.ts";

/** Written by the mesh alone. */
export const FORGET_PREFIX = "forget/";
const FORMAT = 1;
/** A member's name has at most 48. */
const NAME_CHARS_MAX = 64;

export interface ForgetWord {
  readonly owner: OwnerId;
  /** The owner's states of starts up to this one are void. */
  readonly upTo: Start;
  /** What it was called. */
  readonly name: MemberName;
}

export function forgetKey(owner: OwnerId): string {
  return `${FORGET_PREFIX}${owner}`;
}

export function encodeForget({ upTo, name }: Omit<ForgetWord, "owner">): Uint8Array {
  return packValue([FORMAT, name, upTo.incarnation, upTo.startId]);
}

/** Undefined: something else, a word that was taken back, or one that cannot be read, which counts for nothing. */
export function forgetWordOf({ key, value }: Pick<Entry, "key" | "value">): ForgetWord | undefined {
  if (value === null || !key.startsWith(FORGET_PREFIX)) return undefined;
  const decoded = decode(value);
  return decoded.ok ? { owner: ownerId(key.slice(FORGET_PREFIX.length)), ...decoded.value } : undefined;
}

/** By the words that a store holds: those that have not begun anew since. */
export function forgottenIn(
  store: Pick<StoreView, "list" | "head">,
): readonly Pick<ForgetWord, "owner" | "name">[] {
  const words = store.list(FORGET_PREFIX).flatMap((entry) => forgetWordOf(entry) ?? []);
  const standing = words.filter((word) => isGone(store, word));
  return [...new Map(standing.map(({ owner, name }) => [owner, { owner, name }])).values()];
}

/** The owner has not begun anew since. */
export function isGone(store: Pick<StoreView, "head">, { owner, upTo }: ForgetWord): boolean {
  const head = store.head(owner);
  return head === undefined || compareStarts(head, upTo) <= 0;
}

function decode(bytes: Uint8Array): Result<Omit<ForgetWord, "owner">> {
  try {
    const reader = new WireReader(unpackValue(bytes), "forget");
    const format = reader.int("format", COUNTER_MAX);
    const name = reader.text("name", NAME_CHARS_MAX);
    const upTo = {
      incarnation: reader.int("incarnation", INCARNATION_MAX),
      startId: reader.int("start id", START_ID_MAX),
    };
    reader.end();
    reader.require(format === FORMAT, "format");
    reader.require(isName(name), "name");
    return ok({ upTo, name: memberName(name) });
  } catch (error) {
    return fail(error instanceof WireError ? error.message : "forget: not msgpack");
  }
}
