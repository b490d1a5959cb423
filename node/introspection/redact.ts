// Redact: our own records as a bug report may carry them. What a person put into an app's command line, and what an
// app printed, may be secret: of these only counts are told. Its environment is in none of them.

import { z } from "zod";
import { APP_PREFIX, decodeCommittedApp, decodeRecord, type Result } from "../../mesh/index.ts";
import { isOwnKind } from "./readable-value.ts";

/** Deeper values are none of ours; whoever reads them would exhaust the stack. */
const DEPTH_MAX = 32;
const REMOVED = "[removed]";

/** The value of an entry of a kind that is ours, as JSON; undefined: of another kind, or not to be read. */
export function redactedValue(key: string, value: Uint8Array): unknown {
  const decoded = decodeOwn(key, value);
  return decoded?.ok === true ? redacted(decoded.value) : undefined;
}

function decodeOwn(key: string, value: Uint8Array): Result<unknown> | undefined {
  if (!isOwnKind(key)) return undefined;
  return key.startsWith(APP_PREFIX) ? decodeCommittedApp(value) : decodeRecord(z.unknown(), value);
}

/** JSON of ours without what may be secret, at whatever depth it lies. */
export function redacted(json: unknown): unknown {
  return walk(json, DEPTH_MAX);
}

function walk(json: unknown, depth: number): unknown {
  if (typeof json === "bigint") return json.toString();
  if (json instanceof Uint8Array) return { bytes: json.length };
  if (typeof json !== "object" || json === null) return json;
  if (depth === 0) return REMOVED;
  if (Array.isArray(json)) return json.map((item) => walk(item, depth - 1));
  return Object.fromEntries(
    Object.entries(json).map(([key, value]) => [key, walkField(key, value, depth - 1)]),
  );
}

function walkField(key: string, value: unknown, depth: number): unknown {
  if (key === "lastLines")
    return Array.isArray(value) ? [`[${value.length} lines of output removed]`] : REMOVED;
  if (key === "command") return withoutArguments(value);
  // Over all of the spec: who has the rest could try arguments of the command until it fits.
  if (key === "specHash") return REMOVED;
  return walk(value, depth);
}

function withoutArguments(command: unknown): unknown {
  if (!Array.isArray(command)) return REMOVED;
  const [program, ...rest] = command;
  return rest.length === 0 ? [program] : [program, `[${rest.length} arguments removed]`];
}
