// Register codec: questions to acceptors, their answers, and certified values as bytes. Decoding is total; a field too many, or
// a format that this release does not speak, is refused with its reason.

import { packValue, unpackValue } from "../core/msgpack.ts";
import { WireError, WireReader } from "../core/wire-reader.ts";
import { COUNTER_MAX, ENTRY_VALUE_BYTES_MAX, REGISTER_NAME_CHARS_MAX, VOTERS_MAX } from "../limits.ts";
import { fail, ok, type Result } from "../result.ts";
import type { AcceptorReply, AcceptorRequest, Nack } from "./acceptor.ts";
import { type Ballot, isVoterId, type VoterId } from "./ballot.ts";
import type { Certificate, Vote } from "./certificate.ts";
import type { CommittedValue } from "./proposer-face.ts";
import { decodeValue, type RegisterValue } from "./value.ts";

const FORMAT = 1;
const ID_CHARS = 16;
const REASON_CHARS_MAX = 1_000;
const SIGNATURE_BYTES = 64;

/** `serial` is the asker's own; `voter`: whom it takes the asked for. */
export interface AskMessage {
  readonly serial: number;
  readonly voter: VoterId;
  readonly request: AcceptorRequest;
}

export interface AnswerMessage {
  readonly serial: number;
  readonly voter: VoterId;
  readonly reply: AcceptorReply;
}

export function encodeAsk({ serial, voter, request }: AskMessage): Uint8Array {
  const head = [FORMAT, serial, voter, request.kind, request.register, request.list];
  switch (request.kind) {
    case "query":
      return packValue(head);
    case "prepare":
      return packValue([...head, ballotFields(request.ballot)]);
    case "accept": {
      const { ballot, value, next } = request;
      return packValue([...head, ballotFields(ballot), value.encoded, next && ballotFields(next)]);
    }
  }
}

export function decodeAsk(bytes: Uint8Array): Result<AskMessage> {
  return decoded(bytes, "ask", (reader) => {
    const [serial, voter] = readHead(reader);
    const kind = reader.text("kind", 16);
    const asked = {
      register: reader.text("register", REGISTER_NAME_CHARS_MAX),
      list: reader.int("list", COUNTER_MAX),
    };
    if (kind === "query") return { serial, voter, request: { kind, ...asked } };
    const ballot = readBallot(reader.next());
    if (kind === "prepare") return { serial, voter, request: { kind, ...asked, ballot } };
    reader.require(kind === "accept", "kind");
    const value = readValue(reader);
    const next = orNull(reader.next(), readBallot);
    return { serial, voter, request: { kind: "accept", ...asked, ballot, value, next } };
  });
}

export function encodeAnswer({ serial, voter, reply }: AnswerMessage): Uint8Array {
  return packValue([FORMAT, serial, voter, reply.kind, ...replyFields(reply)]);
}

function replyFields(reply: AcceptorReply): readonly unknown[] {
  switch (reply.kind) {
    case "state":
      return [reply.accepted && voteFields(reply.accepted)];
    case "promise":
      return [ballotFields(reply.ballot), reply.accepted && voteFields(reply.accepted)];
    case "accepted":
      return [voteFields(reply.vote), ballotFields(reply.promised)];
    case "nack":
      return [reply.code, nackFact(reply)];
  }
}

function nackFact(nack: Nack): unknown {
  switch (nack.code) {
    case "outdated":
      return ballotFields(nack.promised);
    case "former-list":
      return nack.list;
    case "invalid":
      return nack.reason.slice(0, REASON_CHARS_MAX);
    case "unknown-list":
    case "not-a-voter":
    case "second-value":
      return null;
  }
}

export function decodeAnswer(bytes: Uint8Array): Result<AnswerMessage> {
  return decoded(bytes, "answer", (reader) => {
    const [serial, voter] = readHead(reader);
    return { serial, voter, reply: readReply(reader) };
  });
}

function readReply(reader: WireReader): AcceptorReply {
  const kind = reader.text("kind", 16);
  switch (kind) {
    case "state":
      return { kind, accepted: orNull(reader.next(), readVote) };
    case "promise":
      return { kind, ballot: readBallot(reader.next()), accepted: orNull(reader.next(), readVote) };
    case "accepted":
      return { kind, vote: readVote(reader.next()), promised: readBallot(reader.next()) };
    case "nack":
      return readNack(reader);
    default:
      throw new WireError("answer: bad kind");
  }
}

