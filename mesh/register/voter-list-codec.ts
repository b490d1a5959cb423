// Voter list codec: a list as the record of the register `voters`, and as the root key signs the first one.

import { memberName, ownerId } from "../core/ids.ts";
import { packValue, unpackValue } from "../core/msgpack.ts";
import { WireError, WireReader } from "../core/wire-reader.ts";
import { COUNTER_MAX, OWNER_CHARS_MAX, VOTERS_MAX } from "../limits.ts";
import { fail, ok, type Result } from "../result.ts";
import { isVoterId, voterId } from "./ballot.ts";
import type { Voter, VoterList } from "./voter-list.ts";

const FORMAT = 1;
const NAME_CHARS_MAX = 48;

export function encodeVoterList({ number, voters, isSettled }: VoterList): Uint8Array {
  return packValue([FORMAT, number, voters.map(({ id, owner, name }) => [id, owner, name]), isSettled]);
}

/** Total. */
export function decodeVoterList(bytes: Uint8Array): Result<VoterList> {
  try {
    const reader = new WireReader(unpackValue(bytes), "voter list");
    reader.require(reader.int("format", COUNTER_MAX) === FORMAT, "format");
    const number = reader.int("number", COUNTER_MAX);
    const voters = reader.list("voters", VOTERS_MAX + 1, readVoter);
    const isSettled = reader.flag("settled");
    reader.end();
    reader.require(number > 0 && voters.length > 0 && isSetOf(voters), "voters");
    return ok({ number, voters, isSettled });
  } catch (error) {
    return fail(error instanceof WireError ? error.message : "voter list: not msgpack");
  }
}

function readVoter(fields: unknown): Voter {
  const reader = new WireReader(fields, "voter");
  const id = reader.text("id", 16);
  reader.require(isVoterId(id), "id");
  const voter = {
    id: voterId(id),
    owner: ownerId(reader.text("owner", OWNER_CHARS_MAX)),
    name: memberName(reader.text("name", NAME_CHARS_MAX)),
  };
  reader.end();
  return voter;
}

/** One person, one vote: neither an id nor a member stands for two. */
function isSetOf(voters: readonly Voter[]): boolean {
  const ids = new Set(voters.map(({ id }) => id));
  const owners = new Set(voters.map(({ owner }) => owner));
  return ids.size === voters.length && owners.size === voters.length;
}
