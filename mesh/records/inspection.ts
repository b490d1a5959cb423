// Inspection: the questions of who looks for a fault, as members ask each other: what do you hold, and how did it come to you?

import { type ZodType, z } from "zod";
import { type OwnerId, ownerId } from "../core/ids.ts";
import {
  CALL_ERROR_CHARS_MAX,
  ENTRY_KEY_BYTES_MAX,
  ENTRY_VALUE_BYTES_MAX,
  INSPECT_CHUNK_ITEMS_MAX,
  INSPECT_KEYS_MAX,
  OWNERS_MAX,
} from "../limits.ts";
import { countShape, millisecondsShape } from "./shapes.ts";

/** Answers an `InspectDigestRequest` by a row of `InspectDigestChunk`s. */
export const INSPECT_DIGEST_SERVICE = "inspect-digest";
/** Answers an `InspectEntriesRequest` by a row of `InspectEntriesChunk`s. */
export const INSPECT_ENTRIES_SERVICE = "inspect-entries";

export interface InspectDigestRequest {
  readonly format: 1;
  /** Of the asker's own digest: who has the same need not tell it. null: tell it in any case. */
  readonly summary: Uint8Array | null;
}

/** What a member says of itself. */
export interface InspectedMember {
  /** Since its process started. */
  readonly uptimeMs: number;
  /** How late its event loop was at worst in the last ten seconds or so. */
  readonly lagMs: number;
  readonly describe: readonly string[];
}

export interface InspectDigestChunk {
  readonly format: 1;
  /** In the first chunk. */
  readonly member: InspectedMember | null;
  /** It has the asker's very digest; no owners follow. */
  readonly isSame: boolean;
  readonly owners: readonly DigestRow[];
}

/** Owner, incarnation, start id, counter, checksum, live entries, stale. */
export type DigestRow = readonly [OwnerId, number, number, number, number, number, boolean];

export interface InspectEntriesRequest {
  readonly format: 1;
  /** null: of all. */
  readonly owners: readonly OwnerId[] | null;
  /** null: all of them. */
  readonly keys: readonly string[] | null;
  readonly withValues: boolean;
}

export interface InspectedEntry {
  readonly owner: OwnerId;
  readonly key: string;
  readonly incarnation: number;
  readonly startId: number;
  readonly counter: number;
  /** null: a tombstone. */
  readonly bytes: number | null;
  /** 53 bits over key, counter and value; 0 of a tombstone. */
  readonly hash: number;
  /** null: not asked for, a tombstone, or beyond the bound. */
  readonly value: Uint8Array | null;
  /** How it came to the member; null: not remembered. */
  readonly arrival: {
    readonly path: "own" | "gossip" | "sync" | "disk";
    readonly from: OwnerId | null;
    readonly agoMs: number;
  } | null;
}

export interface InspectEntriesChunk {
  readonly format: 1;
  readonly entries: readonly InspectedEntry[];
  /** There is more than an answer may have. */
  readonly isCut: boolean;
}

/** Longer than any peer id, of whatever key. */
const OWNER_CHARS_MAX = 128;
const DESCRIBE_LINES_MAX = 32;

const ownerShape = z.string().min(1).max(OWNER_CHARS_MAX).transform(ownerId) as unknown as ZodType<OwnerId>;
const keyShape = z.string().min(1).max(ENTRY_KEY_BYTES_MAX);
const formatShape = z.literal(1);

export const inspectDigestRequestShape: ZodType<InspectDigestRequest> = z.strictObject({
  format: formatShape,
  summary: z.instanceof(Uint8Array).nullable(),
});

export const inspectDigestChunkShape: ZodType<InspectDigestChunk> = z.strictObject({
  format: formatShape,
  member: z
    .strictObject({
      uptimeMs: millisecondsShape,
      lagMs: millisecondsShape,
      describe: z.array(z.string().max(CALL_ERROR_CHARS_MAX)).max(DESCRIBE_LINES_MAX),
    })
    .nullable(),
  isSame: z.boolean(),
  owners: z
    .array(z.tuple([ownerShape, countShape, countShape, countShape, countShape, countShape, z.boolean()]))
    .max(INSPECT_CHUNK_ITEMS_MAX),
});

export const inspectEntriesRequestShape: ZodType<InspectEntriesRequest> = z.strictObject({
  format: formatShape,
  owners: z.array(ownerShape).max(OWNERS_MAX).nullable(),
  keys: z.array(keyShape).max(INSPECT_KEYS_MAX).nullable(),
  withValues: z.boolean(),
});

export const inspectEntriesChunkShape: ZodType<InspectEntriesChunk> = z.strictObject({
  format: formatShape,
  entries: z
    .array(
      z.strictObject({
        owner: ownerShape,
        key: keyShape,
        incarnation: countShape,
        startId: countShape,
        counter: countShape,
        bytes: z.number().int().min(0).max(ENTRY_VALUE_BYTES_MAX).nullable(),
        hash: countShape,
        value: z.instanceof(Uint8Array).nullable(),
        arrival: z
          .strictObject({
            path: z.enum(["own", "gossip", "sync", "disk"]),
            from: ownerShape.nullable(),
            agoMs: z.number().min(0),
          })
          .nullable(),
      }),
    )
    .max(INSPECT_CHUNK_ITEMS_MAX),
  isCut: z.boolean(),
});