function readNack(reader: WireReader): Nack {
  const code = reader.text("code", 16);
  switch (code) {
    case "outdated":
      return { kind: "nack", code, promised: readBallot(reader.next()) };
    case "former-list":
      return { kind: "nack", code, list: reader.int("list", COUNTER_MAX) };
    case "invalid":
      return { kind: "nack", code, reason: reader.text("reason", REASON_CHARS_MAX) };
    case "unknown-list":
    case "not-a-voter":
    case "second-value":
      reader.require(reader.next() === null, "fact");
      return { kind: "nack", code };
    default:
      throw new WireError("answer: bad code");
  }
}

/** A value with its certificate, as it is gossiped and kept. */
export function encodeCommitted({ value, certificate }: CommittedValue): Uint8Array {
  return packValue([FORMAT, value.encoded, ...certificateFields(certificate)]);
}

function certificateFields({ list, ballot, signatures }: Certificate): readonly unknown[] {
  return [list, ballotFields(ballot), [...signatures].map(([voter, signature]) => [voter, signature])];
}

/** Says nothing of whether it proves anything: `checkCertificate` does. */
export function decodeCommitted(bytes: Uint8Array): Result<CommittedValue> {
  return decoded(bytes, "certified value", (reader) => {
    reader.require(reader.int("format", COUNTER_MAX) === FORMAT, "format");
    const value = readValue(reader);
    const list = reader.int("list", COUNTER_MAX);
    const ballot = readBallot(reader.next());
    const signatures = new Map(reader.list("signatures", VOTERS_MAX, readSignature));
    return { value, certificate: { list, ballot, signatures } };
  });
}

function readSignature(fields: unknown): readonly [VoterId, Uint8Array] {
  const reader = new WireReader(fields, "signature");
  const signed = [readVoter(reader), reader.bytes("signature", SIGNATURE_BYTES)] as const;
  reader.end();
  return signed;
}

/** As an acceptor keeps it. */
export function encodeVote(vote: Vote): Uint8Array {
  return packValue(voteFields(vote));
}

export function decodeVote(bytes: Uint8Array): Result<Vote> {
  try {
    return ok(readVote(unpackValue(bytes)));
  } catch (error) {
    return fail(error instanceof WireError ? error.message : "vote: not msgpack");
  }
}

// --- parts

function ballotFields({ round, proposer }: Ballot): readonly unknown[] {
  return [round, proposer];
}

function readBallot(fields: unknown): Ballot {
  const reader = new WireReader(fields, "ballot");
  const ballot = { round: reader.int("round", COUNTER_MAX), proposer: readVoter(reader) };
  reader.end();
  return ballot;
}

function voteFields({ list, ballot, value, signature }: Vote): readonly unknown[] {
  return [list, ballotFields(ballot), value.encoded, signature];
}

function readVote(fields: unknown): Vote {
  const reader = new WireReader(fields, "vote");
  const list = reader.int("list", COUNTER_MAX);
  const ballot = readBallot(reader.next());
  const vote = {
    list,
    ballot,
    value: readValue(reader),
    signature: reader.bytes("signature", SIGNATURE_BYTES),
  };
  reader.end();
  return vote;
}

/** A copy: the frame it came in must not live as long as it does. */
function readValue(reader: WireReader): RegisterValue {
  const value = decodeValue(reader.bytes("value", ENTRY_VALUE_BYTES_MAX));
  if (!value.ok) throw new WireError(value.error);
  return value.value;
}

function readVoter(reader: WireReader): VoterId {
  const text = reader.text("voter", ID_CHARS);
  if (!isVoterId(text)) throw new WireError("bad voter id");
  return text;
}

function readHead(reader: WireReader): readonly [serial: number, voter: VoterId] {
  reader.require(reader.int("format", COUNTER_MAX) === FORMAT, "format");
  return [reader.int("serial", COUNTER_MAX), readVoter(reader)];
}

function orNull<Value>(fields: unknown, read: (fields: unknown) => Value): Value | null {
  return fields === null ? null : read(fields);
}

function decoded<Value>(bytes: Uint8Array, what: string, read: (reader: WireReader) => Value): Result<Value> {
  try {
    const reader = new WireReader(unpackValue(bytes), what);
    const value = read(reader);
    reader.end();
    return ok(value);
  } catch (error) {
    return fail(error instanceof WireError ? error.message : `${what}: not msgpack`);
  }
}
