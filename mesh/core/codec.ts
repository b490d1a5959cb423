// Codec: messages as bytes. Byte 0 is the format, byte 1 the kind, then msgpack of a list of fields. The decoder is total:
// any bytes in, a result out.

import {
  CLUSTER_ID_CHARS_MAX,
  COUNTER_MAX,
  DIGEST_ITEMS_MAX,
  ENTRIES_PER_OWNER_MAX,
  ENTRY_VALUE_BYTES_MAX,
  FRAME_BYTES_MAX,
  INCARNATION_MAX,
  OWNERS_MAX,
  SERVICE_NAME_CHARS_MAX,
  START_ID_MAX,
} from "../limits.ts";
import type { Entry } from "../mesh.ts";
import { fail, ok, type Result } from "../result.ts";
import { type Head, ROOT_BYTES, SIGNATURE_BYTES } from "./head.ts";
import { isName, memberName, type OwnerId, ownerId } from "./ids.ts";
import type { LivenessMessage } from "./liveness-face.ts";
import {
  type DigestItem,
  type DigestMessage,
  FORMAT,
  type HelloMessage,
  type HostDelta,
  type Message,
} from "./message.ts";
import { packValue, unpackValue } from "./msgpack.ts";
import type { Start, Version } from "./version.ts";
import { WireError, WireReader } from "./wire-reader.ts";

/** Byte 1. Numbers are never used again. */
const KIND_BYTES = {
  hello: 1,
  gossip: 2,
  digest: 3,
  pull: 4,
  delta: 5,
  tell: 6,
  ping: 7,
  pong: 8,
  probe: 9,
  "probe-ack": 10,
  "probe-request": 11,
  "probe-report": 12,
  summary: 13,
} as const satisfies Record<Message["kind"], number>;

const HEAD_BYTES = 2;
/** A peer id in base58 has 52; room for other key types. Ascii only: a digest of all owners must fit a frame. */
const OWNER_ID = /^[!-~]+$/;
const WORD_CHARS_MAX = 64;
const CHECKSUM_MAX = 2 ** 53 - 1;

export function encodeMessage(message: Message): Uint8Array {
  const bytes = packValue(fieldsOf(message), [FORMAT, KIND_BYTES[message.kind]]);
  if (bytes.length > FRAME_BYTES_MAX) throw new Error(`bug: a ${message.kind} of ${bytes.length} bytes`);
  return bytes;
}

export function decodeMessage(bytes: Uint8Array): Result<Message> {
  if (bytes.length > FRAME_BYTES_MAX) return fail("message: over its bound");
  if (bytes.length < HEAD_BYTES) return fail("message: cut");
  if (bytes[0] !== FORMAT) return fail(`message: format ${bytes[0]}, we speak ${FORMAT}`);
  const kind = KINDS.get(bytes[1] ?? 0);
  if (kind === undefined) return fail(`message: unknown kind ${bytes[1]}`);
  try {
    return ok(DECODERS[kind](unpackValue(bytes.subarray(HEAD_BYTES))));
  } catch (error) {
    // Not a WireError: the bytes are no plain msgpack, or nested deeper than the stack.
    return fail(error instanceof WireError ? error.message : `${kind}: not msgpack`);
  }
}

// --- to fields

function fieldsOf(message: Message): readonly unknown[] {
  switch (message.kind) {
    case "hello":
      return [message.cluster, message.name, message.role, message.incarnation];
    case "gossip":
      return deltaFields(message.delta);
    case "digest":
    case "pull":
      return [message.round, message.items.map(itemFields)];
    case "summary":
      return [message.round, ...message.hash];
    case "delta":
      return [message.round, message.hasMore, message.isLacking, message.deltas.map(deltaFields)];
    case "tell":
      return [message.topic, message.body];
    case "ping":
    case "pong":
      return [];
    case "probe":
      return [message.serial, message.accused?.incarnation ?? null, message.accused?.refutation ?? null];
    case "probe-ack":
      return [message.serial];
    case "probe-request":
      return [message.serial, message.target];
    case "probe-report":
      return [message.serial, message.isAlive];
  }
}

function itemFields(item: DigestItem): readonly unknown[] {
  const { owner, start, counter, compacted, checksum, isInForce, wantsRepair } = item;
  const { incarnation, startId } = start;
  return [owner, incarnation, startId, counter, compacted, checksum, isInForce, wantsRepair];
}

