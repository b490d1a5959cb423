// Entries: the store as it is, for looking, and entries of one's own under `custom/`, for anyone who wants to spread a fact.

import { z } from "zod";
import {
  APP_PREFIX,
  decodeCommittedApp,
  decodeRecord,
  ENTRY_VALUE_BYTES_MAX,
  type Entry,
  encodeRecord,
  type MemberName,
  type Mesh,
  type OwnerId,
} from "../../mesh/index.ts";
import { apiError, parseJson, readBounded } from "./answer.ts";

const CUSTOM_PREFIX = "custom/";
const CUSTOM_KEY = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$/;
/** Room for the envelope within the bound of an entry. */
const CUSTOM_VALUE_BYTES_MAX: number = ENTRY_VALUE_BYTES_MAX - 1_024;
/** Half of what one owner may have, tombstones included: our VMs must always find room. */
const CUSTOM_KEYS_MAX = 10_000;
/** Deeper values would exhaust the stack of whoever reads them. */
const JSON_DEPTH_MAX = 32;
/** Entries written to the reader at once. */
const PAGE = 200;

const customShape = z.strictObject({ format: z.literal(1), json: z.unknown() });

/** A JSON array of every entry under `prefix`, one page after the other: the whole is never in memory as text. */
export async function* listEntries(mesh: Mesh, prefix: string): AsyncGenerator<Uint8Array> {
  const names = new Map(mesh.members().map((member) => [member.owner, member.name]));
  const entries = mesh.store.list(prefix);
  const encoder = new TextEncoder();
  for (let from = 0; from === 0 || from < entries.length; from += PAGE) {
    const page = entries.slice(from, from + PAGE).map((entry) => describeEntry(entry, names));
    const isLast = from + PAGE >= entries.length;
    yield encoder.encode(`${from === 0 ? "[" : ",\n"}${page.join(",\n")}${isLast ? "]\n" : ""}`);
  }
}

function describeEntry(entry: Entry, names: ReadonlyMap<OwnerId, MemberName>): string {
  const { owner, key, version, value } = entry;
  const name = names.get(owner) ?? null;
  const shown = value === null ? undefined : readableValue(key, value);
  return JSON.stringify(
    { owner, name, key, version, value: isShallow(shown) ? shown : undefined },
    replaceUnprintable,
  );
}

function readableValue(key: string, value: Uint8Array): unknown {
  if (key.startsWith(CUSTOM_PREFIX)) {
    const custom = decodeRecord(customShape, value);
    return custom.ok ? custom.value.json : undefined;
  }
  if (key.startsWith(APP_PREFIX)) {
    const committed = decodeCommittedApp(value);
    return committed.ok ? committed.value : undefined;
  }
  const record = decodeRecord(z.unknown(), value);
  return record.ok ? record.value : undefined;
}

/** JSON has no bytes and no large integers; a peer's value may have both. */
function replaceUnprintable(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  return value instanceof Uint8Array ? { bytes: value.byteLength } : value;
}

/** Entries of this agent that people write. They live until they are deleted or this agent restarts. */
export class CustomEntries {
  readonly #mesh: Mesh;
  /** Ever written since our start: a deleted one still takes its place as a tombstone. */
  readonly #keys = new Set<string>();

  constructor(mesh: Mesh) {
    this.#mesh = mesh;
  }

  async put(key: string, body: AsyncIterable<Uint8Array> | null): Promise<Response> {
    if (!CUSTOM_KEY.test(key)) return apiError("invalid", "a key has 1 to 200 of A-Z a-z 0-9 . _ / -");
    if (!this.#keys.has(key) && this.#keys.size >= CUSTOM_KEYS_MAX)
      return apiError("too-large", `this agent keeps at most ${CUSTOM_KEYS_MAX} keys under ${CUSTOM_PREFIX}`);
    const bytes = await readBounded(body, CUSTOM_VALUE_BYTES_MAX);
    if (bytes === null) return apiError("too-large", `a value has at most ${CUSTOM_VALUE_BYTES_MAX} bytes`);
    const parsed = parseJson(bytes);
    if (parsed === undefined) return apiError("invalid", "the body must be one JSON value");
    if (!isShallow(parsed.json))
      return apiError("invalid", `a value is nested at most ${JSON_DEPTH_MAX} deep`);
    const value = encodeRecord({ format: 1, json: parsed.json });
    if (value.byteLength > ENTRY_VALUE_BYTES_MAX)
      return apiError("too-large", "this value is too large for an entry");
    this.#keys.add(key);
    return Response.json({
      key: `${CUSTOM_PREFIX}${key}`,
      version: this.#mesh.write(`${CUSTOM_PREFIX}${key}`, value),
    });
  }

  delete(key: string): Response {
    const name = `${CUSTOM_PREFIX}${key}`;
    if (this.#mesh.store.get(this.#mesh.self.owner, name) === undefined)
      return apiError(
        "not-found",
        `this agent has no entry ${name}: only the agent that wrote it deletes it`,
      );
    return Response.json({ key: name, version: this.#mesh.write(name, null) });
  }
}

/** Level by level, not by recursion: the value is a stranger's. */
function isShallow(json: unknown): boolean {
  let level: unknown[] = [json];
  for (let depth = 0; depth <= JSON_DEPTH_MAX; depth++) {
    level = level.flatMap(childrenOf);
    if (level.length === 0) return true;
  }
  return false;
}

function childrenOf(value: unknown): readonly unknown[] {
  return typeof value === "object" && value !== null && !ArrayBuffer.isView(value)
    ? Object.values(value)
    : [];
}
