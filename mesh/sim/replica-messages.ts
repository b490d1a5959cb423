// What the simulator must know about the replica's messages, in one place; everywhere else they are opaque values.

import { decodeMessage, encodeMessage } from "../core/codec.ts";
import type { OwnerId } from "../core/ids.ts";
import type {
  DeltaMessage,
  DigestItem,
  GossipMessage,
  HostDelta,
  Message,
  ReplicaMessage,
} from "../core/message.ts";
import { compareStarts, compareVersions } from "../core/version.ts";
import type { Entry } from "../mesh.ts";
import { isSameBytes } from "./ledger.ts";

const TAMPERED_VALUE = new TextEncoder().encode("tampered");
/** Of a list, so many items are measured; the rest is taken to be alike. */
const MEASURED_ITEMS_MAX = 24;

/** The same for the same message by whatever way it comes, as the real message id: owner and version. */
export function gossipId({ delta: { owner, start, to } }: GossipMessage): string {
  return `${owner} ${start.incarnation}.${start.startId}.${to}`;
}

export function gossipDelta(message: GossipMessage): HostDelta {
  return message.delta;
}

/** The round that a message opens or answers. */
export function roundOf(message: ReplicaMessage): number {
  return message.round;
}

/** "You lack nothing": lets two members that hold nothing yet be connected without the exchange. */
export function emptyAnswer(question: ReplicaMessage): DeltaMessage {
  return { kind: "delta", round: question.round, deltas: [], hasMore: false, isLacking: false };
}

/** About what the message is on the wire: msgpack of lists, as the codec writes it, whatever the fields are. */
export function messageBytes(message: Message): number {
  return 2 + valueBytes(message);
}

/**
 * Over the wire and back: a copy, and what the codec cannot carry is found. Of it parts that came as they were sent are the sender's
 * own, which nobody changes: what members remember of one (a hash) they remember together.
 */
export function throughCodec<Passed extends Message>(message: Passed): Passed {
  const decoded = decodeMessage(encodeMessage(message));
  if (!decoded.ok) throw new Error(`codec: ${decoded.error}`);
  return withPartsOf(message, decoded.value) as Passed;
}

function withPartsOf(sent: Message, came: Message): Message {
  if (sent.kind === "gossip" && came.kind === "gossip")
    return { ...came, delta: withEntriesOf(sent.delta, came.delta) };
  if (sent.kind === "delta" && came.kind === "delta")
    return { ...came, deltas: came.deltas.map((delta, at) => withEntriesOf(sent.deltas[at], delta)) };
  const hasItems = (message: Message) => message.kind === "digest" || message.kind === "pull";
  if (!hasItems(sent) || !hasItems(came)) return came;
  return { ...came, items: came.items.map((item, at) => sameOr(sent.items[at], item, isSameItem)) };
}

function withEntriesOf(sent: HostDelta | undefined, came: HostDelta): HostDelta {
  return { ...came, entries: came.entries.map((entry, at) => sameOr(sent?.entries[at], entry, isSameEntry)) };
}

function sameOr<Part>(sent: Part | undefined, came: Part, isSame: (sent: Part, came: Part) => boolean): Part {
  return sent !== undefined && isSame(sent, came) ? sent : came;
}

function isSameEntry(sent: Entry, came: Entry): boolean {
  const isSameKey = sent.owner === came.owner && sent.key === came.key;
  return (
    isSameKey && compareVersions(sent.version, came.version) === 0 && isSameBytes(sent.value, came.value)
  );
}

function isSameItem(sent: DigestItem, came: DigestItem): boolean {
  return (
    sent.owner === came.owner &&
    compareStarts(sent.start, came.start) === 0 &&
    sent.counter === came.counter &&
    sent.compacted === came.compacted &&
    sent.checksum === came.checksum &&
    sent.isInForce === came.isInForce &&
    sent.wantsRepair === came.wantsRepair
  );
}

/** As a relay that lies would pass it on: one entry of another owner has another value. Undefined: nothing to change. */
export function tampered(message: ReplicaMessage, relay: OwnerId): ReplicaMessage | undefined {
  if (message.kind !== "delta") return undefined;
  const at = message.deltas.findIndex(({ owner, entries }) => owner !== relay && entries.some(isLive));
  const delta = message.deltas[at];
  if (delta === undefined) return undefined;
  const changed = delta.entries.findIndex(isLive);
  const entries = delta.entries.map((entry, index) =>
    index === changed ? { ...entry, value: TAMPERED_VALUE } : entry,
  );
  return { ...message, deltas: message.deltas.with(at, { ...delta, entries }) };
}

function isLive({ value }: Entry): boolean {
  return value !== null;
}

/** No receiver may change what another receives. */
export function freezeMessage<Passed extends Message>(message: Passed): Passed {
  for (const part of Object.values(message)) if (Array.isArray(part)) Object.freeze(part);
  return Object.freeze(message);
}

export function describeMessage(message: Message): string {
  const { kind, ...fields } = message;
  const parts = Object.entries(fields).map(([name, value]) => `${name}=${describeField(value)}`);
  return `${kind} ${parts.join(" ")}`;
}

function describeField(value: unknown): string {
  if (Array.isArray(value)) return `[${value.length}]`;
  if (typeof value === "object" && value !== null && "to" in value && "from" in value) {
    return `(${value.from},${value.to}]`;
  }
  return typeof value === "object" ? "{}" : String(value);
}

function valueBytes(value: unknown): number {
  switch (typeof value) {
    case "string":
      return value.length + (value.length < 32 ? 1 : 2);
    case "number":
      return numberBytes(value);
    case "object":
      return value === null ? 1 : objectBytes(value);
    default:
      return 1;
  }
}

function numberBytes(value: number): number {
  if (value < 128) return 1;
  if (value < 65_536) return 3;
  return value < 2 ** 32 ? 5 : 9;
}

function objectBytes(value: object): number {
  if (value instanceof Uint8Array) return value.length + 3;
  if (!Array.isArray(value)) {
    let bytes = 1;
    for (const name in value) bytes += valueBytes((value as Record<string, unknown>)[name]);
    return bytes;
  }
  const measured = Math.min(value.length, MEASURED_ITEMS_MAX);
  if (measured === 0) return 1;
  let bytes = 0;
  // Spread over the list: its ends may be unlike its middle.
  for (let at = 0; at < measured; at += 1)
    bytes += valueBytes(value[Math.floor((at * value.length) / measured)]);
  return 3 + Math.round((bytes / measured) * value.length);
}