function deltaFields(delta: HostDelta): readonly unknown[] {
  const { owner, start, from, to, head, compacted, isRepair } = delta;
  const entries = delta.entries.map(({ key, value, version }) => [key, value, version.counter]);
  return [owner, start.incarnation, start.startId, from, to, compacted, isRepair, headFields(head), entries];
}

function headFields({ counter, completeAt, born, raisedAbove, root, signature }: Head): readonly unknown[] {
  return [counter, completeAt, born.incarnation, born.startId, raisedAbove, root, signature];
}

// --- from fields

const DECODERS = {
  hello: decodeHello,
  gossip: (fields) => ({ kind: "gossip", delta: decodeDelta(fields) }),
  digest: (fields) => ({ kind: "digest", ...decodeDigest(fields, "digest") }),
  pull: (fields) => ({ kind: "pull", ...decodeDigest(fields, "pull") }),
  delta: decodeDeltas,
  tell: decodeTell,
  ping: (fields) => decodeBare(fields, "ping"),
  pong: (fields) => decodeBare(fields, "pong"),
  probe: decodeProbe,
  "probe-ack": (fields) => decodeLiveness(fields, "probe-ack", () => ({})),
  "probe-request": (fields) =>
    decodeLiveness(fields, "probe-request", (reader) => ({ target: readOwner(reader) })),
  "probe-report": (fields) =>
    decodeLiveness(fields, "probe-report", (reader) => ({ isAlive: reader.flag("alive") })),
  summary: decodeSummary,
} as const satisfies Record<Message["kind"], (fields: unknown) => Message>;

const KINDS = new Map<number, Message["kind"]>(
  Object.entries(KIND_BYTES).map(([kind, byte]) => [byte, kind as Message["kind"]]),
);

function decodeHello(fields: unknown): HelloMessage {
  const reader = new WireReader(fields, "hello");
  const cluster = reader.text("cluster", CLUSTER_ID_CHARS_MAX);
  const name = reader.text("name", WORD_CHARS_MAX);
  const role = reader.text("role", WORD_CHARS_MAX);
  const incarnation = reader.int("incarnation", INCARNATION_MAX);
  reader.end();
  reader.require(isName(name), "name");
  if (role !== "host" && role !== "proxy") throw new WireError("hello: bad role");
  return { kind: "hello", cluster, name: memberName(name), role, incarnation };
}

function decodeDigest(fields: unknown, kind: string): Pick<DigestMessage, "round" | "items"> {
  const reader = new WireReader(fields, kind);
  const round = reader.int("round", COUNTER_MAX);
  const items = reader.list("items", DIGEST_ITEMS_MAX, decodeItem);
  reader.end();
  return { round, items };
}

function decodeSummary(fields: unknown): Message {
  const reader = new WireReader(fields, "summary");
  const round = reader.int("round", COUNTER_MAX);
  const hash = [reader.int("hash", CHECKSUM_MAX), reader.int("hash", CHECKSUM_MAX)] as const;
  reader.end();
  return { kind: "summary", round, hash };
}

function decodeItem(fields: unknown): DigestItem {
  const reader = new WireReader(fields, "digest item");
  const owner = readOwner(reader);
  const start = readStart(reader);
  const counter = reader.int("counter", COUNTER_MAX);
  const compacted = reader.int("compacted", COUNTER_MAX);
  const checksum = reader.int("checksum", CHECKSUM_MAX);
  const isInForce = reader.flag("in force");
  const wantsRepair = reader.flag("wants repair");
  reader.end();
  return { owner, start, counter, compacted, checksum, isInForce, wantsRepair };
}

function decodeDeltas(fields: unknown): Message {
  const reader = new WireReader(fields, "delta");
  const round = reader.int("round", COUNTER_MAX);
  const hasMore = reader.flag("more");
  const isLacking = reader.flag("lacking");
  const deltas = reader.list("deltas", 2 * OWNERS_MAX, decodeDelta);
  reader.end();
  return { kind: "delta", round, hasMore, isLacking, deltas };
}

