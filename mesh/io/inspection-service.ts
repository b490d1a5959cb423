// Inspection service: every member, host or proxy, answers who looks for a fault: what it holds, at which version, and how
// that came to it. In small chunks, a turn of the event loop each: an answer of 50,000 entries holds nobody up.

import { createHash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { hashEntry, isSameValue } from "../core/entry.ts";
import type { OwnerId } from "../core/ids.ts";
import { packValue } from "../core/msgpack.ts";
import {
  CALL_CHUNK_BYTES_MAX,
  CALL_ERROR_CHARS_MAX,
  INSPECT_ANSWER_BYTES_MAX,
  INSPECT_CHUNK_ITEMS_MAX,
  INSPECT_ENTRIES_MAX,
  INSPECT_VALUES_BYTES_MAX,
} from "../limits.ts";
import type { Entry, Inspection, Mesh, OwnerDigest } from "../mesh.ts";
import {
  type DigestRow,
  INSPECT_DIGEST_SERVICE,
  INSPECT_ENTRIES_SERVICE,
  type InspectDigestChunk,
  type InspectEntriesChunk,
  type InspectEntriesRequest,
  type InspectedEntry,
  inspectDigestRequestShape,
  inspectEntriesRequestShape,
} from "../records/inspection.ts";
import { decodeRecord, encodeRecord } from "../records/record-codec.ts";

/** Beside its value: owner, key, numbers and names of fields. */
const ENTRY_HEAD_BYTES = 640;
/** Of chunks that were told: then there is room for one that is begun, and for the one before it. */
const TOLD_BYTES_MAX = INSPECT_ANSWER_BYTES_MAX - 2 * CALL_CHUNK_BYTES_MAX;

export function serveInspection(mesh: Pick<Mesh, "handle" | "inspection">): void {
  const { inspection } = mesh;
  mesh.handle(INSPECT_DIGEST_SERVICE, (request) => answerDigest(inspection, request));
  mesh.handle(INSPECT_ENTRIES_SERVICE, (request) => answerEntries(inspection, request));
}

/** One hash of what a digest says; which states are stale is local, and left out. */
export function summarize(digests: readonly OwnerDigest[]): Uint8Array {
  const rows = digests.map((digest) => rowOf({ ...digest, isStale: false }));
  return new Uint8Array(createHash("sha256").update(packValue(rows)).digest());
}

async function* answerDigest(inspection: Inspection, request: Uint8Array): AsyncGenerator<Uint8Array> {
  const decoded = decodeRecord(inspectDigestRequestShape, request);
  if (!decoded.ok) throw new Error(`inspect-digest: ${decoded.error}`);
  const digests = inspection.digests();
  const isSame =
    decoded.value.summary !== null &&
    digests.every(({ isStale }) => !isStale) &&
    isSameValue(summarize(digests), decoded.value.summary);
  const member = {
    uptimeMs: Math.round(process.uptime() * 1_000),
    lagMs: inspection.lagMs(),
    describe: inspection.describe().map((line) => line.slice(0, CALL_ERROR_CHARS_MAX)),
  };
  yield encodeRecord({ format: 1, member, isSame, owners: [] } satisfies InspectDigestChunk);
  if (isSame) return;
  for (let from = 0; from < digests.length; from += INSPECT_CHUNK_ITEMS_MAX) {
    const owners = digests.slice(from, from + INSPECT_CHUNK_ITEMS_MAX).map(rowOf);
    yield encodeRecord({ format: 1, member: null, isSame, owners } satisfies InspectDigestChunk);
    await nextTurn();
  }
}

function rowOf({ owner, version, checksum, entries, isStale }: OwnerDigest): DigestRow {
  return [owner, version.incarnation, version.startId, version.counter, checksum, entries, isStale];
}

async function* answerEntries(inspection: Inspection, request: Uint8Array): AsyncGenerator<Uint8Array> {
  const decoded = decodeRecord(inspectEntriesRequestShape, request);
  if (!decoded.ok) throw new Error(`inspect-entries: ${decoded.error}`);
  const answer = new EntriesAnswer(inspection, decoded.value);
  for (const entry of heldEntries(inspection, decoded.value)) {
    if (answer.isFull) {
      yield answer.takeChunk({ isCut: true });
      return;
    }
    if (!answer.hasRoom(entry)) {
      yield answer.takeChunk({ isCut: false });
      await nextTurn();
    }
    answer.add(entry);
  }
  yield answer.takeChunk({ isCut: false });
}

function* heldEntries(inspection: Inspection, { owners, keys }: InspectEntriesRequest): Generator<Entry> {
  for (const owner of owners ?? inspection.digests().map((digest) => digest.owner)) {
    if (keys === null) yield* copyOf(inspection, owner);
    else for (const key of keys) yield* heldEntry(inspection, owner, key);
  }
}

/** The state may change between two turns. */
function copyOf(inspection: Inspection, owner: OwnerId): readonly Entry[] {
  return [...inspection.entriesOf(owner)];
}

function heldEntry(inspection: Inspection, owner: OwnerId, key: string): readonly Entry[] {
  const entry = inspection.held(owner, key);
  return entry === undefined ? [] : [entry];
}

class EntriesAnswer {
  readonly #inspection: Inspection;
  readonly #withValues: boolean;
  #chunk: InspectedEntry[] = [];
  #chunkBytes = 0;
  #entries = 0;
  #valuesBytes = 0;
  #toldBytes = 0;

  constructor(inspection: Inspection, { withValues }: InspectEntriesRequest) {
    this.#inspection = inspection;
    this.#withValues = withValues;
  }

  get isFull(): boolean {
    return this.#entries >= INSPECT_ENTRIES_MAX || this.#toldBytes > TOLD_BYTES_MAX;
  }

  hasRoom(entry: Entry): boolean {
    const bytes = this.#chunkBytes + ENTRY_HEAD_BYTES + (this.#valueOf(entry)?.length ?? 0);
    return this.#chunk.length < INSPECT_CHUNK_ITEMS_MAX && bytes <= CALL_CHUNK_BYTES_MAX;
  }

  add(entry: Entry): void {
    const { owner, key, version } = entry;
    const value = this.#valueOf(entry);
    this.#entries += 1;
    this.#valuesBytes += value?.length ?? 0;
    this.#chunkBytes += ENTRY_HEAD_BYTES + (value?.length ?? 0);
    const arrival = this.#inspection.arrivalOf(entry);
    const bytes = entry.value?.length ?? null;
    this.#chunk.push({ owner, key, ...version, bytes, hash: hashEntry(entry), value, arrival });
  }

  takeChunk({ isCut }: { readonly isCut: boolean }): Uint8Array {
    const entries = this.#chunk;
    this.#chunk = [];
    this.#chunkBytes = 0;
    const chunk = encodeRecord({ format: 1, entries, isCut } satisfies InspectEntriesChunk);
    this.#toldBytes += chunk.length;
    return chunk;
  }

  #valueOf({ value }: Entry): Uint8Array | null {
    const isOver = this.#valuesBytes + (value?.length ?? 0) > INSPECT_VALUES_BYTES_MAX;
    return this.#withValues && !isOver ? value : null;
  }
}
