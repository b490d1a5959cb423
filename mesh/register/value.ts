// Value: what one commit of a register is: its epoch, who proposed it first, and the record's own bytes. Encoded once, by its
// proposer; what is signed and relayed is that encoding, as received.

import { packValue, unpackValue } from "../core/msgpack.ts";
import { WireError, WireReader } from "../core/wire-reader.ts";
import { COUNTER_MAX, ENTRY_VALUE_BYTES_MAX } from "../limits.ts";
import { fail, ok, type Result } from "../result.ts";
import { type Ballot, isVoterId, voterId } from "./ballot.ts";

const FORMAT = 1;

export interface RegisterValue {
  /** The number of this commit in the register's line: 1, 2, …; the fencing token. */
  readonly epoch: number;
  /** The ballot of its first proposal: tells a swap that it was itself, though its bytes may equal another's. */
  readonly origin: Ballot;
  readonly record: Uint8Array;
  /** All of it, as it is signed. */
  readonly encoded: Uint8Array;
}

export function createValue(parts: Omit<RegisterValue, "encoded">): RegisterValue {
  const { epoch, origin, record } = parts;
  return { ...parts, encoded: packValue([FORMAT, epoch, origin.round, origin.proposer, record]) };
}

/** Total. `bytes` are kept as they are. */
export function decodeValue(bytes: Uint8Array): Result<RegisterValue> {
  try {
    const reader = new WireReader(unpackValue(bytes), "register value");
    reader.require(reader.int("format", COUNTER_MAX) === FORMAT, "format");
    const epoch = reader.int("epoch", COUNTER_MAX);
    const round = reader.int("round", COUNTER_MAX);
    const proposer = reader.text("proposer", 16);
    const record = reader.bytes("record", ENTRY_VALUE_BYTES_MAX);
    reader.end();
    reader.require(epoch > 0 && round > 0 && isVoterId(proposer), "epoch or origin");
    return ok({ epoch, origin: { round, proposer: voterId(proposer) }, record, encoded: bytes });
  } catch (error) {
    return fail(error instanceof WireError ? error.message : "register value: not msgpack");
  }
}

/**
 * One proposal: it may have been sent, accepted and committed again under many ballots. By its bytes, not by its origin: that would
 * believe a proposer which used a ballot twice.
 */
export function isSameValue({ encoded: left }: RegisterValue, { encoded: right }: RegisterValue): boolean {
  return left === right || (left.length === right.length && left.every((byte, at) => byte === right[at]));
}