/** Of a host delta as messages carry it. Total: whatever the snapshot's file says, the answer is a result. */
export function decodeDeltaFields(fields: unknown): Result<HostDelta> {
  try {
    return ok(decodeDelta(fields));
  } catch (error) {
    if (error instanceof WireError) return fail(error.message);
    throw error;
  }
}

function decodeDelta(fields: unknown): HostDelta {
  const reader = new WireReader(fields, "host delta");
  const owner = readOwner(reader);
  const start = readStart(reader);
  const from = reader.int("from", COUNTER_MAX);
  const to = reader.int("to", COUNTER_MAX);
  const compacted = reader.int("compacted", COUNTER_MAX);
  const isRepair = reader.flag("repair");
  const head = decodeHead(reader.next());
  const entries = reader.list("entries", ENTRIES_PER_OWNER_MAX, (entry) => decodeEntry(entry, owner, start));
  reader.end();
  reader.require(from <= to && to <= head.counter && !(isRepair && from > 0), "range");
  // Nobody signs it: beyond the head it would never be reached again, and be handed on for ever.
  reader.require(compacted <= head.counter, "compacted");
  reader.require(isAscending(entries, from, to), "order of entries");
  return { owner, start, from, to, head, compacted, isRepair, entries };
}

function decodeHead(fields: unknown): Head {
  const reader = new WireReader(fields, "head");
  const counter = reader.int("counter", COUNTER_MAX);
  const completeAt = reader.int("complete at", COUNTER_MAX);
  const born = readStart(reader);
  const raisedAbove = reader.int("raised above", START_ID_MAX);
  const root = reader.bytes("root", ROOT_BYTES);
  const signature = reader.bytes("signature", SIGNATURE_BYTES);
  reader.end();
  reader.require(root.length === ROOT_BYTES && signature.length === SIGNATURE_BYTES, "length");
  return { counter, completeAt, born, raisedAbove, root, signature };
}

function decodeEntry(fields: unknown, owner: OwnerId, start: Start): Entry {
  const reader = new WireReader(fields, "entry");
  const key = reader.key("key");
  const value = reader.value("value", ENTRY_VALUE_BYTES_MAX);
  const version: Version = { ...start, counter: reader.int("counter", COUNTER_MAX) };
  reader.end();
  return { owner, key, value, version };
}

/** Strictly, and within (from, to]: what the store asserts when it puts them. */
function isAscending(entries: readonly Entry[], from: number, to: number): boolean {
  let last = from;
  for (const { version } of entries) {
    if (version.counter <= last) return false;
    last = version.counter;
  }
  return last <= to;
}

function decodeTell(fields: unknown): Message {
  const reader = new WireReader(fields, "tell");
  const topic = reader.text("topic", SERVICE_NAME_CHARS_MAX);
  const body = reader.bytes("body", FRAME_BYTES_MAX);
  reader.end();
  return { kind: "tell", topic, body };
}

function decodeBare<Kind extends "ping" | "pong">(fields: unknown, kind: Kind): { kind: Kind } {
  new WireReader(fields, kind).end();
  return { kind };
}

/** The fields that all of them begin with, then those of the kind. */
function decodeLiveness<Kind extends LivenessMessage["kind"], Rest>(
  fields: unknown,
  kind: Kind,
  readRest: (reader: WireReader) => Rest,
): { readonly kind: Kind; readonly serial: number } & Rest {
  const reader = new WireReader(fields, kind);
  const serial = reader.int("serial", COUNTER_MAX);
  const rest = readRest(reader);
  reader.end();
  return { kind, serial, ...rest };
}

function decodeProbe(fields: unknown): Message {
  return decodeLiveness(fields, "probe", (reader) => {
    const incarnation = reader.intOrNull("incarnation", INCARNATION_MAX);
    const refutation = reader.intOrNull("refutation", COUNTER_MAX);
    reader.require((incarnation === null) === (refutation === null), "accused");
    return { accused: incarnation === null || refutation === null ? null : { incarnation, refutation } };
  });
}

function readOwner(reader: WireReader): OwnerId {
  const text = reader.text("owner", WORD_CHARS_MAX);
  reader.require(OWNER_ID.test(text), "owner");
  return ownerId(text);
}

function readStart(reader: WireReader): Start {
  const incarnation = reader.int("incarnation", INCARNATION_MAX);
  return { incarnation, startId: reader.int("start id", START_ID_MAX) };
}
