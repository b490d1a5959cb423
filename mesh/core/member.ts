// The member entry: what every member writes about itself under the key "member", so that all learn names and addresses.

import { COUNTER_MAX } from "../limits.ts";
import type { MemberRole } from "../mesh.ts";
import { fail, ok, type Result } from "../result.ts";
import { isName, type MemberName, memberName } from "./ids.ts";
import { packValue, unpackValue } from "./msgpack.ts";

/** Written by the mesh alone, as what is under `suspect/` and `forget/`. */
export const MEMBER_KEY = "member";
/** A multi-homed machine has a handful of addresses; more is a mistake. */
export const MEMBER_ADDRESSES_MAX = 16;
const ADDRESS_CHARS_MAX = 256;
const FORMAT = 1;

export interface MemberRecord {
  readonly name: MemberName;
  readonly role: MemberRole;
  /** Multiaddrs without a peer id, where others dial it. */
  readonly addresses: readonly string[];
  readonly startedAtMs: number;
  /** How often this start has objected to an accusation (liveness.ts). */
  readonly refutation: number;
  /** It leaves, or has left: nobody need look for it. */
  readonly isLeaving: boolean;
}

export function encodeMember(record: MemberRecord): Uint8Array {
  return packValue({ format: FORMAT, ...record });
}

export function decodeMember(bytes: Uint8Array): Result<MemberRecord> {
  let fields: unknown;
  try {
    fields = unpackValue(bytes);
  } catch {
    return fail("member: not msgpack");
  }
  if (typeof fields !== "object" || fields === null) return fail("member: not a map");
  const { format, name, role, addresses, startedAtMs, refutation, isLeaving } = fields as Record<
    string,
    unknown
  >;
  if (format !== FORMAT) return fail("member: unknown format");
  if (typeof name !== "string" || !isName(name)) return fail("member: bad name");
  if (role !== "host" && role !== "proxy") return fail("member: bad role");
  if (!isAddressList(addresses)) return fail("member: bad addresses");
  if (typeof startedAtMs !== "number") return fail("member: bad start time");
  if (!isRefutation(refutation)) return fail("member: bad refutation");
  if (typeof isLeaving !== "boolean") return fail("member: bad leaving");
  return ok({ name: memberName(name), role, addresses, startedAtMs, refutation, isLeaving });
}

function isRefutation(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= COUNTER_MAX;
}

function isAddressList(list: unknown): list is string[] {
  return (
    Array.isArray(list) &&
    list.length <= MEMBER_ADDRESSES_MAX &&
    list.every((address) => typeof address === "string" && address.length <= ADDRESS_CHARS_MAX)
  );
}
